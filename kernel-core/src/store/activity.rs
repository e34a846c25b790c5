use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::activity::{ActivityFilter, ActivityId, ActivityRecord};
use crate::id::WorkspaceId;

pub(crate) struct NewRow {
    pub(crate) id: ActivityId,
    pub(crate) kind: &'static str,
    pub(crate) actor_type: &'static str,
    pub(crate) actor_id: Option<Uuid>,
    pub(crate) target: (&'static str, Uuid),
    pub(crate) within: Option<(&'static str, Uuid)>,
    pub(crate) params: Value,
    pub(crate) created_at: DateTime<Utc>,
}

pub(crate) async fn insert(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    row: &NewRow,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        INSERT INTO kernel_core.activity
            (workspace_id, id, kind, actor_type, actor_id, target_type, target_id, within_type, within_id, params,
             created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ",
    )
    .bind(workspace)
    .bind(row.id)
    .bind(row.kind)
    .bind(row.actor_type)
    .bind(row.actor_id)
    .bind(row.target.0)
    .bind(row.target.1)
    .bind(row.within.map(|(noun, _)| noun))
    .bind(row.within.map(|(_, id)| id))
    .bind(&row.params)
    .bind(row.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Entries of these kinds before one of them, the latest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    kinds: &[&str],
    filter: &ActivityFilter,
    before: Option<ActivityId>,
    limit: i64,
) -> Result<Vec<ActivityRecord>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(
        "SELECT id, kind, actor_type, actor_id, target_type, target_id, within_type, within_id, params, created_at
         FROM kernel_core.activity
         WHERE workspace_id = ",
    );
    query.push_bind(workspace).push(" AND kind = ANY(").push_bind(kinds).push(")");
    if let Some(actor) = filter.actor {
        query.push(" AND actor_id = ").push_bind(actor);
    }
    if let Some(target) = filter.target {
        query.push(" AND target_id = ").push_bind(target);
    }
    if let Some(within) = filter.within {
        query.push(" AND within_id = ").push_bind(within);
    }
    if let Some(before) = before {
        query.push(" AND id < ").push_bind(before);
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
    query.build_query_as().fetch_all(conn).await
}

/// Deletes at most so many entries, of all workspaces, that are older than so many months.
pub(crate) async fn purge(
    conn: &mut PgConnection,
    limit: i32,
    months: i32,
    clock: Option<DateTime<Utc>>,
) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_core.purge_activity($1, $2, $3)")
        .bind(limit)
        .bind(months)
        .bind(clock)
        .fetch_one(conn)
        .await
}
