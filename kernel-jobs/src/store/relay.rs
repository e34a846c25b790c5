//! The relay's function, which moves events of every workspace.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Publishes waiting events and enqueues a job per subscriber: `subscribers[i]` reacts to `events[i]`. `None` when
/// another relay is at work.
pub(crate) async fn publish(
    conn: &mut PgConnection,
    events: &[&'static str],
    subscribers: &[&'static str],
    batch: i32,
    now: Option<DateTime<Utc>>,
) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_jobs.relay($1, $2, $3, $4)")
        .bind(events)
        .bind(subscribers)
        .bind(batch)
        .bind(now)
        .fetch_one(conn)
        .await
}
