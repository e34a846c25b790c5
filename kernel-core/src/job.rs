//! The vocabulary of background work. The queue itself, its table and its runner are in `kernel-jobs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ctx::{Ctx, RequestId};
use crate::db::{GlobalTx, TenantTx, Tx, WorkerDb};
use crate::error::{Error, ErrorKind};
use crate::event::{Delivered, Event};
use crate::id::{Id, Noun, WorkspaceId};
use crate::secret::{SealError, Sealed};
use crate::telemetry::Trace;

/// Names jobs.
#[derive(Debug)]
pub enum JobNoun {}

impl Noun for JobNoun {
    const PREFIX: &'static str = "job";
}

/// The id of a job.
pub type JobId = Id<JobNoun>;

/// Work to do later, in the workspace of the transaction that enqueued it.
///
/// Secrets in it are [`Sealed`] fields: a job row is readable to whoever reads the database.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The dotted name: `tracker.import`. Renaming it strands the jobs that wait under the old one.
    const KIND: &'static str;
}

/// How a kind of job is run.
#[derive(Clone)]
pub struct JobDef {
    kind: &'static str,
    attempts: u32,
    limit: Duration,
    run: RunJob,
}

type RunJob = Arc<dyn Fn(Run) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

impl fmt::Debug for JobDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobDef").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A job that a runner has claimed, on its way to the handler: what [`JobDef::run`] makes a [`Run`] of.
#[derive(Debug)]
pub struct Claim {
    /// The job.
    pub id: JobId,
    /// The workspace of the job.
    pub workspace_id: WorkspaceId,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The request that enqueued the job.
    pub request_id: RequestId,
    /// The trace of that request, if it is traced.
    pub trace_id: Option<Uuid>,
    /// The job's content.
    pub payload: Value,
    /// Keeps the attempt from committing once it has lost its lease.
    pub fence: Arc<dyn Fence>,
}

/// A job that failed for good, as the runner tells [`App::report_dead_job`](crate::App::report_dead_job).
#[derive(Debug, Clone)]
pub struct Fate {
    /// The job.
    pub job: JobId,
    /// Its kind.
    pub kind: &'static str,
    /// How many attempts there were.
    pub attempt: u32,
    /// The workspace of the job.
    pub workspace_id: WorkspaceId,
    /// The request that enqueued it.
    pub request_id: RequestId,
    /// The trace of that request, if it is traced.
    pub trace_id: Option<Uuid>,
}

/// How the queue keeps an attempt that has lost its lease from committing; `kernel-jobs` provides it.
#[async_trait::async_trait]
pub trait Fence: fmt::Debug + Send + Sync {
    /// Keeps the lease until the transaction on `conn` ends: no other worker gets the job before that.
    ///
    /// # Errors
    /// `conflict` when the attempt has lost its lease: another worker has the job now, and the caller must roll back.
    async fn hold(&self, conn: &mut PgConnection) -> Result<(), Error>;

    /// Marks the job as done in the transaction on `conn`.
    ///
    /// # Errors
    /// As [`Fence::hold`].
    async fn complete(&self, conn: &mut PgConnection) -> Result<(), Error>;
}

/// One attempt at a job, as its handler gets it. Its transactions are those of the job's own workspace, and none of them
/// commits once the attempt has lost its lease.
#[derive(Debug)]
pub struct Run {
    db: WorkerDb,
    ctx: Ctx,
    limit: Duration,
    claim: Claim,
}

impl Run {
    /// The context of the attempt: the system as actor, the request that enqueued the job as its id.
    #[must_use]
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// The job.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.claim.id
    }

    /// The workspace of the job.
    #[must_use]
    pub fn workspace_id(&self) -> WorkspaceId {
        self.claim.workspace_id
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.claim.attempt
    }

    /// How long the attempt may take.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Opens a field of the job outside a transaction, before it talks to the network.
    ///
    /// # Errors
    /// As [`Sealed::open`].
    pub async fn open<T: Serialize + DeserializeOwned>(
        &self,
        sealed: &Sealed<T>,
        purpose: &str,
    ) -> Result<T, SealError> {
        let keyring = self.db.keyring().await.ok_or(SealError::NoKeys)?;
        sealed.open_in(keyring, purpose, self.workspace_id())
    }

    /// Runs `work` in a transaction of the job's workspace. The job goes on afterwards; should it fail, the next attempt
    /// does this work again. A statement may run as long as the attempt may.
    ///
    /// # Errors
    /// What `work` returns; `conflict` when the lease was lost, with nothing done.
    pub async fn tenant<T>(
        &self,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.in_workspace(async |tx: &mut TenantTx| {
            let value = work(tx).await?;
            self.claim.fence.hold(tx.conn()).await?;
            Ok(value)
        })
        .await
    }

    /// The same in the system workspace, for a job that belongs there.
    ///
    /// # Errors
    /// `forbidden` for a job of any other workspace; otherwise as [`Run::tenant`].
    pub async fn global<T>(
        &self,
        work: impl AsyncFnOnce(&mut GlobalTx) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.workspace_id() != WorkspaceId::SYSTEM {
            let reason = "the job is not one of the system workspace";
            return Err(Error::new(ErrorKind::Forbidden, "forbidden").because(reason));
        }
        self.db
            .global(&self.ctx, self.limit, async |tx: &mut GlobalTx| {
                let value = work(tx).await?;
                self.claim.fence.hold(tx.conn()).await?;
                Ok(value)
            })
            .await
    }

    /// Runs `work` in a transaction of the job's workspace and marks the job as done in the same transaction: its
    /// effects happen exactly once, however often it is attempted.
    ///
    /// # Errors
    /// What `work` returns; `conflict` when the lease was lost, with nothing done.
    pub async fn complete(
        self,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.in_workspace(async |tx: &mut TenantTx| {
            work(tx).await?;
            self.claim.fence.complete(tx.conn()).await
        })
        .await
    }

    async fn in_workspace<T>(
        &self,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.db.tenant(&self.ctx, self.workspace_id(), self.limit, work).await
    }
}

