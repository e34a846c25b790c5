-- People. A user belongs to no workspace; memberships tie the two together.
CREATE TABLE kernel_auth."user" (
    id                uuid        NOT NULL,
    email             text        NOT NULL,
    -- The address as it is compared: trimmed and lower-cased.
    email_key         text        NOT NULL,
    name              text        NOT NULL,
    password_hash     text        NOT NULL,
    email_verified_at timestamptz,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT user_pkey PRIMARY KEY (id),
    CONSTRAINT user_email_key UNIQUE (email_key),
    CONSTRAINT user_email_length CHECK (length(email) BETWEEN 3 AND 254),
    CONSTRAINT user_name_length CHECK (length(name) BETWEEN 1 AND 100)
);

-- Names for ids that the caller already holds: members, authors. Workspaces see people only through what they refer to.
CREATE FUNCTION kernel_auth.people(ids uuid[])
RETURNS TABLE (id uuid, name text, email text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
BEGIN ATOMIC
    SELECT u.id, u.name, u.email FROM kernel_auth."user" AS u WHERE u.id = ANY (ids);
END;
