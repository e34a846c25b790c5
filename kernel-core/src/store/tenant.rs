use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::id::WorkspaceId;

pub(crate) async fn insert(
    conn: &mut PgConnection,
    id: WorkspaceId,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO kernel_core.tenant (workspace_id, created_at) VALUES ($1, $2)")
        .bind(id)
        .bind(at)
        .execute(conn)
        .await?;
    Ok(())
}
