//! Jobs from inside their workspace: what enqueues and completes them in the caller's transaction.

use chrono::{DateTime, Utc};
use kernel_core::{JobId, RequestId, WorkspaceId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::lease::Lease;

pub(crate) struct NewJob {
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) id: JobId,
    pub(crate) kind: &'static str,
    pub(crate) payload: String,
    pub(crate) priority: i16,
    pub(crate) max_attempts: Option<i32>,
    /// `None` for at once by the server's clock, which is also what claims go by.
    pub(crate) run_at: Option<DateTime<Utc>>,
    pub(crate) unique_key: Option<String>,
    pub(crate) request_id: RequestId,
    pub(crate) trace_id: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Inserts a job, or finds the live one that has its unique key.
pub(crate) async fn insert(conn: &mut PgConnection, job: &NewJob) -> Result<JobId, sqlx::Error> {
    // The one that has the key may end between the conflict and the look for it; then there is room for this one.
    for _ in 0..3 {
        if try_insert(conn, job).await? {
            return Ok(job.id);
        }
        if let Some(id) = find_unique(conn, job).await? {
            return Ok(id);
        }
    }
    Err(sqlx::Error::RowNotFound)
}

async fn try_insert(conn: &mut PgConnection, job: &NewJob) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        r"
        INSERT INTO kernel_jobs.job
            (workspace_id, id, kind, payload, state, priority, attempt, forgiven, max_attempts, run_at, unique_key,
             request_id, trace_id, created_at, updated_at)
        VALUES ($1, $2, $3, $4::jsonb, 'available', $5, 0, 0, $6, coalesce($7, clock_timestamp()), $8,
                $9, $10, $11, $11)
        ON CONFLICT (workspace_id, kind, unique_key) WHERE unique_key IS NOT NULL AND state <> 'dead' DO NOTHING
        ",
    )
    .bind(job.workspace_id)
    .bind(job.id)
    .bind(job.kind)
    .bind(&job.payload)
    .bind(job.priority)
    .bind(job.max_attempts)
    .bind(job.run_at)
    .bind(&job.unique_key)
    .bind(job.request_id)
    .bind(job.trace_id)
    .bind(job.created_at)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn find_unique(conn: &mut PgConnection, job: &NewJob) -> Result<Option<JobId>, sqlx::Error> {
    sqlx::query_scalar(
        r"
        SELECT id
        FROM kernel_jobs.job
        WHERE workspace_id = $1 AND kind = $2 AND unique_key = $3 AND state <> 'dead'
        ",
    )
    .bind(job.workspace_id)
    .bind(job.kind)
    .bind(&job.unique_key)
    .fetch_optional(conn)
    .await
}

pub(crate) struct NewJobs<'a> {
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) kind: &'static str,
    pub(crate) priority: i16,
    pub(crate) run_at: Option<DateTime<Utc>>,
    pub(crate) request_id: RequestId,
    pub(crate) trace_id: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) ids: &'a [JobId],
    pub(crate) payloads: &'a [String],
}

pub(crate) async fn insert_many(conn: &mut PgConnection, jobs: &NewJobs<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        INSERT INTO kernel_jobs.job
            (workspace_id, id, kind, payload, state, priority, attempt, forgiven, run_at, request_id, trace_id,
             created_at, updated_at)
        SELECT $1, row.id, $2, row.payload::jsonb, 'available', $3, 0, 0, coalesce($4, clock_timestamp()), $5, $6, $7, $7
        FROM unnest($8::uuid[], $9::text[]) AS row (id, payload)
        ",
    )
    .bind(jobs.workspace_id)
    .bind(jobs.kind)
    .bind(jobs.priority)
    .bind(jobs.run_at)
    .bind(jobs.request_id)
    .bind(jobs.trace_id)
    .bind(jobs.created_at)
    .bind(jobs.ids)
    .bind(jobs.payloads)
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps the job where it is until the transaction ends, if this attempt still holds its lease: claims skip locked rows.
/// An attempt may hold it in several transactions at once.
pub(crate) async fn lock(conn: &mut PgConnection, lease: Lease) -> Result<bool, sqlx::Error> {
    let held = sqlx::query(
        r"
        SELECT
        FROM kernel_jobs.job
        WHERE workspace_id = $1 AND id = $2 AND attempt = $3 AND state = 'running'
        FOR SHARE
        ",
    )
    .bind(lease.workspace_id)
    .bind(lease.id)
    .bind(lease.attempt)
    .fetch_optional(conn)
    .await?;
    Ok(held.is_some())
}

/// Deletes the job if this attempt still holds its lease.
pub(crate) async fn complete(conn: &mut PgConnection, lease: Lease) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        r"
        DELETE FROM kernel_jobs.job
        WHERE workspace_id = $1 AND id = $2 AND attempt = $3 AND state = 'running'
        ",
    )
    .bind(lease.workspace_id)
    .bind(lease.id)
    .bind(lease.attempt)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
