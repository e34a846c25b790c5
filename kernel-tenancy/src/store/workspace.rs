use chrono::{DateTime, Utc};
use kernel_core::seam::{FoundWorkspace, WorkspaceName};
use kernel_core::{UserId, WorkspaceId, WorkspaceStatus};
use sqlx::PgConnection;

use super::role;
use crate::workspace::{MyWorkspace, NewWorkspace, Workspace};

#[derive(sqlx::FromRow)]
struct Row {
    workspace_id: WorkspaceId,
    slug: String,
    name: String,
    status: String,
}

impl From<Row> for Workspace {
    fn from(row: Row) -> Self {
        Self { id: row.workspace_id, slug: row.slug, name: row.name, status: row.status }
    }
}

pub(crate) async fn insert(
    conn: &mut PgConnection,
    id: WorkspaceId,
    new: &NewWorkspace,
    now: DateTime<Utc>,
) -> Result<Workspace, sqlx::Error> {
    let row: Row = sqlx::query_as(
        r"
        INSERT INTO kernel_tenancy.workspace (workspace_id, slug, name, status, created_at, updated_at)
        VALUES ($1, $2, $3, 'active', $4, $4)
        RETURNING workspace_id, slug, name, status
        ",
    )
    .bind(id)
    .bind(new.slug.as_str())
    .bind(&new.name)
    .bind(now)
    .fetch_one(conn)
    .await?;
    Ok(row.into())
}

pub(crate) async fn find(conn: &mut PgConnection, id: WorkspaceId) -> Result<Option<Workspace>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT workspace_id, slug, name, status FROM kernel_tenancy.workspace WHERE workspace_id = $1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Workspace::from))
}

pub(crate) async fn rename(
    conn: &mut PgConnection,
    id: WorkspaceId,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Option<Workspace>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        r"
        UPDATE kernel_tenancy.workspace
        SET name = $2, updated_at = $3
        WHERE workspace_id = $1
        RETURNING workspace_id, slug, name, status
        ",
    )
    .bind(id)
    .bind(name)
    .bind(now)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Workspace::from))
}

#[derive(sqlx::FromRow)]
struct MyRow {
    workspace_id: WorkspaceId,
    slug: String,
    name: String,
    status: String,
    role: String,
}

/// Up to `limit` workspaces that `user` belongs to, by name and slug, after these.
pub(crate) async fn list_of(
    conn: &mut PgConnection,
    user: UserId,
    after: Option<&(String, String)>,
    limit: i64,
) -> Result<Vec<MyWorkspace>, sqlx::Error> {
    let rows: Vec<MyRow> = sqlx::query_as(
        "SELECT workspace_id, slug, name, status, role FROM kernel_tenancy.workspaces_of($1, $2, $3, $4)",
    )
    .bind(user)
    .bind(after.map(|(name, _)| name))
    .bind(after.map(|(_, slug)| slug))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let MyRow { workspace_id, slug, name, status, role: role_name } = row;
            let workspace = Workspace { id: workspace_id, slug, name, status };
            Ok(MyWorkspace { workspace, role: role(&role_name)? })
        })
        .collect()
}

#[derive(sqlx::FromRow)]
struct ResolvedRow {
    workspace_id: WorkspaceId,
    slug: String,
    status: String,
    role: String,
}

/// The workspace of this name, if `user` belongs to it.
pub(crate) async fn resolve(
    conn: &mut PgConnection,
    name: &WorkspaceName,
    user: UserId,
) -> Result<Option<FoundWorkspace>, sqlx::Error> {
    let (slug, id) = match name {
        WorkspaceName::Id(id) => (None, Some(*id)),
        WorkspaceName::Slug(slug) => (Some(slug), None),
        // A way of naming that came later than this resolver.
        _ => return Ok(None),
    };
    let row: Option<ResolvedRow> = sqlx::query_as(
        "SELECT workspace_id, slug, status, role FROM kernel_tenancy.find_workspace($1, $2, $3)",
    )
    .bind(slug)
    .bind(id)
    .bind(user)
    .fetch_optional(conn)
    .await?;
    let Some(ResolvedRow { workspace_id: id, slug, status, role: role_name }) = row else { return Ok(None) };
    let status = WorkspaceStatus::from_name(&status).ok_or_else(|| {
        sqlx::Error::Decode(format!("kernel_tenancy.workspace {id}: status {status:?}").into())
    })?;
    Ok(Some(FoundWorkspace::new(id, slug, status, role(&role_name)?)))
}
