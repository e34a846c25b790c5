use sqlx::PgConnection;

use crate::id::WorkspaceId;

pub(crate) async fn set_workspace(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('app.workspace_id', $1, true)")
        .bind(workspace.uuid().to_string())
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn clear_workspace(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('app.workspace_id', '', true)").execute(conn).await?;
    Ok(())
}

/// The values of settings that are times, in the order of their names here; nothing for one that this connection was
/// not made with.
pub(crate) async fn milliseconds(conn: &mut PgConnection, names: &[&str]) -> Result<Vec<i64>, sqlx::Error> {
    let sql = "SELECT s.setting::bigint FROM unnest($1) WITH ORDINALITY AS n (name, place) \
               JOIN pg_catalog.pg_settings s USING (name) WHERE s.unit = 'ms' AND s.source = 'client' ORDER BY n.place";
    sqlx::query_scalar(sql).bind(names).fetch_all(conn).await
}
