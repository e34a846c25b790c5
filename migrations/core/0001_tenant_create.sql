-- Every workspace that was ever founded, whichever pillar keeps its details.
CREATE TABLE kernel_core.tenant (
    workspace_id uuid        NOT NULL,
    created_at   timestamptz NOT NULL,
    CONSTRAINT tenant_pkey PRIMARY KEY (workspace_id),
    CONSTRAINT tenant_is_not_system CHECK (workspace_id <> '00000000-0000-0000-0000-000000000000')
);
