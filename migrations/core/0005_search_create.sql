-- Makes the rows of a tenant table findable by words: called by the migration of whoever owns the table, and declared
-- beside it with `Table::searchable`. The first column counts most; in it parts of words are found too.
--
-- The indexes start with the workspace, which takes an extension (`btree_gin`), as do parts of words (`pg_trgm`). The
-- owner of a database may create both. A host that has them keeps them where they are.
CREATE FUNCTION kernel_core.make_searchable(target regclass, language regconfig, columns text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name     text := (SELECT relname FROM pg_class WHERE oid = target);
    vector   text;
    trigrams text;
BEGIN
    IF coalesce(cardinality(columns), 0) NOT BETWEEN 1 AND 4 THEN
        RAISE EXCEPTION '% is to be found by one to four columns', target;
    END IF;
    CREATE EXTENSION IF NOT EXISTS btree_gin SCHEMA kernel_core;
    CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA kernel_core;
    SELECT quote_ident(n.nspname) INTO trigrams
    FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_trgm';
    SELECT string_agg(format('setweight(to_tsvector(%L::regconfig, coalesce(%I, '''')), %L)',
                             language, c.name, substr('ABCD', c.place::integer, 1)), ' || ' ORDER BY c.place)
    INTO vector
    FROM unnest(columns) WITH ORDINALITY AS c (name, place);
    EXECUTE format('ALTER TABLE %s ADD COLUMN search tsvector NOT NULL GENERATED ALWAYS AS (%s) STORED', target, vector);
    EXECUTE format('CREATE INDEX %I ON %s USING gin (workspace_id, search)', name || '_search', target);
    EXECUTE format('CREATE INDEX %I ON %s USING gin (workspace_id, %I %s.gin_trgm_ops)',
                   name || '_search_parts', target, columns[1], trigrams);
END $$;
REVOKE ALL ON FUNCTION kernel_core.make_searchable(regclass, regconfig, text[]) FROM PUBLIC;
