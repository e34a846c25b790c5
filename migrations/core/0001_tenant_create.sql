-- Every workspace that was ever founded, whichever pillar keeps its details.
CREATE TABLE kernel_core.tenant (
    workspace_id uuid        NOT NULL,
    created_at   timestamptz NOT NULL,
    CONSTRAINT tenant_pkey PRIMARY KEY (workspace_id),
    CONSTRAINT tenant_is_not_system CHECK (workspace_id <> '00000000-0000-0000-0000-000000000000')
);

-- Drops what a pooler's other clients have prepared on this connection under the names that the driver gives. Called at the
-- beginning of each transaction, so nothing is looked up by a search path and none is set.
CREATE FUNCTION kernel_core.forget_statements() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT p.name FROM pg_catalog.pg_prepared_statements AS p WHERE pg_catalog.starts_with(p.name, 'sqlx_s_')
    LOOP
        EXECUTE pg_catalog.format('DEALLOCATE %I', statement);
    END LOOP;
END $$;
