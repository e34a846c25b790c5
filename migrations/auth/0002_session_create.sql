-- Browser sessions. The cookie holds 256 random bits; the row holds their SHA-256, which opens nothing.
CREATE TABLE kernel_auth.session (
    id           uuid        NOT NULL,
    token_hash   bytea       NOT NULL,
    user_id      uuid        NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    -- Slides with use, up to ends_at.
    expires_at   timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    ip_address   inet,
    user_agent   text,
    CONSTRAINT session_pkey PRIMARY KEY (id),
    CONSTRAINT session_token_hash UNIQUE (token_hash),
    CONSTRAINT session_token_hash_length CHECK (length(token_hash) = 32),
    CONSTRAINT session_user_id FOREIGN KEY (user_id) REFERENCES kernel_auth."user" (id) ON DELETE CASCADE,
    CONSTRAINT session_order CHECK (expires_at <= ends_at)
);

CREATE INDEX session_by_user ON kernel_auth.session (user_id);
CREATE INDEX session_expiry ON kernel_auth.session (expires_at);

-- Who is behind a session cookie: asked before any workspace is known. Every request asks, so it is PL/pgSQL, which keeps
-- the plan; before PostgreSQL 18 a function in SQL is planned anew with each call.
CREATE FUNCTION kernel_auth.find_session(token_hash bytea, moment timestamptz)
RETURNS TABLE (id uuid, user_id uuid, verified boolean, expires_at timestamptz, ends_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog AS $$
BEGIN
    RETURN QUERY
    SELECT s.id, s.user_id, u.email_verified_at IS NOT NULL, s.expires_at, s.ends_at
    FROM kernel_auth.session AS s
    JOIN kernel_auth."user" AS u ON u.id = s.user_id
    WHERE s.token_hash = find_session.token_hash AND s.expires_at > moment;
END $$;
