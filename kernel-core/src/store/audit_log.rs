use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::audit::{AuditFilter, AuditNoun, AuditOrder, AuditRecord, first_id};
use crate::ctx::RequestId;
use crate::id::{Id, WorkspaceId};

#[derive(Debug)]
#[expect(unnameable_types, reason = "only a sealed trait names it")]
pub struct NewRow {
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) id: Id<AuditNoun>,
    pub(crate) actor_type: &'static str,
    pub(crate) actor_id: Option<Uuid>,
    pub(crate) acting_as: Option<Uuid>,
    pub(crate) action: &'static str,
    pub(crate) target_type: Option<&'static str>,
    pub(crate) target_id: Option<Uuid>,
    pub(crate) metadata: Value,
    pub(crate) ip_address: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) request_id: RequestId,
    pub(crate) created_at: DateTime<Utc>,
}

pub(crate) async fn insert(conn: &mut PgConnection, row: &NewRow) -> Result<(), sqlx::Error> {
    let record = "SELECT kernel_core.record_audit(
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, last => false, pooled => false)";
    bind(sqlx::query(record), row).execute(conn).await?;
    Ok(())
}

/// The same, and what is to be checked and undone before a commit; `pooled` leaves a pooler's settings alone.
pub(crate) async fn insert_last(
    conn: &mut PgConnection,
    row: &NewRow,
    pooled: bool,
) -> Result<(), sqlx::Error> {
    let record = "SELECT kernel_core.record_audit(
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, last => true, pooled => $14)";
    bind(sqlx::query(record), row).bind(pooled).execute(conn).await?;
    Ok(())
}

fn bind<'q>(query: Query<'q, Postgres, PgArguments>, row: &'q NewRow) -> Query<'q, Postgres, PgArguments> {
    query
        .bind(row.workspace_id)
        .bind(row.id)
        .bind(row.actor_type)
        .bind(row.actor_id)
        .bind(row.acting_as)
        .bind(row.action)
        .bind(row.target_type)
        .bind(row.target_id)
        .bind(&row.metadata)
        .bind(row.ip_address.as_deref())
        .bind(row.user_agent.as_deref())
        .bind(row.request_id)
        .bind(row.created_at)
}

/// Rows of a workspace after one of them, in the order of their ids. Sealed or not, a row is in one of the two tables; one
/// that was put beside a sealed row of the same id is not shown.
pub(crate) async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    filter: &AuditFilter,
    (order, after): (AuditOrder, Option<Id<AuditNoun>>),
    limit: i64,
) -> Result<Vec<AuditRecord>, sqlx::Error> {
    let direction = match order {
        AuditOrder::NewestFirst => " ORDER BY id DESC LIMIT ",
        AuditOrder::OldestFirst => " ORDER BY id LIMIT ",
    };
    let mut query = QueryBuilder::<Postgres>::new(
        "SELECT id, actor_type, actor_id, acting_as, action, target_type, target_id, metadata,
                host(ip_address) AS ip_address, user_agent, request_id, created_at
         FROM ((SELECT * FROM kernel_core.audit_log WHERE workspace_id = ",
    );
    query.push_bind(workspace);
    push_filter(&mut query, filter, (order, after));
    query.push(direction).push_bind(limit);
    query
        .push(") UNION ALL (SELECT * FROM kernel_core.audit_unsealed AS u
           WHERE NOT EXISTS (SELECT FROM kernel_core.audit_seal AS s WHERE s.workspace_id = u.workspace_id AND s.id = u.id)
             AND workspace_id = ")
        .push_bind(workspace);
    push_filter(&mut query, filter, (order, after));
    query.push(direction).push_bind(limit).push(")) AS rows").push(direction).push_bind(limit);
    query.build_query_as().fetch_all(conn).await
}

fn push_filter(
    query: &mut QueryBuilder<Postgres>,
    filter: &AuditFilter,
    (order, after): (AuditOrder, Option<Id<AuditNoun>>),
) {
    let beyond = match order {
        AuditOrder::NewestFirst => " AND id < ",
        AuditOrder::OldestFirst => " AND id > ",
    };
    if let Some(after) = after {
        query.push(beyond).push_bind(after);
    }
    if let Some(actor) = filter.actor {
        query.push(" AND actor_id = ").push_bind(actor);
    }
    if let Some(action) = &filter.action {
        query.push(" AND action = ").push_bind(action);
    }
    if let Some(target_type) = &filter.target_type {
        query.push(" AND target_type = ").push_bind(target_type);
    }
    if let Some(target_id) = filter.target_id {
        query.push(" AND target_id = ").push_bind(target_id);
    }
    if let Some(since) = filter.since {
        query.push(" AND id >= ").push_bind(first_id(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND id < ").push_bind(first_id(until));
    }
}
