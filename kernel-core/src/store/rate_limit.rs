use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// What is to be taken out of which quota. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The quota and its subject, as one hash.
    pub(crate) id: Uuid,
    pub(crate) requests: i32,
    /// In which one request comes back.
    pub(crate) each: i64,
    /// In which all of them do.
    pub(crate) most: i64,
}

/// How many requests were got, and in how many microseconds the quota is whole again.
#[derive(Debug, FromRow)]
pub(crate) struct Got {
    pub(crate) got: i32,
    pub(crate) whole_us: i64,
}

/// Takes up to so many requests out of a quota, in one statement that no other one of the kind can come between.
pub(crate) async fn take(
    conn: &mut PgConnection,
    wanted: Wanted,
    clock: Option<DateTime<Utc>>,
) -> Result<Got, sqlx::Error> {
    sqlx::query_as("SELECT got, whole_us FROM kernel_core.take_rate($1, $2, $3, $4, $5)")
        .bind(wanted.id)
        .bind(wanted.requests)
        .bind(wanted.each)
        .bind(wanted.most)
        .bind(clock)
        .fetch_one(conn)
        .await
}

/// Deletes at most so many rows that say nothing any more.
pub(crate) async fn purge(
    conn: &mut PgConnection,
    limit: i32,
    clock: Option<DateTime<Utc>>,
) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_core.purge_rate_limit($1, $2)")
        .bind(limit)
        .bind(clock)
        .fetch_one(conn)
        .await
}
