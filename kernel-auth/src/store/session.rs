use chrono::{DateTime, Utc};
use kernel_core::UserId;
use sqlx::PgConnection;

use crate::session::SessionId;

pub(crate) struct NewSession {
    pub(crate) id: SessionId,
    pub(crate) token_hash: [u8; 32],
    pub(crate) user_id: UserId,
    pub(crate) at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
    pub(crate) ip_address: Option<String>,
    pub(crate) user_agent: Option<String>,
}

pub(crate) async fn insert(conn: &mut PgConnection, session: &NewSession) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        INSERT INTO kernel_auth.session
            (id, token_hash, user_id, created_at, updated_at, expires_at, ends_at, ip_address, user_agent)
        VALUES ($1, $2, $3, $4, $4, $5, $6, $7::inet, $8)
        ",
    )
    .bind(session.id)
    .bind(session.token_hash.as_slice())
    .bind(session.user_id)
    .bind(session.at)
    .bind(session.expires_at)
    .bind(session.ends_at)
    .bind(session.ip_address.as_deref())
    .bind(session.user_agent.as_deref())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
pub(crate) struct Found {
    pub(crate) id: SessionId,
    pub(crate) user_id: UserId,
    pub(crate) verified: bool,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
}

pub(crate) async fn find(
    conn: &mut PgConnection,
    token_hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<Option<Found>, sqlx::Error> {
    sqlx::query_as("SELECT id, user_id, verified, expires_at, ends_at FROM kernel_auth.find_session($1, $2)")
        .bind(token_hash.as_slice())
        .bind(now)
        .fetch_optional(conn)
        .await
}

pub(crate) async fn slide(
    conn: &mut PgConnection,
    id: SessionId,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    // Never backwards: a slower request that saw an older time must not shorten it.
    sqlx::query(
        "UPDATE kernel_auth.session SET expires_at = $2, updated_at = $3 WHERE id = $1 AND expires_at < $2",
    )
    .bind(id)
    .bind(expires_at)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn delete(
    conn: &mut PgConnection,
    token_hash: &[u8; 32],
) -> Result<Option<UserId>, sqlx::Error> {
    sqlx::query_scalar("DELETE FROM kernel_auth.session WHERE token_hash = $1 RETURNING user_id")
        .bind(token_hash.as_slice())
        .fetch_optional(conn)
        .await
}
