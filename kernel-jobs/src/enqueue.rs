//! Enqueueing: an insert in the caller's transaction.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use kernel_core::telemetry::Trace;
use kernel_core::{DbError, Job, JobId, Tx};

use crate::store::job::{self, NewJob};

/// How many bytes a job may have as JSON: 256 KiB. Larger things belong into a table or a file that the job names.
pub const MAX_PAYLOAD: usize = 256 * 1024;

/// How many bytes one statement of [`enqueue_many`] carries at most, give or take one job.
const MAX_STATEMENT: usize = 4 * 1024 * 1024;
const MAX_ROWS: usize = 1000;
const MAX_UNIQUE_KEY: usize = 200;

/// How urgent a job is. The more urgent one of two that are due runs first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Someone is waiting for it right now.
    Urgent,
    /// Before the usual.
    High,
    /// The usual.
    #[default]
    Normal,
    /// When nothing else is due.
    Low,
}

/// How a job is enqueued, where it differs from the usual: at once, with normal priority, as often as wanted.
#[derive(Debug, Clone, Default)]
pub struct Options {
    run_at: Option<DateTime<Utc>>,
    priority: Priority,
    unique_key: Option<String>,
    attempts: Option<NonZeroU32>,
}

impl Options {
    /// The usual.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Not before `at`.
    #[must_use]
    pub fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self
    }

    /// How urgent it is.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Only one live job of its kind and workspace has this key of 1 to 200 characters: while one waits or runs,
    /// enqueueing another gives back the id of the first, whose content stays. A job that runs already may have read
    /// what it works on, so a key suits work that is the same whenever it is done, not "look again, something changed".
    #[must_use]
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }

    /// How often it is tried, whatever the definition of its kind says.
    #[must_use]
    pub fn attempts(mut self, attempts: NonZeroU32) -> Self {
        self.attempts = Some(attempts);
        self
    }
}

/// Why a job cannot be enqueued. It reaches the caller as the source of [`DbError::Sql`].
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("a {kind} job cannot be written as JSON")]
    Payload { kind: &'static str, source: serde_json::Error },
    #[error("a {kind} job has {bytes} bytes, and {MAX_PAYLOAD} are allowed")]
    TooLarge { kind: &'static str, bytes: usize },
    #[error("the unique key of a {kind} job has 1 to {MAX_UNIQUE_KEY} characters")]
    UniqueKey { kind: &'static str },
}

impl From<Unusable> for DbError {
    fn from(reason: Unusable) -> Self {
        Self::Sql(sqlx::Error::Encode(Box::new(reason)))
    }
}

/// Enqueues `job` in the workspace of the transaction: it runs if and only if the transaction commits.
///
/// # Errors
/// [`DbError::Sql`] when the row cannot be written, or the job is not representable as JSON of [`MAX_PAYLOAD`] bytes.
pub async fn enqueue<J: Job>(tx: &mut impl Tx, job: &J) -> Result<JobId, DbError> {
    enqueue_with(tx, job, Options::new()).await
}

/// Enqueues `job` as `options` say. With a unique key that is taken, the id is that of the job which has it.
///
/// # Errors
/// As [`enqueue`]; also for a unique key that is empty or too long.
pub async fn enqueue_with<J: Job>(tx: &mut impl Tx, job: &J, options: Options) -> Result<JobId, DbError> {
    let Options { run_at, priority, unique_key, attempts } = options;
    if unique_key.as_ref().is_some_and(|key| !(1..=MAX_UNIQUE_KEY).contains(&key.chars().count())) {
        return Err(Unusable::UniqueKey { kind: J::KIND }.into());
    }
    let new = NewJob {
        workspace_id: tx.workspace_id(),
        id: tx.ctx().new_id(),
        kind: J::KIND,
        payload: payload(job)?,
        priority: priority as i16,
        max_attempts: attempts.map(|most| i32::try_from(most.get()).unwrap_or(i32::MAX)),
        run_at: run_at.or_else(|| tx.ctx().clock().manual_now()),
        unique_key,
        request_id: tx.ctx().request_id(),
        trace_id: tx.ctx().trace().as_ref().map(Trace::trace_id),
        created_at: tx.ctx().now(),
    };
    Ok(job::insert(tx.conn(), &new).await?)
}

/// Enqueues many jobs of one kind with few statements, in the same way as [`enqueue`]. The ids are in their order.
///
/// # Errors
/// As [`enqueue`]; the caller must let it undo the transaction.
pub async fn enqueue_many<J: Job>(tx: &mut impl Tx, jobs: &[J]) -> Result<Vec<JobId>, DbError> {
    let mut all = Vec::with_capacity(jobs.len());
    let (mut ids, mut payloads, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (index, job) in jobs.iter().enumerate() {
        let payload = payload(job)?;
        bytes += payload.len();
        ids.push(tx.ctx().new_id());
        payloads.push(payload);
        if ids.len() == MAX_ROWS || bytes >= MAX_STATEMENT || index + 1 == jobs.len() {
            let rows = job::NewJobs {
                workspace_id: tx.workspace_id(),
                kind: J::KIND,
                priority: Priority::default() as i16,
                run_at: tx.ctx().clock().manual_now(),
                request_id: tx.ctx().request_id(),
                trace_id: tx.ctx().trace().as_ref().map(Trace::trace_id),
                created_at: tx.ctx().now(),
                ids: &ids,
                payloads: &payloads,
            };
            job::insert_many(tx.conn(), &rows).await?;
            all.append(&mut ids);
            payloads.clear();
            bytes = 0;
        }
    }
    Ok(all)
}

fn payload<J: Job>(job: &J) -> Result<String, DbError> {
    let json = serde_json::to_string(job).map_err(|source| Unusable::Payload { kind: J::KIND, source })?;
    match json.len() {
        0..=MAX_PAYLOAD => Ok(json),
        bytes => Err(Unusable::TooLarge { kind: J::KIND, bytes }.into()),
    }
}
