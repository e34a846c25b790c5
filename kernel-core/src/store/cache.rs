use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::id::WorkspaceId;

/// Where a transaction stands before it asks the cache.
#[derive(Debug, FromRow)]
pub(crate) struct Seen {
    /// Whether it has written anything.
    pub(crate) written: bool,
    /// The versions of the tags that have one, in no order that means anything: no two tags ever share one.
    pub(crate) versions: Vec<Uuid>,
}

/// The versions of these tags, and whether the transaction has written.
pub(crate) async fn seen(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    tags: &[&str],
) -> Result<Seen, sqlx::Error> {
    sqlx::query_as(
        "SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS written,
                ARRAY(
                    SELECT t.version
                    FROM kernel_core.cache_tag AS t
                    WHERE t.workspace_id = $1 AND t.tag = ANY($2)
                    ORDER BY t.version
                ) AS versions",
    )
    .bind(workspace)
    .bind(tags)
    .fetch_one(conn)
    .await
}

/// Gives each tag its version. The rows stay locked until the transaction ends; one order for all keeps two of them from
/// waiting for each other.
pub(crate) async fn bump(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    tags: &[&str],
    versions: &[Uuid],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO kernel_core.cache_tag (workspace_id, tag, version, bumped_at)
         SELECT $1, n.tag, n.version, $4
         FROM unnest($2::text[], $3::uuid[]) AS n (tag, version)
         ORDER BY n.tag
         ON CONFLICT (workspace_id, tag) DO UPDATE
         SET version = excluded.version, bumped_at = excluded.bumped_at",
    )
    .bind(workspace)
    .bind(tags)
    .bind(versions)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// The value that is kept under the key and has not expired.
pub(crate) async fn find(
    conn: &mut PgConnection,
    key: &[u8; 32],
    clock: Option<DateTime<Utc>>,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_core.find_cached($1, $2)")
        .bind(key.as_slice())
        .bind(clock)
        .fetch_one(conn)
        .await
}

/// Keeps a value under the key for so many milliseconds.
pub(crate) async fn keep(
    conn: &mut PgConnection,
    key: &[u8; 32],
    value: &[u8],
    ttl_ms: i64,
    clock: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT kernel_core.keep_cached($1, $2, $3, $4)")
        .bind(key.as_slice())
        .bind(value)
        .bind(ttl_ms)
        .bind(clock)
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes at most so many expired values.
pub(crate) async fn purge_entries(
    conn: &mut PgConnection,
    limit: i32,
    clock: Option<DateTime<Utc>>,
) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_core.purge_cache_entry($1, $2)")
        .bind(limit)
        .bind(clock)
        .fetch_one(conn)
        .await
}

/// Deletes at most so many versions, of all workspaces, that no value can be kept under any more.
pub(crate) async fn purge_tags(
    conn: &mut PgConnection,
    limit: i32,
    clock: Option<DateTime<Utc>>,
) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_core.purge_cache_tag($1, $2)")
        .bind(limit)
        .bind(clock)
        .fetch_one(conn)
        .await
}
