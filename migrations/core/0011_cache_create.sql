-- The versions of cache tags. A cached value is kept with the versions that its reader saw before computing it, so a bump,
-- which writes another one, hides what was kept before: from others when it commits, and from nobody if it does not.
--
-- A version is random and never comes again. A tag without a row has none, which is a version like any other: a row may
-- therefore go only when whatever was kept before it was written has expired.
CREATE TABLE kernel_core.cache_tag (
    workspace_id uuid        NOT NULL,
    tag          text        NOT NULL CONSTRAINT cache_tag_tag_length CHECK (octet_length(tag) BETWEEN 1 AND 100),
    version      uuid        NOT NULL,
    bumped_at    timestamptz NOT NULL,
    CONSTRAINT cache_tag_pkey PRIMARY KEY (workspace_id, tag)
) WITH (fillfactor = 70);

CREATE INDEX cache_tag_age ON kernel_core.cache_tag (bumped_at);

-- Cached values of all workspaces, sealed, under the hash of what they were kept by.
--
-- Unlogged: the rows are worth less than the log of writing them. After a crash of the server there are none.
CREATE UNLOGGED TABLE kernel_core.cache_entry (
    key_hash     bytea       NOT NULL CONSTRAINT cache_entry_key_length CHECK (length(key_hash) = 32),
    -- The kernel keeps values of up to 256 KiB; sealing adds some bytes.
    sealed_value bytea       NOT NULL CONSTRAINT cache_entry_value_length CHECK (octet_length(sealed_value) <= 262400),
    expires_at   timestamptz NOT NULL,
    CONSTRAINT cache_entry_pkey PRIMARY KEY (key_hash)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Ciphertext cannot be compressed, so it is not tried.
ALTER TABLE kernel_core.cache_entry ALTER COLUMN sealed_value SET STORAGE EXTERNAL;

CREATE INDEX cache_entry_expiry ON kernel_core.cache_entry (expires_at);

-- The value kept under a key, unless it has expired. The moment is the server's clock, because the clocks of nodes differ;
-- only tests, whose clock stands still, hand in another.
CREATE FUNCTION kernel_core.find_cached(key bytea, clock timestamptz) RETURNS bytea
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT e.sealed_value
    FROM kernel_core.cache_entry AS e
    WHERE e.key_hash = key AND e.expires_at > coalesce(clock, clock_timestamp())
$$;

-- Keeps a value under a key for so many milliseconds, thirty days at most, in the place of what was kept there.
CREATE FUNCTION kernel_core.keep_cached(key bytea, value bytea, ttl_ms bigint, clock timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    INSERT INTO kernel_core.cache_entry (key_hash, sealed_value, expires_at)
    VALUES (
        key,
        value,
        coalesce(clock, clock_timestamp()) + least(ttl_ms, 2592000000) * interval '1 millisecond'
    )
    ON CONFLICT (key_hash) DO UPDATE
    SET sealed_value = excluded.sealed_value, expires_at = excluded.expires_at
$$;

-- Deletes up to `batch` expired values, longest expired first: 500 at most, because they may be long.
CREATE FUNCTION kernel_core.purge_cache_entry(batch integer, clock timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    moment timestamptz := coalesce(clock, clock_timestamp());
    purged integer;
BEGIN
    WITH expired AS MATERIALIZED (
        SELECT e.key_hash
        FROM kernel_core.cache_entry AS e
        WHERE e.expires_at <= moment
        ORDER BY e.expires_at
        LIMIT least(batch, 500)
        -- A row that is locked is being replaced.
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM kernel_core.cache_entry AS e USING expired WHERE e.key_hash = expired.key_hash;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END $$;

-- Deletes up to `batch` versions of all workspaces, the oldest first, that are older than any value: the thirty days for
-- which one may be kept, and a day for transactions under way and clocks that differ.
CREATE FUNCTION kernel_core.purge_cache_tag(batch integer, clock timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    moment timestamptz := coalesce(clock, clock_timestamp());
    purged integer;
BEGIN
    WITH old AS MATERIALIZED (
        SELECT t.workspace_id, t.tag
        FROM kernel_core.cache_tag AS t
        WHERE t.bumped_at <= moment - interval '31 days'
        ORDER BY t.bumped_at
        LIMIT least(batch, 10000)
        -- A row that is locked is being bumped.
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM kernel_core.cache_tag AS t USING old WHERE t.workspace_id = old.workspace_id AND t.tag = old.tag;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END $$;
