use chrono::{DateTime, Utc};
use kernel_core::{Role, UserId, WorkspaceId};
use sqlx::PgConnection;

use super::role;
use crate::membership::MembershipId;

/// Returns whether the user was not a member before.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: MembershipId,
    user: UserId,
    role: Role,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        r"
        INSERT INTO kernel_tenancy.membership (workspace_id, id, user_id, role, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $5)
        ON CONFLICT (workspace_id, user_id) DO NOTHING
        ",
    )
    .bind(workspace)
    .bind(id)
    .bind(user)
    .bind(role.name())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) struct Row {
    pub(crate) id: MembershipId,
    pub(crate) user_id: UserId,
    pub(crate) role: Role,
    pub(crate) created_at: DateTime<Utc>,
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    after: Option<(DateTime<Utc>, MembershipId)>,
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let rows: Vec<(MembershipId, UserId, String, DateTime<Utc>)> = sqlx::query_as(
        r"
        SELECT id, user_id, role, created_at
        FROM kernel_tenancy.membership
        WHERE workspace_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3))
        ORDER BY created_at, id
        LIMIT $4
        ",
    )
    .bind(workspace)
    .bind(after.map(|(at, _)| at))
    .bind(after.map(|(_, id)| id))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(id, user_id, role_name, created_at)| {
            Ok(Row { id, user_id, role: role(&role_name)?, created_at })
        })
        .collect()
}

pub(crate) async fn exists(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        r"
        SELECT EXISTS (
            SELECT FROM kernel_tenancy.membership WHERE workspace_id = $1 AND user_id = $2
        )
        ",
    )
    .bind(workspace)
    .bind(user)
    .fetch_one(conn)
    .await
}

/// The owners, locked until the transaction ends.
pub(crate) async fn lock_owners(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
) -> Result<Vec<UserId>, sqlx::Error> {
    sqlx::query_scalar(
        r"
        SELECT user_id
        FROM kernel_tenancy.membership
        WHERE workspace_id = $1 AND role = 'owner'
        ORDER BY id
        FOR UPDATE
        ",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await
}

pub(crate) async fn find_role(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<Role>, sqlx::Error> {
    let name: Option<String> = sqlx::query_scalar(
        "SELECT role FROM kernel_tenancy.membership WHERE workspace_id = $1 AND user_id = $2 FOR UPDATE",
    )
    .bind(workspace)
    .bind(user)
    .fetch_optional(conn)
    .await?;
    name.as_deref().map(role).transpose()
}

pub(crate) async fn update_role(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        UPDATE kernel_tenancy.membership
        SET role = $3, updated_at = $4
        WHERE workspace_id = $1 AND user_id = $2
        ",
    )
    .bind(workspace)
    .bind(user)
    .bind(role.name())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
