use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::id::WorkspaceId;

/// A stored answer; `answer` is its headers and body, sealed.
#[derive(Debug, FromRow)]
pub(crate) struct StoredAnswer {
    pub(crate) id: Uuid,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) status: i16,
    pub(crate) answer: Vec<u8>,
}

/// How long a stored answer lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// Whether this transaction now holds the key; another one that runs it lets go when it ends.
pub(crate) async fn try_lock(conn: &mut PgConnection, key: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(key).fetch_one(conn).await
}

/// The answer stored under the scope. A statement of its own, after the lock: its snapshot must see what the holder
/// before us committed.
pub(crate) async fn find(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    scope: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<Option<StoredAnswer>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, fingerprint, status, answer
         FROM kernel_core.idempotency_key
         WHERE workspace_id = $1 AND scope_hash = $2 AND expires_at > $3",
    )
    .bind(workspace)
    .bind(scope.as_slice())
    .bind(now)
    .fetch_optional(conn)
    .await
}

/// Stores an answer, in the place of an expired one if there is one.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    scope: &[u8; 32],
    answer: &StoredAnswer,
    lifetime: Lifetime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO kernel_core.idempotency_key
             (workspace_id, id, scope_hash, fingerprint, status, answer, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (workspace_id, scope_hash) DO UPDATE
         SET id = excluded.id,
             fingerprint = excluded.fingerprint,
             status = excluded.status,
             answer = excluded.answer,
             created_at = excluded.created_at,
             expires_at = excluded.expires_at",
    )
    .bind(workspace)
    .bind(answer.id)
    .bind(scope.as_slice())
    .bind(&answer.fingerprint)
    .bind(answer.status)
    .bind(&answer.answer)
    .bind(lifetime.created_at)
    .bind(lifetime.expires_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes at most so many expired answers, of all workspaces.
pub(crate) async fn purge(
    conn: &mut PgConnection,
    limit: i32,
    clock: Option<DateTime<Utc>>,
) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_core.purge_idempotency_key($1, $2)")
        .bind(limit)
        .bind(clock)
        .fetch_one(conn)
        .await
}
