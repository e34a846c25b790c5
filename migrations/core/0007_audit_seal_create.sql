-- The audit log's seals. A row is written here, in its own transaction; the sealer numbers the rows per workspace without
-- gaps, chains them, and moves them into the log. A row that commits late is sealed late and never skipped: what counts is
-- that it is here, not where its id lies. Whoever writes pays for one index and no partition, and what is in the log is
-- sealed.
CREATE TABLE kernel_core.audit_unsealed (
    LIKE kernel_core.audit_log INCLUDING CONSTRAINTS,
    CONSTRAINT audit_unsealed_pkey PRIMARY KEY (workspace_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Writes a row. Called by whoever acts, under the policies; no search path decides what its names mean.
--
-- After the last row of a transaction it does what the kernel does before each commit: errors of deferred constraints
-- come now, and no cursor and no setting of this transaction stays on the connection. A pooler's own settings do.
CREATE FUNCTION kernel_core.record_audit(
    workspace_id uuid, id uuid, actor_type text, actor_id uuid, acting_as uuid, action text, target_type text,
    target_id uuid, metadata jsonb, ip_address text, user_agent text, request_id uuid, created_at timestamptz,
    last boolean, pooled boolean
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kernel_core.audit_unsealed
        (workspace_id, id, actor_type, actor_id, acting_as, action, target_type, target_id, metadata, ip_address,
         user_agent, request_id, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::pg_catalog.inet, $11, $12, $13);
    IF last THEN
        SET CONSTRAINTS ALL IMMEDIATE;
        EXECUTE 'CLOSE ALL';
        IF NOT pooled THEN
            RESET ALL;
        END IF;
        RESET app.workspace_id;
    END IF;
END $$;

-- A seal outlives its row by a little: the hash covers the digest of the row, so that the chain can still be followed
-- where retention has taken rows out of it. What is personal enters the digest as a salted hash of its own, so that it
-- can be erased one day without breaking the chain.
CREATE TABLE kernel_core.audit_seal (
    workspace_id uuid   NOT NULL,
    seq          bigint NOT NULL CONSTRAINT audit_seal_seq CHECK (seq > 0),
    id           uuid   NOT NULL,
    salt         bytea  NOT NULL CONSTRAINT audit_seal_salt_length CHECK (length(salt) = 16),
    personal     bytea  NOT NULL CONSTRAINT audit_seal_personal_length CHECK (length(personal) = 32),
    digest       bytea  NOT NULL CONSTRAINT audit_seal_digest_length CHECK (length(digest) = 32),
    hash         bytea  NOT NULL CONSTRAINT audit_seal_hash_length CHECK (length(hash) = 32),
    CONSTRAINT audit_seal_pkey PRIMARY KEY (workspace_id, seq),
    CONSTRAINT audit_seal_row UNIQUE (workspace_id, id)
);

-- Where each chain ends, and since when rows are kept: seals up to floor_seq are gone, and rows below floor_id may be.
-- The code is made with a key of the application that the database never sees.
CREATE TABLE kernel_core.audit_head (
    workspace_id uuid        NOT NULL,
    seq          bigint      NOT NULL CONSTRAINT audit_head_seq CHECK (seq > 0),
    hash         bytea       NOT NULL CONSTRAINT audit_head_hash_length CHECK (length(hash) = 32),
    floor_seq    bigint      NOT NULL CONSTRAINT audit_head_floor CHECK (floor_seq BETWEEN 0 AND seq),
    floor_hash   bytea       NOT NULL CONSTRAINT audit_head_floor_hash_length CHECK (length(floor_hash) = 32),
    floor_id     uuid        NOT NULL,
    sealed_at    timestamptz NOT NULL,
    code         bytea       NOT NULL,
    CONSTRAINT audit_head_pkey PRIMARY KEY (workspace_id)
);

-- How many chains there are and how long they are together, so that none disappears or grows shorter by itself. Whoever
-- holds the row's lock is the sealer.
CREATE TABLE kernel_core.audit_total (
    id         smallint    NOT NULL CONSTRAINT audit_total_one CHECK (id = 1),
    workspaces bigint      NOT NULL,
    sealed     bigint      NOT NULL,
    sealed_at  timestamptz NOT NULL,
    code       bytea       NOT NULL,
    CONSTRAINT audit_total_pkey PRIMARY KEY (id)
);

INSERT INTO kernel_core.audit_total (id, workspaces, sealed, sealed_at, code) VALUES (1, 0, 0, 'epoch', '');

-- Takes the sealer's turn until the transaction ends; nothing when another one has it.
CREATE FUNCTION kernel_core.begin_audit_seal()
RETURNS TABLE (workspaces bigint, sealed bigint, sealed_at timestamptz, code bytea)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT t.workspaces, t.sealed, t.sealed_at, t.code
    FROM kernel_core.audit_total AS t
    WHERE t.id = 1
    FOR UPDATE SKIP LOCKED
$$;

-- Committed rows that no seal covers, in the order in which they are to be sealed. The seal is looked up by the row,
-- whatever the planner thinks of the size of the log.
CREATE FUNCTION kernel_core.unsealed_audit(batch integer, skipped uuid[])
RETURNS SETOF kernel_core.audit_unsealed
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT found.*
    FROM (
        SELECT u.*
        FROM kernel_core.audit_unsealed AS u
        CROSS JOIN LATERAL (
            SELECT FROM (
                SELECT count(*) AS seals FROM kernel_core.audit_seal AS s
                WHERE s.workspace_id = u.workspace_id AND s.id = u.id
            ) AS sealed WHERE sealed.seals = 0
        ) AS open
        WHERE u.workspace_id <> ALL (skipped)
        LIMIT least(batch, 10000)
    ) AS found
    ORDER BY found.workspace_id, found.id
$$;

-- The heads of these workspaces. One without a head comes with `orphaned` if it has seals all the same.
CREATE FUNCTION kernel_core.audit_heads(workspaces uuid[])
RETURNS TABLE (
    workspace_id uuid, seq bigint, hash bytea, floor_seq bigint, floor_hash bytea, floor_id uuid,
    sealed_at timestamptz, code bytea, orphaned boolean
) LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT w.workspace_id, h.seq, h.hash, h.floor_seq, h.floor_hash, h.floor_id, h.sealed_at, h.code,
           h.workspace_id IS NULL AND EXISTS (
               SELECT FROM kernel_core.audit_seal AS s WHERE s.workspace_id = w.workspace_id)
    FROM unnest(workspaces) AS w (workspace_id)
    LEFT JOIN kernel_core.audit_head AS h ON h.workspace_id = w.workspace_id
$$;

-- Puts seals on rows and moves them into the log. Rows are looked up by their seals, whatever the planner thinks of the size
-- of a table that is empty most of the time. A row whose id is in the log already gives way to that one: if they are not the
-- same, the seal says so.
CREATE FUNCTION kernel_core.seal_audit(
    workspaces uuid[], seqs bigint[], ids uuid[], salts bytea[], personals bytea[], digests bytea[], hashes bytea[]
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off AS $$
    INSERT INTO kernel_core.audit_seal (workspace_id, seq, id, salt, personal, digest, hash)
    SELECT * FROM unnest(workspaces, seqs, ids, salts, personals, digests, hashes);
    WITH moved AS (
        DELETE FROM kernel_core.audit_unsealed AS u
        WHERE u.ctid = ANY (ARRAY(
            SELECT found.place
            FROM unnest(workspaces, ids) AS sealed (workspace_id, id)
            CROSS JOIN LATERAL (
                SELECT w.ctid AS place FROM kernel_core.audit_unsealed AS w
                WHERE w.workspace_id = sealed.workspace_id AND w.id = sealed.id
                OFFSET 0
            ) AS found
        ))
        RETURNING u.*
    )
    INSERT INTO kernel_core.audit_log
        (workspace_id, id, actor_type, actor_id, acting_as, action, target_type, target_id, metadata, ip_address,
         user_agent, request_id, created_at)
    SELECT m.workspace_id, m.id, m.actor_type, m.actor_id, m.acting_as, m.action, m.target_type, m.target_id, m.metadata,
           m.ip_address, m.user_agent, m.request_id, m.created_at
    FROM moved AS m
    ON CONFLICT (workspace_id, id) DO NOTHING;
$$;

-- Moves heads, or makes them.
CREATE FUNCTION kernel_core.set_audit_heads(
    workspaces uuid[], seqs bigint[], hashes bytea[], floor_seqs bigint[], floor_hashes bytea[], floor_ids uuid[],
    moment timestamptz, codes bytea[]
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    INSERT INTO kernel_core.audit_head AS h
        (workspace_id, seq, hash, floor_seq, floor_hash, floor_id, sealed_at, code)
    SELECT w, s, x, fs, fx, fi, moment, c
    FROM unnest(workspaces, seqs, hashes, floor_seqs, floor_hashes, floor_ids, codes) AS n (w, s, x, fs, fx, fi, c)
    ON CONFLICT (workspace_id) DO UPDATE
    SET seq = excluded.seq, hash = excluded.hash, floor_seq = excluded.floor_seq, floor_hash = excluded.floor_hash,
        floor_id = excluded.floor_id, sealed_at = excluded.sealed_at, code = excluded.code
$$;

CREATE FUNCTION kernel_core.set_audit_total(workspaces bigint, sealed bigint, moment timestamptz, code bytea)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    UPDATE kernel_core.audit_total AS t
    SET workspaces = set_audit_total.workspaces,
        sealed = set_audit_total.sealed,
        sealed_at = moment,
        code = set_audit_total.code
    WHERE t.id = 1
$$;

-- Heads whose floor lies below `cutoff`, each with the floor that it gets when the rows below are gone: the last seal
-- before the first row that stays.
CREATE FUNCTION kernel_core.audit_floors(cutoff uuid, batch integer)
RETURNS TABLE (
    workspace_id uuid, seq bigint, hash bytea, floor_seq bigint, floor_hash bytea, floor_id uuid,
    sealed_at timestamptz, code bytea, new_seq bigint, new_hash bytea
) LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT h.workspace_id, h.seq, h.hash, h.floor_seq, h.floor_hash, h.floor_id, h.sealed_at, h.code, f.seq,
           coalesce(
               (SELECT s.hash FROM kernel_core.audit_seal AS s WHERE s.workspace_id = h.workspace_id AND s.seq = f.seq),
               h.floor_hash)
    FROM (
        SELECT * FROM kernel_core.audit_head AS b WHERE b.floor_id < cutoff
        ORDER BY b.workspace_id
        LIMIT least(batch, 10000)
    ) AS h
    CROSS JOIN LATERAL (
        SELECT coalesce(
            (SELECT s.seq - 1 FROM kernel_core.audit_seal AS s
             WHERE s.workspace_id = h.workspace_id AND s.seq > h.floor_seq AND s.id >= cutoff
             ORDER BY s.seq LIMIT 1),
            h.seq) AS seq
    ) AS f
$$;

-- Drops the seals up to each workspace's floor.
CREATE FUNCTION kernel_core.drop_audit_seals(workspaces uuid[], floors bigint[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    DELETE FROM kernel_core.audit_seal AS s
    USING unnest(workspaces, floors) AS below (workspace_id, seq)
    WHERE s.workspace_id = below.workspace_id AND s.seq <= below.seq
$$;

-- Whether every row below `cutoff` has its seal.
CREATE FUNCTION kernel_core.is_audit_sealed(cutoff uuid) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT NOT EXISTS (
           SELECT FROM kernel_core.audit_unsealed AS u
           WHERE u.id < cutoff
             AND NOT EXISTS (
                 SELECT FROM kernel_core.audit_seal AS s WHERE s.workspace_id = u.workspace_id AND s.id = u.id))
       AND NOT EXISTS (
           SELECT FROM kernel_core.audit_log AS a
           WHERE a.id < cutoff
             AND NOT EXISTS (
                 SELECT FROM kernel_core.audit_seal AS s WHERE s.workspace_id = a.workspace_id AND s.id = a.id)
             -- The seal of a row below the floor may be gone already.
             AND NOT EXISTS (
                 SELECT FROM kernel_core.audit_head AS h WHERE h.workspace_id = a.workspace_id AND a.id < h.floor_id))
$$;

-- Drops the partition of a month. Whatever the caller's configuration says, a year by the server's clock is kept. While it
-- waits for those who have the log, everybody else waits behind it: not for long, it is tried again.
CREATE FUNCTION kernel_core.drop_audit_partition(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '300ms' AS $$
BEGIN
    IF month + interval '13 months' > now() AT TIME ZONE 'UTC' THEN
        RAISE EXCEPTION 'the audit log of % is not a year old', month;
    END IF;
    EXECUTE format('DROP TABLE kernel_core.%I', 'audit_log_' || to_char(month, 'YYYY_MM'));
END $$;

-- How many rows lie beyond the partitions made ahead, counted up to 1000. The caller owns the partition, whose rows its
-- parent's policies do not hide.
CREATE FUNCTION kernel_core.audit_rows_beyond() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT count(*) FROM (SELECT FROM kernel_core.audit_log_default LIMIT 1000) AS beyond
$$;

-- What is written stays, for the owner too.
CREATE FUNCTION kernel_core.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'the audit log takes rows and lets none go' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE ON kernel_core.audit_log
    FOR EACH ROW EXECUTE FUNCTION kernel_core.refuse_change();
CREATE TRIGGER audit_log_is_not_truncated BEFORE TRUNCATE ON kernel_core.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION kernel_core.refuse_change();
CREATE TRIGGER audit_unsealed_stays BEFORE UPDATE ON kernel_core.audit_unsealed
    FOR EACH ROW EXECUTE FUNCTION kernel_core.refuse_change();
CREATE TRIGGER audit_unsealed_is_not_truncated BEFORE TRUNCATE ON kernel_core.audit_unsealed
    FOR EACH STATEMENT EXECUTE FUNCTION kernel_core.refuse_change();

-- Before its seal is there, a row goes nowhere.
CREATE FUNCTION kernel_core.refuse_loss() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog SET enable_seqscan = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM kernel_core.audit_seal AS s WHERE s.workspace_id = old.workspace_id AND s.id = old.id) THEN
        RAISE EXCEPTION 'a row of the audit log is not sealed yet' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN old;
END $$;

CREATE TRIGGER audit_unsealed_is_not_lost BEFORE DELETE ON kernel_core.audit_unsealed
    FOR EACH ROW EXECUTE FUNCTION kernel_core.refuse_loss();
