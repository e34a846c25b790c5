//! Jobs from the runner's side: the queue's functions, which see every workspace.

use chrono::{DateTime, Utc};
use kernel_core::{JobId, RequestId, WorkspaceId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::depth::Depth;

/// What a claim asks for.
pub(crate) struct Wanted<'a> {
    pub(crate) kinds: &'a [&'static str],
    /// How often each of the kinds is tried.
    pub(crate) limits: &'a [i32],
    /// Names the claim in the leases that it gets.
    pub(crate) claim: Uuid,
    pub(crate) batch: i32,
    pub(crate) lease_ms: i32,
}

/// A job that this worker may now attempt.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Claimed {
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) id: JobId,
    pub(crate) kind: String,
    pub(crate) payload: Value,
    pub(crate) attempt: i32,
    /// How many attempts are left after this one.
    pub(crate) remaining: i32,
    pub(crate) request_id: RequestId,
    pub(crate) trace_id: Option<Uuid>,
}

/// `now` is `None` where the server's clock counts.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Claimed>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT workspace_id, id, kind, payload, attempt, remaining, request_id, trace_id
        FROM kernel_jobs.claim($1, $2, $3, $4, $5, $6)
        ",
    )
    .bind(wanted.kinds)
    .bind(wanted.limits)
    .bind(wanted.claim)
    .bind(wanted.batch)
    .bind(wanted.lease_ms)
    .bind(now)
    .fetch_all(conn)
    .await
}

/// Which attempt at which job holds, or held, a lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) id: JobId,
    pub(crate) attempt: i32,
}

/// Whether the failure was noted: not when the attempt had lost its lease. Without `retry_ms` the job is dead.
pub(crate) async fn fail(
    conn: &mut PgConnection,
    lease: Lease,
    error: &str,
    retry_ms: Option<i64>,
    now: Option<DateTime<Utc>>,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_jobs.fail($1, $2, $3, $4, $5, $6)")
        .bind(lease.workspace_id)
        .bind(lease.id)
        .bind(lease.attempt)
        .bind(error)
        .bind(retry_ms)
        .bind(now)
        .fetch_one(conn)
        .await
}

pub(crate) async fn finish(conn: &mut PgConnection, lease: Lease) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_jobs.finish($1, $2, $3)")
        .bind(lease.workspace_id)
        .bind(lease.id)
        .bind(lease.attempt)
        .fetch_one(conn)
        .await
}

/// Prolongs the leases, and returns the positions of those that are lost.
pub(crate) async fn renew(
    conn: &mut PgConnection,
    leases: &[Lease],
    lease_ms: i32,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<usize>, sqlx::Error> {
    let (workspaces, jobs, attempts) = columns(leases);
    let lost: Vec<i64> = sqlx::query_scalar("SELECT kernel_jobs.renew($1, $2, $3, $4, $5)")
        .bind(workspaces)
        .bind(jobs)
        .bind(attempts)
        .bind(lease_ms)
        .bind(now)
        .fetch_all(conn)
        .await?;
    // The server counts from 1.
    Ok(lost.into_iter().filter_map(|position| usize::try_from(position - 1).ok()).collect())
}

/// Gives unfinished jobs back to the queue, and returns how many still were this worker's.
pub(crate) async fn release(
    conn: &mut PgConnection,
    leases: &[Lease],
    now: Option<DateTime<Utc>>,
) -> Result<i32, sqlx::Error> {
    let (workspaces, jobs, attempts) = columns(leases);
    sqlx::query_scalar("SELECT kernel_jobs.release($1, $2, $3, $4)")
        .bind(workspaces)
        .bind(jobs)
        .bind(attempts)
        .bind(now)
        .fetch_one(conn)
        .await
}

/// Gives back what claims got whose answers are lost, and returns how many jobs that were.
pub(crate) async fn disclaim(
    conn: &mut PgConnection,
    claims: &[Uuid],
    now: Option<DateTime<Utc>>,
) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_jobs.disclaim($1, $2)").bind(claims).bind(now).fetch_one(conn).await
}

fn columns(leases: &[Lease]) -> (Vec<WorkspaceId>, Vec<JobId>, Vec<i32>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for lease in leases {
        columns.0.push(lease.workspace_id);
        columns.1.push(lease.id);
        columns.2.push(lease.attempt);
    }
    columns
}

pub(crate) async fn depth(conn: &mut PgConnection) -> Result<Vec<Depth>, sqlx::Error> {
    sqlx::query_as("SELECT kind, state, jobs, oldest_at FROM kernel_jobs.depth()").fetch_all(conn).await
}

/// Jobs of one kind in one state.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Waiting {
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) jobs: i64,
    /// For how long the longest due one has been waiting.
    pub(crate) due_seconds: f64,
}

pub(crate) async fn backlog(
    conn: &mut PgConnection,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Waiting>, sqlx::Error> {
    sqlx::query_as("SELECT kind, state, jobs, due_seconds FROM kernel_jobs.backlog($1)")
        .bind(now)
        .fetch_all(conn)
        .await
}
