-- When each chore is due. Whoever holds the row's lock does the chore; the lock ends with the transaction that did it, so a
-- chore is done by one process at a time, and one that dies lets go at once.
CREATE TABLE kernel_jobs.chore (
    name       text        NOT NULL CONSTRAINT chore_name_length CHECK (length(name) BETWEEN 1 AND 100),
    due_at     timestamptz NOT NULL,
    -- When it last came to a good end.
    done_at    timestamptz,
    -- How often it has failed since then.
    failures   integer     NOT NULL CONSTRAINT chore_failures CHECK (failures >= 0),
    last_error text        CONSTRAINT chore_last_error_length CHECK (length(last_error) <= 200),
    CONSTRAINT chore_pkey PRIMARY KEY (name)
) WITH (fillfactor = 50);

-- Makes chores known; those that are new are due at once. A transaction of its own, because another one that makes the
-- same chore known would otherwise be waited for until it has done the chore.
CREATE FUNCTION kernel_jobs.know_chores(names text[], clock timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    INSERT INTO kernel_jobs.chore (name, due_at, failures)
    SELECT n, coalesce(clock, clock_timestamp()), 0 FROM unnest(names) AS n
    ON CONFLICT (name) DO NOTHING
$$;

-- Takes a chore until the transaction ends. Returns 0 for a caller that has it now, otherwise in how many milliseconds it
-- is due; NULL when another process is at it.
CREATE FUNCTION kernel_jobs.take_chore(chore text, clock timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    due timestamptz;
BEGIN
    SELECT c.due_at INTO due FROM kernel_jobs.chore AS c WHERE c.name = chore FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN greatest(0, ceil(extract(epoch FROM due - coalesce(clock, clock_timestamp())) * 1000))::bigint;
END $$;

-- Notes that a chore is done, in the transaction that did it.
CREATE FUNCTION kernel_jobs.chore_done(chore text, wait_ms bigint, clock timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    UPDATE kernel_jobs.chore AS c
    SET due_at = coalesce(clock, clock_timestamp()) + wait_ms * interval '1 millisecond',
        done_at = coalesce(clock, clock_timestamp()),
        failures = 0,
        last_error = NULL
    WHERE c.name = chore
$$;

-- Notes that a chore has failed. Returns false when another process is at it meanwhile, or it is unknown.
CREATE FUNCTION kernel_jobs.chore_failed(chore text, error text, wait_ms bigint, clock timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    PERFORM FROM kernel_jobs.chore AS c WHERE c.name = chore FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE kernel_jobs.chore AS c
    SET due_at = coalesce(clock, clock_timestamp()) + wait_ms * interval '1 millisecond',
        failures = c.failures + 1,
        last_error = left(error, 200)
    WHERE c.name = chore;
    RETURN true;
END $$;
