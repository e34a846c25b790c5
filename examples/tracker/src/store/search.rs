use kernel_core::WorkspaceId;
use sqlx::PgConnection;

use crate::search::{CommentFound, IssueFound, ProjectFound};

/// How many matches are looked at for those in sight: what lies in a deleted project is not.
const MATCHES_MAX: i32 = 200;

/// The projects that match best.
pub(crate) async fn projects(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    text: &str,
    limit: i64,
) -> Result<Vec<ProjectFound>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT p.id, p.key, p.name
        FROM tracker.search_project($2, $3) AS f
        JOIN tracker.project AS p ON p.id = f.id
        WHERE p.workspace_id = $1 AND p.deleted_at IS NULL
        ORDER BY f.rank DESC, p.id DESC
        LIMIT $4
        ",
    )
    .bind(workspace)
    .bind(text)
    .bind(MATCHES_MAX)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// The oldest projects.
pub(crate) async fn first_projects(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    limit: i64,
) -> Result<Vec<ProjectFound>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT id, key, name
        FROM tracker.project
        WHERE workspace_id = $1 AND deleted_at IS NULL
        ORDER BY created_at, id
        LIMIT $2
        ",
    )
    .bind(workspace)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// The project with this key.
pub(crate) async fn project_by_key(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    key: &str,
) -> Result<Option<ProjectFound>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, key, name FROM tracker.project WHERE workspace_id = $1 AND key = $2 AND deleted_at IS NULL",
    )
    .bind(workspace)
    .bind(key)
    .fetch_optional(conn)
    .await
}

/// The issues of any project that match best.
pub(crate) async fn issues(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    text: &str,
    limit: i64,
) -> Result<Vec<IssueFound>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT i.id, p.key, i.number, i.title, i.status
        FROM tracker.search_issue($2, $3, NULL) AS f
        JOIN tracker.issue AS i ON i.id = f.id
        JOIN tracker.project AS p ON p.workspace_id = i.workspace_id AND p.id = i.project_id
        WHERE i.workspace_id = $1 AND p.deleted_at IS NULL
        ORDER BY f.rank DESC, i.id DESC
        LIMIT $4
        ",
    )
    .bind(workspace)
    .bind(text)
    .bind(MATCHES_MAX)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// The issues of any project that were changed last.
pub(crate) async fn recent_issues(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    limit: i64,
) -> Result<Vec<IssueFound>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT i.id, p.key, i.number, i.title, i.status
        FROM tracker.issue AS i
        JOIN tracker.project AS p ON p.workspace_id = i.workspace_id AND p.id = i.project_id
        WHERE i.workspace_id = $1 AND p.deleted_at IS NULL
        ORDER BY i.updated_at DESC, i.id DESC
        LIMIT $2
        ",
    )
    .bind(workspace)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// The issue that people call by this key and number: `APP-1`.
pub(crate) async fn issue_by_number(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    key: &str,
    number: i64,
) -> Result<Option<IssueFound>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT i.id, p.key, i.number, i.title, i.status
        FROM tracker.project AS p
        JOIN tracker.issue AS i ON i.workspace_id = p.workspace_id AND i.project_id = p.id
        WHERE p.workspace_id = $1 AND p.key = $2 AND p.deleted_at IS NULL AND i.number = $3
        ",
    )
    .bind(workspace)
    .bind(key)
    .bind(number)
    .fetch_optional(conn)
    .await
}

/// The comments that match best, each with the part of it that matches.
pub(crate) async fn comments(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    text: &str,
    limit: i64,
) -> Result<Vec<CommentFound>, sqlx::Error> {
    sqlx::query_as(
        r#"
        SELECT c.id, c.issue_id, p.key, i.number, i.title, c.created_by, c.created_at,
            ts_headline(
                'english', c.body, websearch_to_tsquery('english', $2),
                'StartSel="", StopSel="", MaxFragments=1, MinWords=10, MaxWords=30'
            ) AS excerpt
        FROM tracker.search_comment($2, $3) AS f
        JOIN tracker.comment AS c ON c.id = f.id
        JOIN tracker.issue AS i ON i.workspace_id = c.workspace_id AND i.id = c.issue_id
        JOIN tracker.project AS p ON p.workspace_id = i.workspace_id AND p.id = i.project_id
        WHERE c.workspace_id = $1 AND p.deleted_at IS NULL
        ORDER BY f.rank DESC, c.id DESC
        LIMIT $4
        "#,
    )
    .bind(workspace)
    .bind(text)
    .bind(MATCHES_MAX)
    .bind(limit)
    .fetch_all(conn)
    .await
}
