-- Answers to writing requests that carried an Idempotency-Key, stored in the transaction of their effect.
-- The body is sealed: it may hold what is shown only once.
CREATE TABLE kernel_core.idempotency_key (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    scope_hash   bytea       NOT NULL CONSTRAINT idempotency_key_scope_length CHECK (length(scope_hash) = 32),
    fingerprint  bytea       NOT NULL CONSTRAINT idempotency_key_print_length CHECK (length(fingerprint) = 32),
    status       smallint    NOT NULL,
    headers      jsonb       NOT NULL,
    body         bytea       NOT NULL,
    key_id       text        NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    CONSTRAINT idempotency_key_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT idempotency_key_scope UNIQUE (workspace_id, scope_hash)
);

CREATE INDEX idempotency_key_expiry ON kernel_core.idempotency_key (workspace_id, expires_at);
