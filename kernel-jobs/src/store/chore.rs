//! Chores: when each is due, and who is at it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Makes chores known; new ones are due at once. Not inside a longer transaction.
pub(crate) async fn know(
    conn: &mut PgConnection,
    names: &[&'static str],
    now: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT kernel_jobs.know_chores($1, $2)").bind(names).bind(now).execute(conn).await?;
    Ok(())
}

/// Takes a chore until the transaction ends: `Some(ZERO)` for who has it, otherwise when it is due. `None` when another
/// process is at it, or it is not known.
pub(crate) async fn take(
    conn: &mut PgConnection,
    name: &'static str,
    now: Option<DateTime<Utc>>,
) -> Result<Option<Duration>, sqlx::Error> {
    let wait: Option<i64> = sqlx::query_scalar("SELECT kernel_jobs.take_chore($1, $2)")
        .bind(name)
        .bind(now)
        .fetch_one(conn)
        .await?;
    Ok(wait.map(|wait| Duration::from_millis(u64::try_from(wait).unwrap_or_default())))
}

/// Notes that a chore is done and due again after `wait`, in the transaction that did it.
pub(crate) async fn finish(
    conn: &mut PgConnection,
    name: &'static str,
    wait: Duration,
    now: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT kernel_jobs.chore_done($1, $2, $3)")
        .bind(name)
        .bind(milliseconds(wait))
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether the failure was noted: not when another process has the chore meanwhile.
pub(crate) async fn fail(
    conn: &mut PgConnection,
    name: &'static str,
    error: &str,
    wait: Duration,
    now: Option<DateTime<Utc>>,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_jobs.chore_failed($1, $2, $3, $4)")
        .bind(name)
        .bind(error)
        .bind(milliseconds(wait))
        .bind(now)
        .fetch_one(conn)
        .await
}

fn milliseconds(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 1_000_000)
}