/// The body of a job: one transaction of its workspace, in which the job is also marked as done.
pub trait JobFn<'t, S, J>: Send + Sync {
    /// The future of the body.
    type Fut: Future<Output = Result<(), Error>> + Send + 't;
    /// Runs the body.
    fn call(&self, state: S, tx: &'t mut TenantTx, job: J) -> Self::Fut;
}

impl<'t, S, J, F, Fut> JobFn<'t, S, J> for F
where
    F: Fn(S, &'t mut TenantTx, J) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), Error>> + Send + 't,
{
    type Fut = Fut;

    fn call(&self, state: S, tx: &'t mut TenantTx, job: J) -> Fut {
        self(state, tx, job)
    }
}

impl JobDef {
    /// A job whose effects are all in the database: `run` works in one transaction, in which the job also ends.
    #[must_use]
    pub fn new<J: Job, S, F>(state: S, run: F) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: for<'t> JobFn<'t, S, J> + 'static,
    {
        let run = Arc::new(run);
        Self::by_hand::<J, _>(move |job, attempt: Run| {
            let (run, state) = (run.clone(), state.clone());
            Box::pin(async move {
                attempt.complete(async |tx: &mut TenantTx| run.call(state, tx, job).await).await
            })
        })
    }

    /// A job that opens its transactions itself, because it talks to the network between them: [`Run::tenant`]. It ends
    /// by [`Run::complete`]; one that returns `Ok` without it is marked as done afterwards, at least once.
    #[must_use]
    pub fn by_hand<J: Job, F>(run: F) -> Self
    where
        F: Fn(J, Run) -> BoxFuture<'static, Result<(), Error>> + Send + Sync + 'static,
    {
        let run = Arc::new(run);
        let erased: RunJob = Arc::new(move |attempt: Run| {
            let run = run.clone();
            Box::pin(async move {
                let job = serde_json::from_value(attempt.claim.payload.clone()).map_err(Error::internal)?;
                run(job, attempt).await
            })
        });
        Self { kind: J::KIND, attempts: 10, limit: Duration::from_mins(1), run: erased }
    }

    /// How often it is tried before it is set aside. 10 unless said.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How long one attempt may take. A minute unless said.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The kind of job that it runs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// How often it is tried.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.attempts
    }

    /// How long one attempt may take.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.limit
    }

    /// Makes an attempt at a claimed job. `ctx` is the runner's own; the job gets one that is the system's in this job and
    /// nowhere else.
    #[must_use]
    pub fn run(&self, db: &WorkerDb, ctx: &Ctx, claim: Claim) -> BoxFuture<'static, Result<(), Error>> {
        let trace = claim.trace_id.map(|trace| Trace::of_job(trace, claim.id, claim.attempt));
        let ctx = ctx.for_job(claim.request_id, trace);
        (self.run)(Run { db: db.clone(), ctx, limit: self.limit, claim })
    }
}

/// What a relayed event looks like to the job that handles it.
#[derive(Debug, Serialize, serde::Deserialize)]
pub struct RelayedEvent {
    /// The event's id.
    pub id: Uuid,
    /// When it happened.
    pub at: chrono::DateTime<chrono::Utc>,
    /// Its content.
    pub event: Value,
}

/// A pillar's or product's reaction to an event: a job, fed by the relay, once per event and subscriber.
#[derive(Debug, Clone)]
pub struct Subscriber {
    event: &'static str,
    job: JobDef,
}

impl Subscriber {
    /// Reacts to `E` under `name`, which identifies the subscriber for ever: `tracker.welcome`.
    #[must_use]
    pub fn new<E: Event, S, F>(name: &'static str, state: S, react: F) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: for<'t> JobFn<'t, S, Delivered<E>> + 'static,
    {
        let react = Arc::new(react);
        let run: RunJob = Arc::new(move |attempt: Run| {
            let (react, state) = (react.clone(), state.clone());
            Box::pin(async move {
                let relayed: RelayedEvent =
                    serde_json::from_value(attempt.claim.payload.clone()).map_err(Error::internal)?;
                let event = Delivered {
                    id: Id::from_uuid(relayed.id),
                    workspace_id: attempt.workspace_id(),
                    at: relayed.at,
                    event: serde_json::from_value(relayed.event).map_err(Error::internal)?,
                };
                attempt.complete(async |tx: &mut TenantTx| react.call(state, tx, event).await).await
            })
        });
        let job = JobDef { kind: name, attempts: 10, limit: Duration::from_mins(1), run };
        Self { event: E::NAME, job }
    }

    /// The event's name.
    #[must_use]
    pub fn event(&self) -> &'static str {
        self.event
    }

    /// The job that reacts.
    #[must_use]
    pub fn job(&self) -> &JobDef {
        &self.job
    }
}
