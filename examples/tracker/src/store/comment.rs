use chrono::{DateTime, Utc};
use kernel_core::WorkspaceId;
use sqlx::PgConnection;

use crate::comment::{Comment, CommentId};
use crate::issue::IssueId;

pub(crate) async fn insert(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    comment: &Comment,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        INSERT INTO tracker.comment (workspace_id, id, issue_id, body, created_by, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ",
    )
    .bind(workspace)
    .bind(comment.id)
    .bind(comment.issue_id)
    .bind(&comment.body)
    .bind(comment.created_by)
    .bind(comment.created_at)
    .bind(comment.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    issue: IssueId,
    after: Option<(DateTime<Utc>, CommentId)>,
    limit: i64,
) -> Result<Vec<Comment>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT id, issue_id, body, created_by, created_at, updated_at
        FROM tracker.comment
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

/// How many comments each of these issues has; those without any are left out.
pub(crate) async fn count(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    issues: &[IssueId],
) -> Result<Vec<(IssueId, i64)>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT issue_id, count(*)
        FROM tracker.comment
        WHERE workspace_id = $1 AND issue_id = ANY($2)
        GROUP BY issue_id
        ",
    )
    .bind(workspace)
    .bind(issues)
    .fetch_all(conn)
    .await
}

pub(crate) async fn find(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: CommentId,
) -> Result<Option<Comment>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT id, issue_id, body, created_by, created_at, updated_at
        FROM tracker.comment
        WHERE workspace_id = $1 AND id = $2
        ",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// The comment, locked until the transaction ends.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: CommentId,
) -> Result<Option<Comment>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT id, issue_id, body, created_by, created_at, updated_at
        FROM tracker.comment
        WHERE workspace_id = $1 AND id = $2
        FOR UPDATE
        ",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await
}

pub(crate) async fn update(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    comment: &Comment,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE tracker.comment SET body = $3, updated_at = $4 WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(comment.id)
        .bind(&comment.body)
        .bind(comment.updated_at)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn delete(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: CommentId,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM tracker.comment WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}
