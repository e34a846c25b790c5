use chrono::{DateTime, Utc};
use kernel_core::WorkspaceId;
use kernel_core::event::EventId;
use sqlx::PgConnection;

use crate::activity::Activity;
use crate::issue::IssueId;
use crate::project::ProjectId;

/// Writes an entry, unless it is there already or the project has been deleted meanwhile.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    project: ProjectId,
    entry: &Activity,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        INSERT INTO tracker.activity
            (workspace_id, id, project_id, issue_id, issue_number, kind, status, assignee_id, label_id, comment_id,
            issue_count, user_id, created_at)
        SELECT $1, $2, p.id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
        FROM tracker.project AS p
        WHERE p.workspace_id = $1 AND p.id = $3 AND p.deleted_at IS NULL
        ON CONFLICT (workspace_id, id) DO NOTHING
        ",
    )
    .bind(workspace)
    .bind(entry.id)
    .bind(project)
    .bind(entry.issue_id)
    .bind(entry.issue_number)
    .bind(&entry.kind)
    .bind(&entry.status)
    .bind(entry.assignee_id)
    .bind(entry.label_id)
    .bind(entry.comment_id)
    .bind(entry.issue_count)
    .bind(entry.user_id)
    .bind(entry.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    project: ProjectId,
    after: Option<(DateTime<Utc>, EventId)>,
    limit: i64,
) -> Result<Vec<Activity>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT id, issue_id, issue_number, kind, status, assignee_id, label_id, comment_id, issue_count, user_id,
            created_at
        FROM tracker.activity
        WHERE workspace_id = $1
            AND project_id = $2
            AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4))
        ORDER BY created_at DESC, id DESC
        LIMIT $5
        ",
    )
    .bind(workspace)
    .bind(project)
    .bind(after.map(|(at, _)| at))
    .bind(after.map(|(_, id)| id))
    .bind(limit)
    .fetch_all(conn)
    .await
}

pub(crate) async fn list_of_issue(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    issue: IssueId,
    after: Option<(DateTime<Utc>, EventId)>,
    limit: i64,
) -> Result<Vec<Activity>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT id, issue_id, issue_number, kind, status, assignee_id, label_id, comment_id, issue_count, user_id,
            created_at
        FROM tracker.activity
        WHERE workspace_id = $1
            AND issue_id = $2
            AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4))
        ORDER BY created_at DESC, id DESC
        LIMIT $5
        ",
    )
    .bind(workspace)
    .bind(issue)
    .bind(after.map(|(at, _)| at))
    .bind(after.map(|(_, id)| id))
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Deletes at most `limit` entries of a project, and says how many there were.
pub(crate) async fn delete_of_project(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    project: ProjectId,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        r"
        DELETE FROM tracker.activity
        WHERE (workspace_id, id) IN (
            SELECT workspace_id, id FROM tracker.activity WHERE workspace_id = $1 AND project_id = $2 LIMIT $3
        )
        ",
    )
    .bind(workspace)
    .bind(project)
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
