//! What the parts of a runner share: the app, its kinds and subscribers, and the queue's functions.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use kernel_core::job::JobNoun;
use kernel_core::{App, Chore, Ctx, DbError, JobDef, WorkerDb, causes};
use sqlx::PgConnection;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::RunnerConfig;
use super::meter::Meter;
use crate::depth::Depth;
use crate::store::backlog::{self, Backlog};
use crate::store::chore;
use crate::store::lease::{self, Claimed, Lease, Waiting, Wanted};
use crate::store::relay;

/// How long a call of the queue may take. A lease is worth nothing if its renewal hangs.
const CALL_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) app: App,
    pub(super) db: WorkerDb,
    pub(super) ctx: Ctx,
    pub(super) config: RunnerConfig,
    pub(super) meter: Meter,
    kinds: Vec<&'static str>,
    limits: Vec<i32>,
    events: Vec<&'static str>,
    subscribers: Vec<&'static str>,
    unanswered: Mutex<Vec<Unanswered>>,
}

/// A claim whose answer is lost: it may have leased jobs that nobody begins with, or may do so yet.
#[derive(Debug, Clone, Copy)]
struct Unanswered {
    claim: Uuid,
    asked: Instant,
}

/// A claim under way. Dropped before its answer came, also by a caller that stops waiting, it counts as unanswered.
struct Asking<'a> {
    shared: &'a Shared,
    claim: Option<Unanswered>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.shared.unanswered().extend(self.claim);
    }
}

impl Shared {
    pub(super) fn new(app: &App, config: RunnerConfig) -> Result<Self, DbError> {
        let db = app.worker()?;
        let ctx = app.system("jobs");
        let (kinds, limits): (Vec<_>, Vec<_>) =
            app.jobs().map(|job| (job.kind(), count(job.max_attempts()))).unzip();
        let (events, subscribers) = app.subscribers().iter().map(|s| (s.event(), s.job().kind())).unzip();
        let slots = config.concurrency.max(1);
        let meter = Meter::new(app, &kinds, slots);
        let (app, unanswered) = (app.clone(), Mutex::default());
        Ok(Self { app, db, ctx, config, meter, kinds, limits, events, subscribers, unanswered })
    }

    pub(super) fn concurrency(&self) -> usize {
        self.config.concurrency.max(1)
    }

    /// How many jobs a claim asks for when there is room for `free`.
    pub(super) fn claim_batch(&self, free: usize) -> usize {
        free.min(self.config.batch.clamp(1, 1000))
    }

    pub(super) fn relay_batch(&self) -> u32 {
        u32::try_from(self.config.batch.clamp(1, 1000)).unwrap_or(1000)
    }

    pub(super) fn job(&self, kind: &str) -> Option<&JobDef> {
        self.app.job(kind)
    }

    /// The time by which leases are judged: the server's, unless a test holds the clock.
    pub(super) fn now(&self) -> Option<DateTime<Utc>> {
        self.ctx.clock().manual_now()
    }

    fn lease_ms(&self) -> i32 {
        i32::try_from(self.config.lease.as_millis()).unwrap_or(i32::MAX)
    }

    pub(super) async fn claim(&self, free: usize) -> Result<Vec<Claimed>, DbError> {
        self.disclaim().await?;
        let claim = self.ctx.new_id::<JobNoun>().uuid();
        let wanted = Wanted {
            kinds: &self.kinds,
            limits: &self.limits,
            claim,
            batch: count(self.claim_batch(free)),
            lease_ms: self.lease_ms(),
        };
        let mut asking = Asking { shared: self, claim: Some(Unanswered { claim, asked: Instant::now() }) };
        let claimed =
            self.queue(async |conn: &mut PgConnection| lease::claim(conn, &wanted, self.now()).await).await?;
        asking.claim = None;
        Ok(claimed)
    }

