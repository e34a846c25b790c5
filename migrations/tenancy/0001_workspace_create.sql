-- A workspace is a tenant: its row is the first one that belongs to it.
CREATE TABLE kernel_tenancy.workspace (
    workspace_id uuid        NOT NULL,
    slug         text        NOT NULL,
    name         text        NOT NULL,
    status       text        NOT NULL
        CONSTRAINT workspace_status CHECK (status IN ('active', 'read_only', 'suspended', 'deleting')),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CONSTRAINT workspace_pkey PRIMARY KEY (workspace_id),
    -- Slugs are part of public URLs, so that one is taken is no secret.
    CONSTRAINT workspace_slug UNIQUE (slug),
    CONSTRAINT workspace_slug_form CHECK (slug ~ '^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$'),
    CONSTRAINT workspace_name_length CHECK (length(name) BETWEEN 2 AND 100)
);
