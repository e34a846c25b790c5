//! One attempt at a job: run it within its limits, and tell the queue how it went.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use kernel_core::job::{Claim, Fate, Fence};
use kernel_core::telemetry::Trace;
use kernel_core::{DbError, Error, ErrorKind, JobDef, causes};
use sqlx::PgConnection;
use tokio::time::timeout;
use tracing::Instrument;

use super::shared::Shared;
use crate::store::job;
use crate::store::lease::{Claimed, Lease};

/// A handler that asks for more patience than this gets this much.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The job is done.
    Done,
    /// It failed, and is tried again.
    Failed,
    /// It failed for good.
    Dead,
    /// Another worker has the job, or the queue could not be told: the lease decides.
    Lost,
}

/// Why an attempt failed.
enum Failure {
    Error(Error),
    Panicked(String),
    TimedOut,
}

impl Failure {
    /// What the job's row shows. The text stays in the log, because it may quote what must not lie in a row.
    fn code(&self) -> &str {
        match self {
            Self::Error(error) => error.code(),
            Self::Panicked(_) => "jobs.panicked",
            Self::TimedOut => "jobs.timed_out",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Error(error) => causes(error),
            Self::Panicked(message) => message.clone(),
            Self::TimedOut => "the time limit passed".to_owned(),
        }
    }
}

/// Makes an attempt at a claimed job.
pub(super) async fn attempt(shared: Arc<Shared>, claimed: Claimed) -> Outcome {
    let trace = claimed.trace_id.map(|trace| Trace::of_job(trace, claimed.id, number(claimed.attempt)));
    let span = tracing::info_span!(
        "job",
        job_id = %claimed.id,
        kind = claimed.kind,
        attempt = claimed.attempt,
        workspace_id = %claimed.workspace_id,
        request_id = %claimed.request_id,
        trace_id = trace.as_ref().map(Trace::trace_hex),
        span_id = trace.as_ref().map(Trace::span_hex),
        parent_id = trace.map(|_| Trace::request_span_hex(claimed.request_id)),
        worker = shared.config.name,
    );
    let course = shared.meter.begun(&claimed.kind);
    let outcome = make(&shared, claimed).instrument(span).await;
    course.ended(outcome);
    outcome
}

async fn make(shared: &Shared, claimed: Claimed) -> Outcome {
    let Some(def) = shared.job(&claimed.kind) else {
        // Only known kinds are asked for.
        tracing::error!("claimed a job of an unknown kind");
        return Outcome::Lost;
    };
    let lease = Lease { workspace_id: claimed.workspace_id, id: claimed.id, attempt: claimed.attempt };
    let retry = Retry { attempt: number(claimed.attempt), left: claimed.remaining > 0 };
    let fence = Arc::new(LeaseFence { lease, passed: AtomicBool::new(false) });
    let fate = Fate {
        job: claimed.id,
        kind: def.kind(),
        attempt: retry.attempt,
        workspace_id: claimed.workspace_id,
        request_id: claimed.request_id,
        trace_id: claimed.trace_id,
    };
    let told = match run(shared, def, claimed, fence.clone()).await {
        Ok(()) if fence.passed.load(Ordering::Acquire) => return Outcome::Done,
        Ok(()) => shared.finish(lease).await.map(|held| if held { Outcome::Done } else { Outcome::Lost }),
        Err(failure) => fail(shared, lease, retry, &failure, &fate).await,
    };
    match told {
        Ok(Outcome::Lost) => {
            tracing::info!("the lease was lost meanwhile");
            Outcome::Lost
        }
        Ok(outcome) => outcome,
        Err(error) => {
            shared.refused("report", &error);
            Outcome::Lost
        }
    }
}

async fn run(shared: &Shared, def: &JobDef, claimed: Claimed, fence: Arc<LeaseFence>) -> Result<(), Failure> {
    let claim = Claim {
        id: claimed.id,
        workspace_id: claimed.workspace_id,
        attempt: number(claimed.attempt),
        request_id: claimed.request_id,
        trace_id: claimed.trace_id,
        payload: claimed.payload,
        fence,
    };
    let work = AssertUnwindSafe(async { def.run(&shared.db, &shared.ctx, claim).await }).catch_unwind();
    match timeout(def.time_limit(), work).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(Failure::Error(error)),
        Ok(Err(panic)) => Err(Failure::Panicked(message(panic.as_ref()))),
        Err(_) => Err(Failure::TimedOut),
    }
}

/// Which attempt failed, and whether there may be another.
#[derive(Clone, Copy)]
struct Retry {
    attempt: u32,
    left: bool,
}

async fn fail(
    shared: &Shared,
    lease: Lease,
    retry: Retry,
    failure: &Failure,
    fate: &Fate,
) -> Result<Outcome, DbError> {
    let wait = retry.left.then(|| wait(shared, retry.attempt, failure));
    let told = shared.fail(lease, failure.code(), wait).await?;
    match (told, wait) {
        (false, _) => return Ok(Outcome::Lost),
        (true, Some(wait)) => tracing::warn!(
            code = failure.code(),
            error = failure.text(),
            retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "job failed"
        ),
        (true, None) => {
            tracing::error!(code = failure.code(), error = failure.text(), "job failed for good");
            shared.app.report_dead_job(fate, failure.code(), failure.text());
            return Ok(Outcome::Dead);
        }
    }
    Ok(Outcome::Failed)
}

fn wait(shared: &Shared, attempt: u32, failure: &Failure) -> Duration {
    let backoff = shared.config.backoff.wait(attempt, shared.ctx.entropy());
    match failure {
        Failure::Error(error) => backoff.max(error.wait().unwrap_or_default()).min(LONGEST_WAIT),
        Failure::Panicked(_) | Failure::TimedOut => backoff,
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

fn number(attempt: i32) -> u32 {
    u32::try_from(attempt).unwrap_or(0)
}

/// Lets an attempt's transactions commit only while it holds its lease.
#[derive(Debug)]
struct LeaseFence {
    lease: Lease,
    /// Whether the attempt has completed its job. If that commit then failed, the row is still there, and its lease runs
    /// out.
    passed: AtomicBool,
}

#[async_trait::async_trait]
impl Fence for LeaseFence {
    async fn hold(&self, conn: &mut PgConnection) -> Result<(), Error> {
        held(job::lock(conn, self.lease).await)
    }

    async fn complete(&self, conn: &mut PgConnection) -> Result<(), Error> {
        held(job::complete(conn, self.lease).await)?;
        self.passed.store(true, Ordering::Release);
        Ok(())
    }
}

fn held(answer: Result<bool, sqlx::Error>) -> Result<(), Error> {
    let held = answer.map_err(DbError::from)?;
    if held { Ok(()) } else { Err(Error::new(ErrorKind::Conflict, "jobs.lease_lost")) }
}
