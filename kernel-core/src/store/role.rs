use sqlx::PgConnection;

use crate::db::RoleNames;

/// What the current login may do beyond its policies.
#[derive(Debug, sqlx::FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "each is a power of its own")]
pub(crate) struct Powers {
    pub(crate) login: String,
    pub(crate) superuser: bool,
    pub(crate) bypass_rls: bool,
    pub(crate) create_role: bool,
    pub(crate) replication: bool,
    pub(crate) owner: bool,
    /// A member of a role of PostgreSQL's own that policies do not stop: on partitions, or by way of the files.
    pub(crate) past_policies: bool,
    /// A member of another login's role.
    pub(crate) other: bool,
    /// May make temporary tables, which outlive a transaction and know no policies.
    pub(crate) temporary: bool,
    /// Has the rights of its own role.
    pub(crate) own: bool,
}

/// Reads the powers of the login, through every membership. `SET ROLE` makes use of any of them, whether it is
/// inherited or not; the rights of the login's `own` role must be inherited, because nobody sets a role here.
pub(crate) async fn powers(
    conn: &mut PgConnection,
    roles: &RoleNames,
    own: &str,
    others: &[&str],
) -> Result<Powers, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT current_user::text AS login,
               bool_or(r.rolsuper) AS superuser,
               bool_or(r.rolbypassrls) AS bypass_rls,
               bool_or(r.rolcreaterole) AS create_role,
               bool_or(r.rolreplication) AS replication,
               bool_or(r.rolname = ANY ($1))
                   OR EXISTS (SELECT FROM pg_class c
                              LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
                              LEFT JOIN pg_class parent ON parent.oid = i.inhparent
                              WHERE (c.relrowsecurity OR parent.relrowsecurity)
                                AND pg_has_role(current_user, c.relowner, 'MEMBER')) AS owner,
               bool_or(r.rolname IN ('pg_execute_server_program', 'pg_read_all_data', 'pg_read_server_files',
                                     'pg_write_all_data', 'pg_write_server_files')) AS past_policies,
               bool_or(r.rolname = ANY ($2)) AS other,
               has_database_privilege(current_user, current_database(), 'TEMPORARY') AS temporary,
               bool_or(r.rolname = $3 AND pg_has_role(current_user, r.oid, 'USAGE')) AS own
        FROM pg_roles r
        WHERE pg_has_role(current_user, r.oid, 'MEMBER')
        ",
    )
    .bind([&roles.owner, &roles.resolver, &roles.search, &roles.migrate].map(String::as_str).to_vec())
    .bind(others)
    .bind(own)
    .fetch_one(conn)
    .await
}

/// Whether the current login may execute any of these functions, itself or as any role that it is a member of. One that
/// does not exist yet cannot be executed.
pub(crate) async fn may_execute_any(
    conn: &mut PgConnection,
    signatures: &[String],
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        r"
        SELECT EXISTS (
            SELECT FROM unnest($1::text[]) AS signature
            JOIN pg_roles AS r ON pg_has_role(current_user, r.oid, 'MEMBER')
            WHERE to_regprocedure(signature) IS NOT NULL
              AND has_function_privilege(r.oid, to_regprocedure(signature)::oid, 'EXECUTE'))
        ",
    )
    .bind(signatures)
    .fetch_one(conn)
    .await
}
