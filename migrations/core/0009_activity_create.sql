-- What has happened in a workspace, for the people in it. No audit: rows are gone after some months, and what was done to
-- things that people may not see is not shown to them.
--
-- Actors and targets are opaque ids without foreign keys: their names are those of whoever reads, so that erasing a person
-- or deleting a thing leaves the feed true. Parameters are numbers, words and ids, never what somebody has typed.
CREATE TABLE kernel_core.activity (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    kind         text        NOT NULL CONSTRAINT activity_kind_length CHECK (length(kind) BETWEEN 1 AND 100),
    actor_type   text        NOT NULL
        CONSTRAINT activity_actor_type CHECK (actor_type IN ('anonymous', 'api_key', 'staff', 'system', 'user')),
    actor_id     uuid,
    target_type  text        NOT NULL,
    target_id    uuid        NOT NULL,
    -- What the target belongs to: the project of an issue.
    within_type  text,
    within_id    uuid,
    params       jsonb       NOT NULL
        CONSTRAINT activity_params CHECK (jsonb_typeof(params) = 'object' AND octet_length(params::text) <= 2000),
    created_at   timestamptz NOT NULL,
    CONSTRAINT activity_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT activity_within CHECK ((within_type IS NULL) = (within_id IS NULL))
);

CREATE INDEX activity_by_actor ON kernel_core.activity (workspace_id, actor_id, id);
CREATE INDEX activity_by_target ON kernel_core.activity (workspace_id, target_id, id);
CREATE INDEX activity_by_within ON kernel_core.activity (workspace_id, within_id, id);
-- For the purge: ids begin with the time.
CREATE INDEX activity_by_age ON kernel_core.activity (id);

-- Deletes up to `batch` entries of all workspaces that are older than so many months, the oldest first.
CREATE FUNCTION kernel_core.purge_activity(batch integer, months integer, clock timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    floor  uuid := kernel_core.uuid_floor(
        (coalesce(clock, clock_timestamp()) AT TIME ZONE 'UTC' - make_interval(months => greatest(months, 1)))
        AT TIME ZONE 'UTC');
    purged integer;
BEGIN
    WITH old AS MATERIALIZED (
        SELECT a.workspace_id, a.id
        FROM kernel_core.activity AS a
        WHERE a.id < floor
        ORDER BY a.id
        LIMIT least(batch, 10000)
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM kernel_core.activity AS a
    USING old
    WHERE a.workspace_id = old.workspace_id AND a.id = old.id;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END $$;
