-- Rules of the log's texts, as domains: PostgreSQL reads the checks of a table anew for every statement and those of a
-- domain once per connection, and that reading was a third of what a row costs.
CREATE DOMAIN kernel_core.audit_actor_type AS text
    CONSTRAINT audit_actor_type_known CHECK (value IN ('anonymous', 'api_key', 'staff', 'system', 'user'));
CREATE DOMAIN kernel_core.audit_action AS text
    CONSTRAINT audit_action_length CHECK (length(value) BETWEEN 1 AND 100);

-- Who did what to what. Rows of the system workspace (the nil UUID) are events of accounts, not of workspaces.
--
-- Partitioned by the UUIDv7 id, whose first 48 bits are the time in milliseconds: the primary key needs no second
-- time column. Actors are opaque ids without foreign keys, so that erasing a person leaves the log whole.
CREATE TABLE kernel_core.audit_log (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    actor_type   kernel_core.audit_actor_type NOT NULL,
    actor_id     uuid,
    acting_as    uuid,
    action       kernel_core.audit_action NOT NULL,
    target_type  text,
    target_id    uuid,
    metadata     jsonb       NOT NULL,
    ip_address   inet,
    user_agent   text,
    request_id   uuid        NOT NULL,
    created_at   timestamptz NOT NULL,
    CONSTRAINT audit_log_target CHECK ((target_type IS NULL) = (target_id IS NULL) AND length(target_type) <= 100),
    -- What Rust can read.
    CONSTRAINT audit_log_created_at CHECK (created_at BETWEEN '1970-01-01Z' AND '9999-12-31Z')
) PARTITION BY RANGE (id);

CREATE INDEX audit_log_actor ON kernel_core.audit_log (workspace_id, actor_id, id DESC);
CREATE INDEX audit_log_target ON kernel_core.audit_log (workspace_id, target_type, target_id, id DESC);
-- After the others: of indexes that seem equally good, as in a month that was never analyzed, the planner takes the last.
ALTER TABLE kernel_core.audit_log ADD CONSTRAINT audit_log_pkey PRIMARY KEY (workspace_id, id);

-- The first UUIDv7 of a moment.
CREATE FUNCTION kernel_core.uuid_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;

-- Makes the partitions of this month and of the given number of months to come. The moment is the server's clock; only
-- tests hand in another.
CREATE FUNCTION kernel_core.ensure_audit_partitions(months integer, clock timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '1s' AS $$
DECLARE
    first_day date := date_trunc('month', coalesce(clock, now()) AT TIME ZONE 'UTC')::date;
    name      text;
BEGIN
    FOR i IN 0..least(months, 120) LOOP
        name := 'audit_log_' || to_char(first_day, 'YYYY_MM');
        IF to_regclass('kernel_core.' || name) IS NULL THEN
            -- Attached rather than made in its place: writers go on meanwhile.
            EXECUTE format('CREATE TABLE kernel_core.%I (LIKE kernel_core.audit_log INCLUDING ALL)', name);
            EXECUTE format(
                'ALTER TABLE kernel_core.audit_log ATTACH PARTITION kernel_core.%I FOR VALUES FROM (%L) TO (%L)',
                name,
                kernel_core.uuid_floor(first_day::timestamp AT TIME ZONE 'UTC'),
                kernel_core.uuid_floor((first_day + interval '1 month') AT TIME ZONE 'UTC'));
        END IF;
        first_day := (first_day + interval '1 month')::date;
    END LOOP;
END $$;

SELECT kernel_core.ensure_audit_partitions(12, NULL);

-- Rows beyond the partitions made ahead are kept, and their presence here is a reason for an alarm.
CREATE TABLE kernel_core.audit_log_default PARTITION OF kernel_core.audit_log DEFAULT;
