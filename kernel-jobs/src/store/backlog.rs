//! What waits, over all workspaces: for staff.

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
