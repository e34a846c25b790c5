//! What PostgreSQL's catalog says about the schemas that pillars own.

use sqlx::PgConnection;

#[derive(Debug, sqlx::FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "a row of the catalog is what it is")]
pub(crate) struct Relation {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// `r` table, `p` partitioned table, `v` view, `m` materialised view.
    pub(crate) kind: String,
    pub(crate) row_security: bool,
    pub(crate) forced: bool,
    pub(crate) owner: String,
    pub(crate) partition: bool,
    pub(crate) security_invoker: bool,
}

pub(crate) async fn relations(
    conn: &mut PgConnection,
    schemas: &[&str],
) -> Result<Vec<Relation>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT n.nspname::text AS schema,
               c.relname::text AS name,
               c.relkind::text AS kind,
               c.relrowsecurity AS row_security,
               c.relforcerowsecurity AS forced,
               pg_get_userbyid(c.relowner)::text AS owner,
               c.relispartition AS partition,
               coalesce('security_invoker=true' = ANY (c.reloptions), false) AS security_invoker
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE (n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'v', 'm'))
           OR (c.relkind IN ('v', 'm') AND EXISTS (
                  SELECT FROM pg_rewrite AS w
                  JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
                  JOIN pg_class AS t ON t.oid = d.refobjid
                  JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
                  WHERE w.ev_class = c.oid AND tn.nspname = ANY ($1)))
        ORDER BY 1, 2
        ",
    )
    .bind(schemas)
    .fetch_all(conn)
    .await
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct PolicyRow {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) permissive: bool,
    pub(crate) command: String,
    pub(crate) roles: Vec<String>,
    pub(crate) using: Option<String>,
    pub(crate) with_check: Option<String>,
}

pub(crate) async fn policies(
    conn: &mut PgConnection,
    schemas: &[&str],
) -> Result<Vec<PolicyRow>, sqlx::Error> {
    sqlx::query_as(
        r#"
        SELECT schemaname::text AS schema,
               tablename::text AS "table",
               policyname::text AS name,
               permissive = 'PERMISSIVE' AS permissive,
               cmd AS command,
               roles::text[] AS roles,
               qual AS "using",
               with_check
        FROM pg_policies
        WHERE schemaname = ANY ($1)
        ORDER BY 1, 2, 3
        "#,
    )
    .bind(schemas)
    .fetch_all(conn)
    .await
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct ColumnRow {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) not_null: bool,
    pub(crate) generated: bool,
    pub(crate) comment: Option<String>,
}

pub(crate) async fn columns(
    conn: &mut PgConnection,
    schemas: &[&str],
) -> Result<Vec<ColumnRow>, sqlx::Error> {
    sqlx::query_as(
        r#"
        SELECT n.nspname::text AS schema,
               c.relname::text AS "table",
               a.attname::text AS name,
               format_type(a.atttypid, NULL) AS type_name,
               a.attnotnull AS not_null,
               a.attgenerated = 's' AS generated,
               col_description(c.oid, a.attnum) AS comment
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY 1, 2, a.attnum
        "#,
    )
    .bind(schemas)
    .fetch_all(conn)
    .await
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct KeyRow {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) name: String,
    /// `p` primary key, `u` unique index, unique or exclusion constraint, `f` foreign key.
    pub(crate) kind: String,
    pub(crate) columns: Vec<String>,
    pub(crate) target_schema: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) target_columns: Option<Vec<String>>,
}

/// Primary keys, unique indexes and foreign keys with their columns in order. An expression counts as a column
/// without a name.
pub(crate) async fn keys(conn: &mut PgConnection, schemas: &[&str]) -> Result<Vec<KeyRow>, sqlx::Error> {
    sqlx::query_as(
        r#"
        SELECT n.nspname::text AS schema,
               c.relname::text AS "table",
               ic.relname::text AS name,
               CASE WHEN i.indisprimary THEN 'p' ELSE 'u' END AS kind,
               ARRAY(SELECT coalesce(a.attname::text, '')
                     FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
                     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum AND k.attnum > 0
                     ORDER BY k.position) AS columns,
               NULL::text AS target_schema,
               NULL::text AS target,
               NULL::text[] AS target_columns
        FROM pg_index i
        JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_class ic ON ic.oid = i.indexrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY ($1) AND (i.indisunique OR i.indisexclusion) AND NOT c.relispartition
        UNION ALL
        SELECT n.nspname::text, c.relname::text, f.conname::text, 'f',
               ARRAY(SELECT a.attname::text FROM unnest(f.conkey) WITH ORDINALITY AS k (attnum, position)
                     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum ORDER BY k.position),
               tn.nspname::text, t.relname::text,
               ARRAY(SELECT a.attname::text FROM unnest(f.confkey) WITH ORDINALITY AS k (attnum, position)
                     JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum ORDER BY k.position)
        FROM pg_constraint f
        JOIN pg_class c ON c.oid = f.conrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_class t ON t.oid = f.confrelid
        JOIN pg_namespace tn ON tn.oid = t.relnamespace
        WHERE n.nspname = ANY ($1) AND f.contype = 'f' AND f.conparentid = 0
        ORDER BY 1, 2, 3
        "#,
    )
    .bind(schemas)
    .fetch_all(conn)
    .await
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct GrantRow {
    pub(crate) schema: String,
    pub(crate) relation: String,
    pub(crate) partition: bool,
    pub(crate) grantee: String,
    pub(crate) privilege: String,
}

/// Grants on tables, and on single columns, to anyone but their owner. One on a column names it after the privilege.
pub(crate) async fn grants(conn: &mut PgConnection, schemas: &[&str]) -> Result<Vec<GrantRow>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT n.nspname::text AS schema,
               c.relname::text AS relation,
               c.relispartition AS partition,
               CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS grantee,
               g.privilege_type || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS privilege
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL aclexplode(c.relacl) AS g
        WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'v', 'm') AND g.grantee <> c.relowner
        UNION ALL
        SELECT n.nspname::text, c.relname::text, c.relispartition,
               CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END,
               format('%s (%I)', g.privilege_type, a.attname)
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL aclexplode(a.attacl) AS g
        WHERE n.nspname = ANY ($1) AND g.grantee <> c.relowner
        ORDER BY 1, 2, 4, 5
        ",
    )
    .bind(schemas)
    .fetch_all(conn)
    .await
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct SchemaGrantRow {
    pub(crate) schema: String,
    pub(crate) grantee: String,
    pub(crate) privilege: String,
}

