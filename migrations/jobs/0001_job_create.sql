-- Work to do later. A row is inserted in the transaction of whoever wants the work and deleted in the transaction of
-- its effects. What failed for good stays, as 'dead', until someone looks at it.
--
-- attempt counts claims, only ever grows, and is the fencing token: a completion names the attempt it belongs to.
-- forgiven counts the claims that were given back unfinished and so are no failures. lease_owner is the claim, not the
-- worker: a worker that has not heard what a claim got it can still give that back.
CREATE TABLE kernel_jobs.job (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    kind         text        NOT NULL CONSTRAINT job_kind_length CHECK (length(kind) BETWEEN 1 AND 100),
    payload      jsonb       NOT NULL,
    state        text        NOT NULL CONSTRAINT job_state CHECK (state IN ('available', 'running', 'dead')),
    priority     smallint    NOT NULL CONSTRAINT job_priority CHECK (priority BETWEEN 0 AND 3),
    attempt      integer     NOT NULL,
    forgiven     integer     NOT NULL,
    -- NULL: as often as the definition of the kind says.
    max_attempts integer     CONSTRAINT job_max_attempts CHECK (max_attempts > 0),
    run_at       timestamptz NOT NULL,
    leased_until timestamptz,
    lease_owner  uuid,
    -- The stable code of the last failure; its text is in the log, because it may quote what must not lie here.
    last_error   text        CONSTRAINT job_last_error_length CHECK (length(last_error) <= 200),
    unique_key   text        CONSTRAINT job_unique_key_length CHECK (length(unique_key) BETWEEN 1 AND 200),
    request_id   uuid        NOT NULL,
    -- The trace of that request, where it is traced.
    trace_id     uuid,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CONSTRAINT job_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT job_attempt CHECK (attempt >= forgiven AND forgiven >= 0),
    CONSTRAINT job_lease CHECK (
        (state = 'running') = (leased_until IS NOT NULL) AND (state = 'running') = (lease_owner IS NOT NULL))
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- A live job keeps its key through every retry; a dead one has lost it.
CREATE UNIQUE INDEX job_unique_key ON kernel_jobs.job (workspace_id, kind, unique_key)
    WHERE unique_key IS NOT NULL AND state <> 'dead';
CREATE INDEX job_due ON kernel_jobs.job (priority, run_at, id) WHERE state = 'available';
CREATE INDEX job_lease ON kernel_jobs.job (leased_until) WHERE state = 'running';

-- The functions of the queue see every workspace. Their moment is the server's clock, because the clocks of workers
-- differ; only tests, whose clock stands still, hand in another.

-- Leases up to `batch` due jobs of the given kinds to a claim, most urgent and longest due first. Before that, jobs
-- whose lease ran out become claimable again, or dead if that was their last attempt. `remaining` is how many
-- attempts are left after this one.
CREATE FUNCTION kernel_jobs.claim(
    kinds text[], limits integer[], claim uuid, batch integer, lease_ms integer, clock timestamptz
) RETURNS TABLE (
    workspace_id uuid, id uuid, kind text, payload jsonb, attempt integer, remaining integer, request_id uuid,
    trace_id uuid
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz := coalesce(clock, clock_timestamp());
    wanted integer := least(batch, 1000);
    got    integer;
BEGIN
    WITH expired AS MATERIALIZED (
        SELECT j.workspace_id, j.id, j.attempt - j.forgiven >= coalesce(j.max_attempts, known.attempts) AS spent
        FROM kernel_jobs.job AS j
        JOIN unnest(kinds, limits) AS known (kind, attempts) ON known.kind = j.kind
        WHERE j.state = 'running' AND j.leased_until <= moment
        ORDER BY j.leased_until
        LIMIT 1000
        -- Skipped rows are being completed or renewed at this very moment.
        FOR UPDATE OF j SKIP LOCKED
    )
    UPDATE kernel_jobs.job AS j
    SET state = CASE WHEN expired.spent THEN 'dead' ELSE 'available' END,
        leased_until = NULL,
        lease_owner = NULL,
        last_error = 'jobs.lease_expired',
        updated_at = moment
    FROM expired
    WHERE j.workspace_id = expired.workspace_id AND j.id = expired.id;

    -- One index range per priority: a single scan over all of them would walk through every job that is not due yet.
    FOR level IN 0..3 LOOP
        EXIT WHEN wanted <= 0;
        RETURN QUERY
        WITH due AS MATERIALIZED (
            SELECT j.workspace_id, j.id
            FROM kernel_jobs.job AS j
            WHERE j.state = 'available' AND j.priority = level AND j.run_at <= moment AND j.kind = ANY (kinds)
            ORDER BY j.run_at, j.id
            LIMIT wanted
            FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE kernel_jobs.job AS j
            SET state = 'running',
                attempt = j.attempt + 1,
                leased_until = moment + lease_ms * interval '1 millisecond',
                lease_owner = claim,
                updated_at = moment
            FROM due
            WHERE j.workspace_id = due.workspace_id AND j.id = due.id
            RETURNING j.*
        )
        SELECT c.workspace_id, c.id, c.kind, c.payload, c.attempt,
               coalesce(c.max_attempts, limits[array_position(kinds, c.kind)]) - (c.attempt - c.forgiven),
               c.request_id, c.trace_id
        FROM claimed AS c
        ORDER BY c.run_at, c.id;
        GET DIAGNOSTICS got = ROW_COUNT;
        wanted := wanted - got;
    END LOOP;
END $$;

-- Ends a failed attempt: the job runs again after `retry_ms`, or is dead when that is NULL. False when the attempt no
-- longer holds the lease.
CREATE FUNCTION kernel_jobs.fail(
    workspace uuid, job uuid, token integer, error text, retry_ms bigint, clock timestamptz
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    moment timestamptz := coalesce(clock, clock_timestamp());
BEGIN
    UPDATE kernel_jobs.job AS j
    SET state = CASE WHEN retry_ms IS NULL THEN 'dead' ELSE 'available' END,
        run_at = CASE WHEN retry_ms IS NULL THEN j.run_at ELSE moment + retry_ms * interval '1 millisecond' END,
        leased_until = NULL,
        lease_owner = NULL,
        last_error = left(error, 200),
        updated_at = moment
    WHERE j.workspace_id = workspace AND j.id = job AND j.attempt = token AND j.state = 'running';
    RETURN FOUND;
END $$;

-- Ends a job whose handler was done without finishing it in a transaction of its own. False when the attempt no longer
-- holds the lease.
CREATE FUNCTION kernel_jobs.finish(workspace uuid, job uuid, token integer)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    DELETE FROM kernel_jobs.job AS j
    WHERE j.workspace_id = workspace AND j.id = job AND j.attempt = token AND j.state = 'running';
    RETURN FOUND;
END $$;

-- Prolongs leases, and returns the positions (from 1) of those that another worker has taken in the meantime.
CREATE FUNCTION kernel_jobs.renew(
    workspaces uuid[], jobs uuid[], tokens integer[], lease_ms integer, clock timestamptz
) RETURNS SETOF bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    moment timestamptz := coalesce(clock, clock_timestamp());
BEGIN
    WITH held AS MATERIALIZED (
        SELECT j.workspace_id, j.id
        FROM unnest(workspaces, jobs, tokens) AS mine (workspace, job, token)
        JOIN kernel_jobs.job AS j ON j.workspace_id = mine.workspace AND j.id = mine.job
        WHERE j.attempt = mine.token AND j.state = 'running'
        -- A row that is locked is being completed: waiting for it would hold up the other leases.
        FOR UPDATE OF j SKIP LOCKED
    )
    UPDATE kernel_jobs.job AS j
    SET leased_until = moment + lease_ms * interval '1 millisecond', updated_at = moment
    FROM held
    WHERE j.workspace_id = held.workspace_id AND j.id = held.id;

    RETURN QUERY
    SELECT mine.position
    FROM unnest(workspaces, jobs, tokens) WITH ORDINALITY AS mine (workspace, job, token, position)
    JOIN kernel_jobs.job AS j ON j.workspace_id = mine.workspace AND j.id = mine.job
    WHERE j.attempt <> mine.token OR j.state <> 'running';
END $$;

-- Gives unfinished jobs back, to be claimed at once by another worker. The attempt does not count.
CREATE FUNCTION kernel_jobs.release(workspaces uuid[], jobs uuid[], tokens integer[], clock timestamptz)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    given_back integer;
BEGIN
    UPDATE kernel_jobs.job AS j
    SET state = 'available',
        forgiven = j.forgiven + 1,
        leased_until = NULL,
        lease_owner = NULL,
        updated_at = coalesce(clock, clock_timestamp())
    FROM unnest(workspaces, jobs, tokens) AS mine (workspace, job, token)
    WHERE j.workspace_id = mine.workspace AND j.id = mine.job AND j.attempt = mine.token AND j.state = 'running';
    GET DIAGNOSTICS given_back = ROW_COUNT;
    RETURN given_back;
END $$;

-- Gives back what these claims got, because their answers never reached the worker: nobody has begun with it.
CREATE FUNCTION kernel_jobs.disclaim(claims uuid[], clock timestamptz)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    given_back integer;
BEGIN
    UPDATE kernel_jobs.job AS j
    SET state = 'available',
        forgiven = j.forgiven + 1,
        leased_until = NULL,
        lease_owner = NULL,
        updated_at = coalesce(clock, clock_timestamp())
    WHERE j.state = 'running' AND j.lease_owner = ANY (claims);
    GET DIAGNOSTICS given_back = ROW_COUNT;
    RETURN given_back;
END $$;

-- How many jobs there are of each kind in each state, and how long the oldest has been there. Reads the whole table.
CREATE FUNCTION kernel_jobs.depth()
RETURNS TABLE (kind text, state text, jobs bigint, oldest_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT j.kind, j.state, count(*), min(j.created_at)
    FROM kernel_jobs.job AS j
    GROUP BY j.kind, j.state
    ORDER BY j.kind, j.state
$$;
