//! CPU time, which other load on the machine moves much less than it moves the time on the wall.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::PgConnection;

/// User and system time of a process, from Linux's accounting in nanoseconds.
pub fn of_process(pid: u32) -> Result<Duration> {
    let mut total = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).context("needs Linux's /proc")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let nanos: u64 = text.split_whitespace().next().context("no schedstat")?.parse()?;
        total += nanos;
    }
    Ok(Duration::from_nanos(total))
}

/// The same of the database's processes that serve one client; nothing when they run on another machine.
pub async fn of_database(admin: &mut PgConnection, application: &str) -> Result<Duration> {
    let statement =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1";
    let pids: Vec<i32> = sqlx::query_scalar(statement).bind(application).fetch_all(admin).await?;
    Ok(pids.iter().filter_map(|pid| of_process(pid.unsigned_abs()).ok()).sum())
}

/// What was spent between two readings.
pub fn since(before: Duration, after: Duration) -> Result<Duration> {
    after.checked_sub(before).context("a thread or connection ended in the middle of a block")
}
