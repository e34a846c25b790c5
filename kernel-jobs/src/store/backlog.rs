//! What waits, over all workspaces: for staff, and for the metrics of a worker.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// How many jobs of each kind are dead.
pub(crate) async fn dead(conn: &mut PgConnection) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT kind, count(*) FROM kernel_jobs.job WHERE state = 'dead' GROUP BY kind ORDER BY kind",
    )
    .fetch_all(conn)
    .await
}

/// How many jobs have been due for five minutes.
pub(crate) async fn late(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT count(*) FROM kernel_jobs.job \
         WHERE state = 'available' AND run_at < clock_timestamp() - interval '5 minutes'",
    )
    .fetch_one(conn)
    .await
}

/// How many events have waited for five minutes.
pub(crate) async fn unrelayed(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT count(*) FROM kernel_core.outbox \
         WHERE published_no IS NULL AND created_at < clock_timestamp() - interval '5 minutes'",
    )
    .fetch_one(conn)
    .await
}

/// What waits in the core's tables, ten thousand of each at most, and for how long. And how many audit rows, a thousand at
/// most, lie in no month's partition.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Backlog {
    pub(crate) events: i64,
    pub(crate) event_seconds: f64,
    pub(crate) audit_rows: i64,
    pub(crate) audit_seconds: f64,
    pub(crate) audit_misplaced: i64,
}

pub(crate) async fn core(
    conn: &mut PgConnection,
    now: Option<DateTime<Utc>>,
) -> Result<Backlog, sqlx::Error> {
    sqlx::query_as(
        "SELECT events, event_seconds, audit_rows, audit_seconds, \
                kernel_core.audit_rows_beyond() AS audit_misplaced \
         FROM kernel_core.backlog($1)",
    )
    .bind(now)
    .fetch_one(conn)
    .await
}