/// The comments on schemas.
pub(crate) async fn schema_comments(
    conn: &mut PgConnection,
    schemas: &[&str],
) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT n.nspname::text, coalesce(obj_description(n.oid, 'pg_namespace'), '')
        FROM pg_namespace n
        WHERE n.nspname = ANY ($1)
        ",
    )
    .bind(schemas)
    .fetch_all(conn)
    .await
}

/// Grants on the schemas themselves.
pub(crate) async fn schema_grants(
    conn: &mut PgConnection,
    schemas: &[&str],
) -> Result<Vec<SchemaGrantRow>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT n.nspname::text AS schema,
               CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS grantee,
               g.privilege_type || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS privilege
        FROM pg_namespace n
        CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS g
        WHERE n.nspname = ANY ($1)
        ORDER BY 1, 2, 3
        ",
    )
    .bind(schemas)
    .fetch_all(conn)
    .await
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct FunctionRow {
    pub(crate) schema: String,
    /// The name and the argument types: `claim(text,integer)`.
    pub(crate) signature: String,
    pub(crate) definer: bool,
    pub(crate) owner: String,
    /// What it sets while it runs: `search_path=pg_catalog`.
    pub(crate) settings: Vec<String>,
    /// Language, volatility, strictness, whether it is leakproof and parallel-safe, rows and cost: `plpgsql s t f u 100 100`.
    pub(crate) attributes: String,
    pub(crate) source: String,
    pub(crate) callers: Vec<String>,
}

/// The functions of the schemas, and wherever they are those that run as one of the `powerful` roles.
pub(crate) async fn functions(
    conn: &mut PgConnection,
    schemas: &[&str],
    powerful: &[&str],
) -> Result<Vec<FunctionRow>, sqlx::Error> {
    sqlx::query_as(
        r#"
        SELECT n.nspname::text AS schema,
               p.proname || '(' || array_to_string(ARRAY(
                   SELECT format_type(t, NULL) FROM unnest(p.proargtypes::oid[]) AS t), ',') || ')' AS signature,
               p.prosecdef AS definer,
               pg_get_userbyid(p.proowner)::text AS owner,
               coalesce(p.proconfig, '{}') AS settings,
               concat_ws(' ', l.lanname, p.provolatile, p.proisstrict, p.proleakproof, p.proparallel, p.prorows,
                   p.procost) AS attributes,
               p.prosrc AS source,
               ARRAY(SELECT (CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END
                         || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) COLLATE "C"
                     FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS g
                     WHERE g.grantee <> p.proowner ORDER BY 1) AS callers
        FROM pg_proc p
        JOIN pg_namespace n ON n.oid = p.pronamespace
        JOIN pg_language l ON l.oid = p.prolang
        WHERE n.nspname = ANY ($1) OR (p.prosecdef AND pg_get_userbyid(p.proowner) = ANY ($2))
        ORDER BY 1, 2
        "#,
    )
    .bind(schemas)
    .bind(powerful)
    .fetch_all(conn)
    .await
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct GinRow {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) columns: Vec<String>,
}

/// The usable GIN indexes on plain columns, whole tables only.
pub(crate) async fn gin_indexes(
    conn: &mut PgConnection,
    schemas: &[&str],
) -> Result<Vec<GinRow>, sqlx::Error> {
    sqlx::query_as(
        r#"
        SELECT n.nspname::text AS schema,
               c.relname::text AS "table",
               ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
                     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                     ORDER BY k.position) AS columns
        FROM pg_index i
        JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_class ic ON ic.oid = i.indexrelid
        JOIN pg_am am ON am.oid = ic.relam AND am.amname = 'gin'
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY ($1) AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
        "#,
    )
    .bind(schemas)
    .fetch_all(conn)
    .await
}

/// The schema that an extension was created in, quoted where it must be.
pub(crate) async fn extension_schema(
    conn: &mut PgConnection,
    name: &str,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        r"
        SELECT quote_ident(n.nspname)
        FROM pg_extension e
        JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = $1
        ",
    )
    .bind(name)
    .fetch_optional(conn)
    .await
}

/// Foreign keys of these schemas whose columns begin no index: whoever deletes or changes what they name reads the whole
/// table for each row.
pub(crate) async fn unindexed_keys(
    conn: &mut PgConnection,
    schemas: &[&str],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        r"
        SELECT format('%s on %I.%I', k.conname, n.nspname, c.relname)
        FROM pg_constraint AS k
        JOIN pg_class AS c ON c.oid = k.conrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE k.contype = 'f' AND n.nspname = ANY ($1) AND NOT EXISTS (
            SELECT FROM pg_index AS i
            WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL
              AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
        ORDER BY 1
        ",
    )
    .bind(schemas)
    .fetch_all(conn)
    .await
}
