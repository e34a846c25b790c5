use kernel_core::http::Sort;
use kernel_core::{UserId, WorkspaceId};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::issue::{Issue, IssueId, IssueOrder, Position, Priority, RankedIssue, Status};
use crate::label::LabelId;
use crate::project::ProjectId;

pub(crate) async fn insert(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    issue: &Issue,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        INSERT INTO tracker.issue
            (workspace_id, id, project_id, number, title, body, status, priority, assignee_id, created_by, created_at,
            updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
        ",
    )
    .bind(workspace)
    .bind(issue.listed.id)
    .bind(issue.listed.project_id)
    .bind(issue.listed.number)
    .bind(&issue.listed.title)
    .bind(&issue.body)
    .bind(issue.listed.status.name())
    .bind(issue.listed.priority.name())
    .bind(issue.listed.assignee)
    .bind(issue.listed.created_by)
    .bind(issue.listed.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Inserts many in one statement.
pub(crate) async fn insert_all(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    issues: &[Issue],
) -> Result<(), sqlx::Error> {
    let column = |value: fn(&Issue) -> &str| issues.iter().map(value).collect::<Vec<_>>();
    sqlx::query(
        r"
        INSERT INTO tracker.issue
            (workspace_id, id, project_id, number, title, body, status, priority, assignee_id, created_by, created_at,
            updated_at)
        SELECT $1, n.id, n.project_id, n.number, n.title, n.body, n.status, n.priority, n.assignee_id, n.created_by,
            n.created_at, n.created_at
        FROM unnest(
            $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[],
            $10::uuid[], $11::timestamptz[]
        ) AS n (id, project_id, number, title, body, status, priority, assignee_id, created_by, created_at)
        ",
    )
    .bind(workspace)
    .bind(issues.iter().map(|issue| issue.listed.id).collect::<Vec<_>>())
    .bind(issues.iter().map(|issue| issue.listed.project_id).collect::<Vec<_>>())
    .bind(issues.iter().map(|issue| issue.listed.number).collect::<Vec<_>>())
    .bind(column(|issue| &issue.listed.title))
    .bind(column(|issue| &issue.body))
    .bind(column(|issue| issue.listed.status.name()))
    .bind(column(|issue| issue.listed.priority.name()))
    .bind(issues.iter().map(|issue| issue.listed.assignee).collect::<Vec<_>>())
    .bind(issues.iter().map(|issue| issue.listed.created_by).collect::<Vec<_>>())
    .bind(issues.iter().map(|issue| issue.listed.created_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Which rows a list asks for.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) project: ProjectId,
    pub(crate) status: Option<Status>,
    pub(crate) priority: Option<Priority>,
    pub(crate) assignee: Option<UserId>,
    pub(crate) label: Option<LabelId>,
    pub(crate) text: Option<&'a str>,
    pub(crate) order: Sort<IssueOrder>,
    pub(crate) after: Option<Position>,
    pub(crate) limit: i64,
}

/// At most so many matches are looked at: what a search function gives.
const MATCHES_MAX: i32 = 1000;

pub(crate) async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    wanted: Wanted<'_>,
) -> Result<Vec<RankedIssue>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(
        "SELECT i.id, i.project_id, i.number, i.title, i.status, i.priority, i.assignee_id, i.created_by, \
         i.created_at, i.updated_at, ",
    );
    if let Some(text) = wanted.text {
        query.push("f.rank FROM tracker.search_issue(").push_bind(text.to_owned());
        query.push(", ").push_bind(MATCHES_MAX).push(", ").push_bind(wanted.project);
        query.push(") AS f JOIN tracker.issue AS i ON i.id = f.id WHERE i.workspace_id = ");
    } else {
        query.push("0::real AS rank FROM tracker.issue AS i WHERE i.workspace_id = ");
    }
    query.push_bind(workspace).push(" AND i.project_id = ").push_bind(wanted.project);
    if let Some(status) = wanted.status {
        query.push(" AND i.status = ").push_bind(status.name());
    }
    if let Some(priority) = wanted.priority {
        query.push(" AND i.priority_rank = ").push_bind(priority.rank());
    }
    if let Some(assignee) = wanted.assignee {
        query.push(" AND i.assignee_id = ").push_bind(assignee);
    }
    if let Some(label) = wanted.label {
        query.push(" AND i.id IN (SELECT issue_id FROM tracker.issue_label WHERE workspace_id = ");
        query.push_bind(workspace).push(" AND label_id = ").push_bind(label).push(")");
    }
    let column = wanted.order.key.column();
    let (beyond, direction) = if wanted.order.descending { ("<", "DESC") } else { (">", "ASC") };
    if let Some(after) = wanted.after {
        query.push(format_args!(" AND ({column}, i.id) {beyond} ("));
        let id = match after {
            Position::Age(at, id) | Position::Change(at, id) => {
                query.push_bind(at);
                id
            }
            Position::Rank(rank, id) => {
                query.push_bind(rank);
                id
            }
            Position::Relevance(rank, id) => {
                query.push_bind(f32::from_bits(rank));
                id
            }
            Position::Title(title, id) => {
                query.push_bind(title);
                id
            }
        };
        query.push(", ").push_bind(id).push(")");
    }
    query
        .push(format_args!(" ORDER BY {column} {direction}, i.id {direction} LIMIT "))
        .push_bind(wanted.limit);
    query.build_query_as().fetch_all(conn).await
}

pub(crate) async fn find(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: IssueId,
) -> Result<Option<Issue>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT i.id, i.project_id, i.number, i.title, i.body, i.status, i.priority, i.assignee_id, i.created_by,
            i.created_at, i.updated_at
        FROM tracker.issue AS i
        JOIN tracker.project AS p ON p.workspace_id = i.workspace_id AND p.id = i.project_id
        WHERE i.workspace_id = $1 AND i.id = $2 AND p.deleted_at IS NULL
        ",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// The issue, locked until the transaction ends.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: IssueId,
) -> Result<Option<Issue>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT i.id, i.project_id, i.number, i.title, i.body, i.status, i.priority, i.assignee_id, i.created_by,
            i.created_at, i.updated_at
        FROM tracker.issue AS i
        JOIN tracker.project AS p ON p.workspace_id = i.workspace_id AND p.id = i.project_id
        WHERE i.workspace_id = $1 AND i.id = $2 AND p.deleted_at IS NULL
        FOR UPDATE OF i
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
    issue: &Issue,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        UPDATE tracker.issue
        SET title = $3, body = $4, status = $5, priority = $6, assignee_id = $7, updated_at = $8
        WHERE workspace_id = $1 AND id = $2
        ",
    )
    .bind(workspace)
    .bind(issue.listed.id)
    .bind(&issue.listed.title)
    .bind(&issue.body)
    .bind(issue.listed.status.name())
    .bind(issue.listed.priority.name())
    .bind(issue.listed.assignee)
    .bind(issue.listed.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn delete(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: IssueId,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM tracker.issue WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes at most `limit` issues of a project, and says how many there were.
pub(crate) async fn delete_of_project(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    project: ProjectId,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        r"
        DELETE FROM tracker.issue
        WHERE (workspace_id, id) IN (
            SELECT workspace_id, id FROM tracker.issue WHERE workspace_id = $1 AND project_id = $2 LIMIT $3
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

/// Key of the project, number and title of those of these issues that are in sight.
pub(crate) async fn names(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    ids: &[IssueId],
) -> Result<Vec<(IssueId, String, i64, String)>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT i.id, p.key, i.number, i.title
        FROM tracker.issue AS i
        JOIN tracker.project AS p ON p.workspace_id = i.workspace_id AND p.id = i.project_id
        WHERE i.workspace_id = $1 AND i.id = ANY($2) AND p.deleted_at IS NULL
        ",
    )
    .bind(workspace)
    .bind(ids)
    .fetch_all(conn)
    .await
}
