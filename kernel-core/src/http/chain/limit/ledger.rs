//! The quotas of all nodes, in the database.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use sqlx::PgConnection;
use uuid::Uuid;

use super::rate::Rate;
use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::store;
use crate::store::rate_limit::Wanted;

/// How long an answer is waited for, and then how long nobody asks.
const PATIENCE: Duration = Duration::from_secs(1);

/// Microseconds that only go forward; those of a clock that stands still, if the app has one.
#[derive(Debug, Clone)]
pub(super) struct Ticks {
    clock: Clock,
    start: Instant,
}

impl Ticks {
    pub(super) fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), start: Instant::now() }
    }

    pub(super) fn now(&self) -> u64 {
        let micros = match self.clock.manual_now() {
            Some(time) => u64::try_from(time.timestamp_micros()).ok(),
            None => u64::try_from(self.start.elapsed().as_micros()).ok(),
        };
        micros.unwrap_or_default()
    }
}

/// Where all nodes take from.
#[derive(Debug)]
pub(super) struct Ledger {
    db: Db,
    ticks: Ticks,
    /// Nobody asks before then: the last answer did not come.
    silent_until: AtomicU64,
}

/// What was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// None at all is a refusal.
    pub(super) requests: u32,
    /// In how many microseconds the quota is whole.
    pub(super) whole: u64,
}

impl Ledger {
    pub(super) fn new(db: &Db, clock: &Clock) -> Self {
        Self { db: db.clone(), ticks: Ticks::new(clock), silent_until: AtomicU64::new(0) }
    }

    /// Takes up to so many requests; `None` when the database cannot be asked, or could not a moment ago.
    pub(super) async fn take(&self, id: Uuid, requests: u32, rate: Rate) -> Option<Taken> {
        if self.ticks.now() < self.silent_until.load(Ordering::Relaxed) {
            return None;
        }
        let micros = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
        let requests = i32::try_from(requests).unwrap_or(i32::MAX);
        let wanted = Wanted { id, requests, each: micros(rate.each), most: micros(rate.most) };
        let clock = self.ticks.clock.manual_now();
        let asked = self.db.lookup(async |conn: &mut PgConnection| {
            store::rate_limit::take(conn, wanted, clock).await.map_err(DbError::from)
        });
        // In a box: every request's future would hold this one, which few of them run.
        match tokio::time::timeout(PATIENCE, asked.boxed()).await {
            Ok(Ok(answer)) => {
                let requests = u32::try_from(answer.got).unwrap_or_default();
                return Some(Taken { requests, whole: u64::try_from(answer.whole_us).unwrap_or_default() });
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "rate limits are counted in this process for a while");
            }
            Err(_) => {
                tracing::warn!("rate limits are counted in this process for a while: no answer in time");
            }
        }
        let patience = u64::try_from(PATIENCE.as_micros()).unwrap_or(u64::MAX);
        self.silent_until.store(self.ticks.now().saturating_add(patience), Ordering::Relaxed);
        None
    }
}
