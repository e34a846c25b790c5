-- Answers to writing requests that carried an Idempotency-Key, stored in the transaction of their effect.
-- Headers and body are sealed: they may hold what is shown only once.
CREATE TABLE kernel_core.idempotency_key (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    scope_hash   bytea       NOT NULL CONSTRAINT idempotency_key_scope_length CHECK (length(scope_hash) = 32),
    fingerprint  bytea       NOT NULL CONSTRAINT idempotency_key_print_length CHECK (length(fingerprint) = 32),
    status       smallint    NOT NULL,
    answer       bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    CONSTRAINT idempotency_key_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT idempotency_key_scope UNIQUE (workspace_id, scope_hash)
);

CREATE INDEX idempotency_key_expiry ON kernel_core.idempotency_key (expires_at);

-- Deletes up to `batch` expired answers of all workspaces, longest expired first. Until then they are there, and no request
-- finds them.
CREATE FUNCTION kernel_core.purge_idempotency_key(batch integer, clock timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    moment timestamptz := coalesce(clock, clock_timestamp());
    purged integer;
BEGIN
    WITH expired AS MATERIALIZED (
        SELECT k.workspace_id, k.id
        FROM kernel_core.idempotency_key AS k
        WHERE k.expires_at <= moment
        ORDER BY k.expires_at
        LIMIT least(batch, 10000)
        -- A row that is locked is being replaced by the answer to a later request.
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM kernel_core.idempotency_key AS k
    USING expired
    WHERE k.workspace_id = expired.workspace_id AND k.id = expired.id;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END $$;
