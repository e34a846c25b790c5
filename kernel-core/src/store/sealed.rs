//! Sealed columns of any declared table. Names come from declarations, which are literals; values are bound.

use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use uuid::Uuid;

use crate::id::WorkspaceId;
use crate::secret::SealedColumn;

/// A row that was looked at.
#[derive(Debug, Clone, Copy, FromRow)]
pub(crate) struct Seen {
    /// The system's, for a global table.
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) id: Uuid,
    /// Whether the value is not sealed under the present key.
    pub(crate) old: bool,
}

/// The next rows of all workspaces, for staff.
pub(crate) async fn list_tenant(
    conn: &mut PgConnection,
    SealedColumn { schema, table, column }: SealedColumn,
    after: Option<(WorkspaceId, Uuid)>,
    header: &[u8],
    most: i64,
) -> Result<Vec<Seen>, sqlx::Error> {
    // No row is beyond the greatest pair, and the least one is no row's: UUIDv7 ids have a time.
    let (workspace, id) = after.unwrap_or((WorkspaceId::SYSTEM, Uuid::nil()));
    sqlx::query_as(AssertSqlSafe(format!(
        "SELECT workspace_id, id, coalesce(substring(\"{column}\" FROM 1 FOR $1) <> $2, false) AS old
         FROM \"{schema}\".\"{table}\"
         WHERE (workspace_id, id) > ($3, $4)
         ORDER BY workspace_id, id
         LIMIT $5"
    )))
    .bind(i32::try_from(header.len()).unwrap_or(0))
    .bind(header)
    .bind(workspace)
    .bind(id)
    .bind(most)
    .fetch_all(conn)
    .await
}

/// The next rows of a global table.
pub(crate) async fn list_global(
    conn: &mut PgConnection,
    SealedColumn { schema, table, column }: SealedColumn,
    after: Option<Uuid>,
    header: &[u8],
    most: i64,
) -> Result<Vec<Seen>, sqlx::Error> {
    sqlx::query_as(AssertSqlSafe(format!(
        "SELECT $3 AS workspace_id, id, coalesce(substring(\"{column}\" FROM 1 FOR $1) <> $2, false) AS old
         FROM \"{schema}\".\"{table}\"
         WHERE id > $4
         ORDER BY id
         LIMIT $5"
    )))
    .bind(i32::try_from(header.len()).unwrap_or(0))
    .bind(header)
    .bind(WorkspaceId::SYSTEM)
    .bind(after.unwrap_or(Uuid::nil()))
    .bind(most)
    .fetch_all(conn)
    .await
}

/// What these rows hold, in the order of their ids, where they hold anything.
pub(crate) async fn read(
    conn: &mut PgConnection,
    SealedColumn { schema, table, column }: SealedColumn,
    workspace: Option<WorkspaceId>,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, Vec<u8>)>, sqlx::Error> {
    let own = if workspace.is_some() { "workspace_id = $1" } else { "$1 IS NULL" };
    sqlx::query_as(AssertSqlSafe(format!(
        "SELECT id, \"{column}\" FROM \"{schema}\".\"{table}\"
         WHERE {own} AND id = ANY ($2) AND \"{column}\" IS NOT NULL
         ORDER BY id"
    )))
    .bind(workspace)
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// A value before and after it is sealed again.
pub(crate) struct Change {
    pub(crate) id: Uuid,
    pub(crate) before: Vec<u8>,
    pub(crate) after: Vec<u8>,
}

/// Writes what is sealed again, where the value is still the one that was read, and returns how many that were.
pub(crate) async fn replace(
    conn: &mut PgConnection,
    SealedColumn { schema, table, column }: SealedColumn,
    workspace: Option<WorkspaceId>,
    changes: &[Change],
) -> Result<u64, sqlx::Error> {
    let own = if workspace.is_some() { "t.workspace_id = $1" } else { "$1 IS NULL" };
    let ids: Vec<_> = changes.iter().map(|change| change.id).collect();
    let before: Vec<_> = changes.iter().map(|change| change.before.as_slice()).collect();
    let after: Vec<_> = changes.iter().map(|change| change.after.as_slice()).collect();
    let updated = sqlx::query(AssertSqlSafe(format!(
        "UPDATE \"{schema}\".\"{table}\" AS t
         SET \"{column}\" = n.after
         FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n (id, before, after)
         WHERE {own} AND t.id = n.id AND t.\"{column}\" = n.before"
    )))
    .bind(workspace)
    .bind(ids)
    .bind(before)
    .bind(after)
    .execute(conn)
    .await?;
    Ok(updated.rows_affected())
}
