//! What the parts of a runner share: the app, its kinds and subscribers, and the queue's functions.

use std::time::Duration;

use chrono::{DateTime, Utc};
use kernel_core::{App, Ctx, DbError, JobDef, WorkerDb};
use sqlx::PgConnection;
use tokio::time::timeout;
use uuid::Uuid;

use super::RunnerConfig;
use crate::depth::Depth;
use crate::store::lease::{self, Claimed, Lease, Wanted};
use crate::store::relay;

/// How long a call of the queue may take. A lease is worth nothing if its renewal hangs.
const CALL_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) app: App,
    pub(super) db: WorkerDb,
    pub(super) ctx: Ctx,
    pub(super) config: RunnerConfig,
    /// Names this runner in the leases that it holds.
    worker: Uuid,
    kinds: Vec<&'static str>,
    limits: Vec<i32>,
    events: Vec<&'static str>,
    subscribers: Vec<&'static str>,
}

impl Shared {
    pub(super) fn new(app: &App, config: RunnerConfig) -> Result<Self, DbError> {
        let db = app.worker()?;
        let ctx = app.system("jobs");
        let (kinds, limits) = app.jobs().map(|job| (job.kind(), count(job.max_attempts()))).unzip();
        let (events, subscribers) = app.subscribers().iter().map(|s| (s.event(), s.job().kind())).unzip();
        let worker = ctx.new_id::<kernel_core::job::JobNoun>().uuid();
        Ok(Self { app: app.clone(), db, ctx, config, worker, kinds, limits, events, subscribers })
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
    fn now(&self) -> Option<DateTime<Utc>> {
        self.ctx.clock().manual_now()
    }

    fn lease_ms(&self) -> i32 {
        i32::try_from(self.config.lease.as_millis()).unwrap_or(i32::MAX)
    }

    pub(super) async fn claim(&self, free: usize) -> Result<Vec<Claimed>, DbError> {
        let wanted = Wanted {
            kinds: &self.kinds,
            limits: &self.limits,
            worker: self.worker,
            batch: count(self.claim_batch(free)),
            lease_ms: self.lease_ms(),
        };
        self.queue(async |conn: &mut PgConnection| lease::claim(conn, &wanted, self.now()).await).await
    }

    pub(super) async fn publish(&self) -> Result<Option<u32>, DbError> {
        let published = self.queue(async |conn: &mut PgConnection| {
            relay::publish(conn, &self.events, &self.subscribers, count(self.relay_batch()), self.now()).await
        });
        Ok(published.await?.map(|events| u32::try_from(events).unwrap_or(0)))
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
        tracing::warn!(worker = self.config.name, what, error = chain(error), "the queue refused");
    }
}

fn count(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

/// An error and what caused it, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
