use chrono::{DateTime, Utc};
use kernel_core::WorkspaceId;
use sqlx::PgConnection;

use crate::project::{Project, ProjectId};

pub(crate) async fn insert(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    project: &Project,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        INSERT INTO tracker.project
            (workspace_id, id, key, name, description, last_issue_number, created_by, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $7)
        ",
    )
    .bind(workspace)
    .bind(project.id)
    .bind(&project.key)
    .bind(&project.name)
    .bind(&project.description)
    .bind(project.created_by)
    .bind(project.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    after: Option<(DateTime<Utc>, ProjectId)>,
    limit: i64,
) -> Result<Vec<Project>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT p.id, p.key, p.name, p.description, p.created_by, p.created_at, p.updated_at,
            (
                SELECT count(*)
                FROM tracker.issue AS i
                WHERE i.workspace_id = p.workspace_id AND i.project_id = p.id AND i.status <> 'done'
            ) AS open_issue_count
        FROM tracker.project AS p
        WHERE p.workspace_id = $1
            AND p.deleted_at IS NULL
            AND ($2::timestamptz IS NULL OR (p.created_at, p.id) > ($2, $3))
        ORDER BY p.created_at, p.id
        LIMIT $4
        ",
    )
    .bind(workspace)
    .bind(after.map(|(at, _)| at))
    .bind(after.map(|(_, id)| id))
    .bind(limit)
    .fetch_all(conn)
    .await
}

pub(crate) async fn find(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: ProjectId,
) -> Result<Option<Project>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT p.id, p.key, p.name, p.description, p.created_by, p.created_at, p.updated_at,
            (
                SELECT count(*)
                FROM tracker.issue AS i
                WHERE i.workspace_id = p.workspace_id AND i.project_id = p.id AND i.status <> 'done'
            ) AS open_issue_count
        FROM tracker.project AS p
        WHERE p.workspace_id = $1 AND p.id = $2 AND p.deleted_at IS NULL
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
    id: ProjectId,
    name: Option<String>,
    description: Option<String>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        UPDATE tracker.project
        SET name = coalesce($3, name), description = coalesce($4, description), updated_at = $5
        WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL
        ",
    )
    .bind(workspace)
    .bind(id)
    .bind(name)
    .bind(description)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns whether there was one to mark.
pub(crate) async fn mark_deleted(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: ProjectId,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        r"
        UPDATE tracker.project
        SET deleted_at = $3
        WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL
        ",
    )
    .bind(workspace)
    .bind(id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The next numbers for so many issues; the last of them. It locks the project, so numbers have no gaps that are not
/// deletions, and a project that is being deleted gets no more issues.
pub(crate) async fn take_numbers(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: ProjectId,
    count: i64,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        r"
        UPDATE tracker.project
        SET last_issue_number = last_issue_number + $3
        WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL
        RETURNING last_issue_number
        ",
    )
    .bind(workspace)
    .bind(id)
    .bind(count)
    .fetch_optional(conn)
    .await
}

pub(crate) async fn delete(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: ProjectId,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM tracker.project WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NOT NULL")
        .bind(workspace)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn exists(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: ProjectId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        r"
        SELECT EXISTS (
            SELECT FROM tracker.project WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL
        )
        ",
    )
    .bind(workspace)
    .bind(id)
    .fetch_one(conn)
    .await
}

/// The names of those of these projects that are in sight.
pub(crate) async fn names(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    ids: &[ProjectId],
) -> Result<Vec<(ProjectId, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, name FROM tracker.project WHERE workspace_id = $1 AND id = ANY($2) AND deleted_at IS NULL",
    )
    .bind(workspace)
    .bind(ids)
    .fetch_all(conn)
    .await
}