    /// Gives back what claims got whose answers are lost, so that no attempt is used up that nobody has made. The server
    /// may come to such a claim only later, so this is done again for as long as it may take.
    pub(super) async fn disclaim(&self) -> Result<(), DbError> {
        let unanswered = self.unanswered().clone();
        if unanswered.is_empty() {
            return Ok(());
        }
        let (now, late) = (Instant::now(), self.config.lease + CALL_LIMIT);
        let claims: Vec<_> = unanswered.iter().map(|unanswered| unanswered.claim).collect();
        let jobs = self
            .queue(async |conn: &mut PgConnection| lease::disclaim(conn, &claims, self.now()).await)
            .await?;
        if jobs > 0 {
            tracing::info!(worker = self.config.name, jobs, "jobs of a lost claim given back");
        }
        self.unanswered().retain(|unanswered| now.duration_since(unanswered.asked) < late);
        Ok(())
    }

    fn unanswered(&self) -> MutexGuard<'_, Vec<Unanswered>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn publish(&self) -> Result<Option<u32>, DbError> {
        let published = self.queue(async |conn: &mut PgConnection| {
            relay::publish(conn, &self.events, &self.subscribers, count(self.relay_batch()), self.now()).await
        });
        let published = published.await?.map(|events| u32::try_from(events).unwrap_or(0));
        self.meter.published.add(published.unwrap_or(0).into());
        Ok(published)
    }

    pub(super) async fn renew(&self, leases: &[Lease]) -> Result<Vec<usize>, DbError> {
        self.queue(async |conn: &mut PgConnection| {
            lease::renew(conn, leases, self.lease_ms(), self.now()).await
        })
        .await
    }

    pub(super) async fn release(&self, leases: &[Lease]) -> Result<i32, DbError> {
        self.queue(async |conn: &mut PgConnection| lease::release(conn, leases, self.now()).await).await
    }

    pub(super) async fn finish(&self, lease: Lease) -> Result<bool, DbError> {
        self.queue(async |conn: &mut PgConnection| lease::finish(conn, lease).await).await
    }

    pub(super) async fn fail(
        &self,
        lease: Lease,
        code: &str,
        retry: Option<Duration>,
    ) -> Result<bool, DbError> {
        let retry_ms = retry.map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        self.queue(async |conn: &mut PgConnection| lease::fail(conn, lease, code, retry_ms, self.now()).await)
            .await
    }

    pub(super) async fn depth(&self) -> Result<Vec<Depth>, DbError> {
        self.queue(async |conn: &mut PgConnection| lease::depth(conn).await).await
    }

    /// What waits in the queue, and what waits in the core's tables.
    pub(super) async fn backlog(&self) -> Result<(Vec<Waiting>, Backlog), DbError> {
        self.queue(async |conn: &mut PgConnection| {
            Ok((lease::backlog(conn, self.now()).await?, backlog::core(conn, self.now()).await?))
        })
        .await
    }

    /// Makes the app's chores known to the database.
    pub(super) async fn know_chores(&self) -> Result<(), DbError> {
        let names: Vec<_> = self.app.chores().iter().map(Chore::name).collect();
        self.queue(async |conn: &mut PgConnection| chore::know(conn, &names, self.now()).await).await
    }

    /// Whether the failure was noted: not when another process has the chore meanwhile.
    pub(super) async fn chore_failed(
        &self,
        chore: &Chore,
        code: &str,
        wait: Duration,
    ) -> Result<bool, DbError> {
        self.queue(async |conn: &mut PgConnection| {
            chore::fail(conn, chore.name(), code, wait, self.now()).await
        })
        .await
    }

    async fn queue<T>(
        &self,
        call: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbError> {
        let work = self.db.queue(async |conn: &mut PgConnection| Ok::<T, DbError>(call(conn).await?));
        match timeout(CALL_LIMIT, work).await {
            Ok(answer) => answer,
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()),
        }
    }

    /// Notes that the database refused part of the runner's work.
    pub(super) fn refused(&self, what: &'static str, error: &DbError) {
        tracing::warn!(worker = self.config.name, what, error = causes(error), "the queue refused");
    }
}

fn count(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
