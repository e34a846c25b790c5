use kernel_core::WorkspaceId;
use sqlx::PgConnection;

use crate::issue::IssueId;
use crate::label::{Label, LabelId};

pub(crate) async fn insert(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    label: &Label,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        INSERT INTO tracker.label (workspace_id, id, name, colour, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ",
    )
    .bind(workspace)
    .bind(label.id)
    .bind(&label.name)
    .bind(label.colour.name())
    .bind(label.created_at)
    .bind(label.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    after: Option<(String, LabelId)>,
    limit: i64,
) -> Result<Vec<Label>, sqlx::Error> {
    let (name, id) = after.unzip();
    sqlx::query_as(
        r"
        SELECT id, name, colour, created_at, updated_at
        FROM tracker.label
        WHERE workspace_id = $1 AND ($2::text IS NULL OR (name, id) > ($2, $3))
        ORDER BY name, id
        LIMIT $4
        ",
    )
    .bind(workspace)
    .bind(name)
    .bind(id)
    .bind(limit)
    .fetch_all(conn)
    .await
}

pub(crate) async fn find_all(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    ids: &[LabelId],
) -> Result<Vec<Label>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT id, name, colour, created_at, updated_at
        FROM tracker.label
        WHERE workspace_id = $1 AND id = ANY($2)
        ",
    )
    .bind(workspace)
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// The label, locked until the transaction ends.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: LabelId,
) -> Result<Option<Label>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT id, name, colour, created_at, updated_at
        FROM tracker.label
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
    label: &Label,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        UPDATE tracker.label
        SET name = $3, colour = $4, updated_at = $5
        WHERE workspace_id = $1 AND id = $2
        ",
    )
    .bind(workspace)
    .bind(label.id)
    .bind(&label.name)
    .bind(label.colour.name())
    .bind(label.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn delete(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: LabelId,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM tracker.label WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Which of these issues has which label.
pub(crate) async fn on_issues(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    issues: &[IssueId],
) -> Result<Vec<(IssueId, LabelId)>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT issue_id, label_id
        FROM tracker.issue_label
        WHERE workspace_id = $1 AND issue_id = ANY($2)
        ORDER BY issue_id, label_id
        ",
    )
    .bind(workspace)
    .bind(issues)
    .fetch_all(conn)
    .await
}

pub(crate) async fn put_on(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    issue: IssueId,
    labels: &[LabelId],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO tracker.issue_label (workspace_id, issue_id, label_id) SELECT $1, $2, unnest($3::uuid[])",
    )
    .bind(workspace)
    .bind(issue)
    .bind(labels)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn take_off(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    issue: IssueId,
    labels: &[LabelId],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM tracker.issue_label WHERE workspace_id = $1 AND issue_id = $2 AND label_id = ANY($3)",
    )
    .bind(workspace)
    .bind(issue)
    .bind(labels)
    .execute(conn)
    .await?;
    Ok(())
}
