-- The number that the last published event got. Whoever holds the row's lock is the relay; the lock ends with the
-- transaction that numbered the events, so numbers become visible in order and without gaps. One row as yet.
CREATE TABLE kernel_jobs.relay (
    shard      smallint    NOT NULL,
    last_no    bigint      NOT NULL CONSTRAINT relay_last_no CHECK (last_no >= 0),
    updated_at timestamptz NOT NULL,
    CONSTRAINT relay_pkey PRIMARY KEY (shard)
);

INSERT INTO kernel_jobs.relay (shard, last_no, updated_at) VALUES (0, 0, now());

-- Publishes up to `batch` committed events: numbers them, and enqueues a job for each subscriber of each, all in one
-- transaction. Returns how many there were; NULL when another relay is at work.
--
-- An event that commits late is published late and never skipped: what counts is that it has no number, not where its
-- id or seq lies. Of those that are there, earlier ones go first, so that events of one aggregate are numbered in the order
-- of their transactions, if those followed one another.
CREATE FUNCTION kernel_jobs.relay(events text[], subscribers text[], batch integer, clock timestamptz)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    moment    timestamptz := coalesce(clock, clock_timestamp());
    last      bigint;
    published integer;
BEGIN
    -- Most calls find nothing: they cost one look into the index and no lock.
    IF NOT EXISTS (SELECT FROM kernel_core.outbox AS o WHERE o.published_no IS NULL) THEN
        RETURN 0;
    END IF;

    SELECT r.last_no INTO last FROM kernel_jobs.relay AS r WHERE r.shard = 0 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    -- A statement of its own, so that it sees what the relay before has committed.
    WITH waiting AS MATERIALIZED (
        SELECT o.workspace_id, o.id, o.seq
        FROM kernel_core.outbox AS o
        WHERE o.published_no IS NULL
        ORDER BY o.seq
        LIMIT least(batch, 10000)
        FOR UPDATE SKIP LOCKED
    ), numbered AS (
        SELECT w.workspace_id, w.id, last + row_number() OVER (ORDER BY w.seq) AS no
        FROM waiting AS w
    ), done AS (
        UPDATE kernel_core.outbox AS o
        SET published_no = numbered.no
        FROM numbered
        WHERE o.workspace_id = numbered.workspace_id AND o.id = numbered.id
        RETURNING o.workspace_id, o.id, o.name, o.payload, o.request_id, o.trace_id,
                  o.created_at
    ), reactions AS (
        INSERT INTO kernel_jobs.job
            (workspace_id, id, kind, payload, state, priority, attempt, forgiven, run_at, request_id, trace_id,
             created_at, updated_at)
        SELECT d.workspace_id,
               kernel_jobs.reaction_id(d.id, s.name),
               s.name,
               jsonb_build_object('id', d.id, 'at', d.created_at, 'event', d.payload),
               'available', 2, 0, 0, moment, d.request_id, d.trace_id, moment, moment
        FROM done AS d
        JOIN unnest(events, subscribers) AS s (event, name) ON s.event = d.name
        ON CONFLICT ON CONSTRAINT job_pkey DO NOTHING
    )
    SELECT count(*) INTO published FROM done;

    UPDATE kernel_jobs.relay AS r SET last_no = last + published, updated_at = moment WHERE r.shard = 0;
    RETURN published;
END $$;

-- The id of the job in which a subscriber reacts to an event: the same whenever it is asked for, so that one event
-- cannot become two jobs of one subscriber. A UUIDv7 of the event's time.
CREATE FUNCTION kernel_jobs.reaction_id(event uuid, subscriber text) RETURNS uuid
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT (left(replace(event::text, '-', ''), 12) || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid
    FROM encode(sha256(convert_to(event::text || '/' || subscriber, 'UTF8')), 'hex') AS hash
$$;
