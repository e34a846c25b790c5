-- Who belongs to a workspace, and as what.
CREATE TABLE kernel_tenancy.membership (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    user_id      uuid        NOT NULL,
    role         text        NOT NULL
        CONSTRAINT membership_role CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CONSTRAINT membership_pkey PRIMARY KEY (workspace_id, id),
    CONSTRAINT membership_user UNIQUE (workspace_id, user_id),
    CONSTRAINT membership_workspace FOREIGN KEY (workspace_id)
        REFERENCES kernel_tenancy.workspace (workspace_id) ON DELETE CASCADE
);

-- "My workspaces" asks by user, across workspaces.
CREATE INDEX membership_by_user ON kernel_tenancy.membership (user_id, workspace_id);

-- The workspace of a request, if the user belongs to it: asked before any workspace is known. Every request asks, so it
-- is PL/pgSQL, which keeps the plan; before PostgreSQL 18 a function in SQL is planned anew with each call.
CREATE FUNCTION kernel_tenancy.find_workspace(by_slug text, by_id uuid, member uuid)
RETURNS TABLE (workspace_id uuid, slug text, status text, role text)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog AS $$
BEGIN
    RETURN QUERY
    SELECT w.workspace_id, w.slug, w.status, m.role
    FROM kernel_tenancy.workspace AS w
    JOIN kernel_tenancy.membership AS m ON m.workspace_id = w.workspace_id AND m.user_id = member
    WHERE (w.slug = by_slug OR w.workspace_id = by_id) AND w.status <> 'deleting';
END $$;

-- The workspaces that `member` belongs to, by name, from the one after `after_name` and `after_slug`; from the first where
-- these are null.
CREATE FUNCTION kernel_tenancy.workspaces_of(member uuid, after_name text, after_slug text, batch bigint)
RETURNS TABLE (workspace_id uuid, slug text, name text, status text, role text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
BEGIN ATOMIC
    SELECT w.workspace_id, w.slug, w.name, w.status, m.role
    FROM kernel_tenancy.membership AS m
    JOIN kernel_tenancy.workspace AS w ON w.workspace_id = m.workspace_id
    WHERE m.user_id = member
      AND w.status <> 'deleting'
      AND (after_name IS NULL OR (w.name, w.slug) > (after_name, after_slug))
    ORDER BY w.name, w.slug
    LIMIT least(batch, 500);
END;
