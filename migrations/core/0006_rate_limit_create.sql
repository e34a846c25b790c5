-- What is left of quotas, for all nodes of an app together. A row is a quota and whom it is counted for, as a hash.
--
-- Unlogged: the rows are worth less than the log of writing them. After a crash of the server every quota is whole.
CREATE UNLOGGED TABLE kernel_core.rate_limit (
    id           uuid    NOT NULL,
    -- When the quota is whole again, in microseconds since 1970: the theoretical arrival time of GCRA.
    whole_at     bigint  NOT NULL,
    -- How many requests the last statement took: the one that took them learns it from here.
    taken        integer NOT NULL,
    -- From this hour since 1970 on the row says no more than its absence would. It is not exact, so that it and its index
    -- change once an hour, and all other updates stay on their page.
    expires_hour integer NOT NULL,
    CONSTRAINT rate_limit_pkey PRIMARY KEY (id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE INDEX rate_limit_expiry ON kernel_core.rate_limit (expires_hour);

-- Takes up to `wanted` requests out of a quota that gives back one every `each_us` microseconds and is whole with
-- `most_us` worth of them. Says how many it took, none being a refusal, and in how many microseconds the quota is whole.
--
-- The moment is the server's clock, because the clocks of nodes differ; only tests, whose clock stands still, hand in
-- another. It is read before the row is locked: who waited for the row takes as of when it came, which is never more.
CREATE FUNCTION kernel_core.take_rate(
    subject uuid, wanted integer, each_us bigint, most_us bigint, clock timestamptz
) RETURNS TABLE (got integer, whole_us bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    moment bigint  := (extract(epoch FROM coalesce(clock, clock_timestamp())) * 1000000)::bigint;
    batch  integer := least(greatest(wanted, 1), 1000, most_us / each_us);
    expiry integer := (moment + most_us) / 3600000000 + 2;
BEGIN
    LOOP
        -- An exhausted quota stays so until its time, so a look is enough to refuse: no lock, nothing written.
        SELECT 0, r.whole_at - moment INTO got, whole_us FROM kernel_core.rate_limit AS r WHERE r.id = subject;
        IF whole_us > most_us - each_us THEN
            RETURN NEXT;
            RETURN;
        END IF;

        INSERT INTO kernel_core.rate_limit AS r (id, whole_at, taken, expires_hour)
        VALUES (subject, moment + batch * each_us, batch, expiry)
        ON CONFLICT (id) DO UPDATE
        SET whole_at = greatest(r.whole_at, moment)
                + least(batch, (most_us - greatest(r.whole_at - moment, 0)) / each_us) * each_us,
            taken = least(batch, (most_us - greatest(r.whole_at - moment, 0)) / each_us),
            expires_hour = greatest(r.expires_hour, expiry)
        WHERE r.whole_at - moment <= most_us - each_us
        RETURNING r.taken, r.whole_at - moment INTO got, whole_us;
        IF FOUND THEN
            RETURN NEXT;
            RETURN;
        END IF;
        -- Another one took the last of it in between: the next look sees that.
    END LOOP;
END $$;

-- Deletes up to `batch` rows that say nothing any more, longest expired first.
CREATE FUNCTION kernel_core.purge_rate_limit(batch integer, clock timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    this_hour integer := floor(extract(epoch FROM coalesce(clock, clock_timestamp())) / 3600)::integer;
    purged    integer;
BEGIN
    WITH expired AS MATERIALIZED (
        SELECT r.id
        FROM kernel_core.rate_limit AS r
        WHERE r.expires_hour <= this_hour
        ORDER BY r.expires_hour
        LIMIT least(batch, 10000)
        -- A row that is locked is being spent from.
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM kernel_core.rate_limit AS r USING expired WHERE r.id = expired.id;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END $$;
