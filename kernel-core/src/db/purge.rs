//! Removal of what has expired, across workspaces.

use sqlx::PgConnection;

use super::{DbError, WorkerDb};
use crate::clock::Clock;
use crate::store;

/// How many expired rows were deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Stored answers to requests with an `Idempotency-Key`.
    pub idempotency_keys: u32,
    /// Counts of rate limits that are whole again.
    pub rate_limits: u32,
}

impl WorkerDb {
    /// Deletes rows of the core that have expired, longest expired first: at most `limit` of each table, and never more
    /// than 10 000. Nobody is served such a row, so how often this runs decides about space alone. Call it again at once
    /// when it returns as many as it was allowed.
    ///
    /// # Errors
    /// A [`DbError`] when no connection is free or the database refuses; what was deleted before stays so.
    pub async fn purge(&self, limit: u32, clock: &Clock) -> Result<Purged, DbError> {
        let (limit, clock) = (i32::try_from(limit).unwrap_or(i32::MAX), clock.manual_now());
        self.queue(async |conn: &mut PgConnection| {
            let keys = store::idempotency::purge(conn, limit, clock).await?;
            let limits = store::rate_limit::purge(conn, limit, clock).await?;
            let count = |deleted: i32| u32::try_from(deleted).unwrap_or_default();
            Ok(Purged { idempotency_keys: count(keys), rate_limits: count(limits) })
        })
        .await
    }
}
