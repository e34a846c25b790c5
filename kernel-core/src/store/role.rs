use sqlx::PgConnection;

use crate::db::RoleNames;

/// What the current login may do beyond its policies.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Powers {
    pub(crate) login: String,
    pub(crate) superuser: bool,
    pub(crate) bypass_rls: bool,
    pub(crate) owner: bool,
}

/// Reads the powers of the login, through every membership.
pub(crate) async fn powers(conn: &mut PgConnection, roles: &RoleNames) -> Result<Powers, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT current_user::text AS login,
               bool_or(r.rolsuper) AS superuser,
               bool_or(r.rolbypassrls) AS bypass_rls,
               bool_or(r.rolname = ANY ($1))
                   OR EXISTS (SELECT FROM pg_class c
                              JOIN pg_namespace n ON n.oid = c.relnamespace
                              WHERE c.relrowsecurity
                                AND pg_has_role(current_user, c.relowner, 'MEMBER')) AS owner
        FROM pg_roles r
        WHERE pg_has_role(current_user, r.oid, 'MEMBER')
        ",
    )
    .bind([&roles.owner, &roles.resolver, &roles.search, &roles.migrate].map(String::as_str).to_vec())
    .fetch_one(conn)
    .await
}

/// Whether the current login may execute any of these functions. One that does not exist yet cannot be executed.
pub(crate) async fn may_execute_any(
    conn: &mut PgConnection,
    signatures: &[String],
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        r"
        SELECT coalesce(bool_or(has_function_privilege(to_regprocedure(signature)::oid, 'EXECUTE')), false)
        FROM unnest($1::text[]) AS signature
        WHERE to_regprocedure(signature) IS NOT NULL
        ",
    )
    .bind(signatures)
    .fetch_one(conn)
    .await
}
