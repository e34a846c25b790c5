//! Removal of what has expired, across workspaces.

use std::time::Duration;

use sqlx::PgConnection;

use super::{DbError, GlobalTx, Tx, WorkerDb};
use crate::activity::ActivityConfig;
use crate::chore::{Chore, Pace};
use crate::clock::Clock;
use crate::error::Error;
use crate::store;

/// Nobody is served what has expired, so this is about space alone.
const EVERY: Duration = Duration::from_mins(5);
/// How many rows of each table go in one transaction.
const BATCH: u32 = 5_000;
/// How many cached values go in one transaction: they may be long. The database holds to it too.
const VALUES: u32 = 500;

/// How many rows were deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Entries of the activity feed that were kept long enough.
    pub activities: u32,
    /// Cached values.
    pub cache_entries: u32,
    /// Versions of cache tags that no value is kept under any more.
    pub cache_tags: u32,
    /// Stored answers to requests with an `Idempotency-Key`.
    pub idempotency_keys: u32,
    /// Counts of rate limits that are whole again.
    pub rate_limits: u32,
}

impl WorkerDb {
    /// Deletes rows of the core that have expired or were kept long enough, longest expired first: at most `limit` of each
    /// table, and never more than 500 cached values and 10 000 of anything else. A worker does so every five minutes by
    /// itself. Call it again at once when it returns as many as it was allowed.
    ///
    /// # Errors
    /// A [`DbError`] when no connection is free or the database refuses; what was deleted before stays so.
    pub async fn purge(
        &self,
        limit: u32,
        activity: ActivityConfig,
        clock: &Clock,
    ) -> Result<Purged, DbError> {
        self.queue(async |conn: &mut PgConnection| purge(conn, limit, activity, clock).await).await
    }
}

async fn purge(
    conn: &mut PgConnection,
    limit: u32,
    activity: ActivityConfig,
    clock: &Clock,
) -> Result<Purged, DbError> {
    let months = i32::try_from(activity.retention_months).unwrap_or(i32::MAX);
    let (limit, clock) = (i32::try_from(limit).unwrap_or(i32::MAX), clock.manual_now());
    let activities = store::activity::purge(conn, limit, months, clock).await?;
    let entries = store::cache::purge_entries(conn, limit, clock).await?;
    let tags = store::cache::purge_tags(conn, limit, clock).await?;
    let keys = store::idempotency::purge(conn, limit, clock).await?;
    let limits = store::rate_limit::purge(conn, limit, clock).await?;
    let count = |deleted: i32| u32::try_from(deleted).unwrap_or_default();
    Ok(Purged {
        activities: count(activities),
        cache_entries: count(entries),
        cache_tags: count(tags),
        idempotency_keys: count(keys),
        rate_limits: count(limits),
    })
}

pub(crate) fn chore(activity: ActivityConfig) -> Chore {
    Chore::new("core.purge", EVERY, activity, sweep)
}

async fn sweep(activity: ActivityConfig, tx: &mut GlobalTx) -> Result<Pace, Error> {
    let clock = tx.ctx().clock().clone();
    let purged = purge(tx.conn(), BATCH, activity, &clock).await?;
    let Purged { activities, cache_entries, cache_tags, idempotency_keys, rate_limits } = purged;
    let of_each = [activities, cache_tags, idempotency_keys, rate_limits];
    let full = cache_entries >= VALUES || of_each.into_iter().any(|deleted| deleted >= BATCH);
    Ok(if full { Pace::Again } else { Pace::Rest })
}
