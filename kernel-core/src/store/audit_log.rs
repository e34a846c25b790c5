use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::audit::AuditNoun;
use crate::ctx::RequestId;
use crate::id::{Id, WorkspaceId};

pub(crate) struct NewRow {
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
    sqlx::query(
        r"
        INSERT INTO kernel_core.audit_log
            (workspace_id, id, actor_type, actor_id, acting_as, action, target_type, target_id, metadata,
             ip_address, user_agent, request_id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::inet, $11, $12, $13)
        ",
    )
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
    .execute(conn)
    .await?;
    Ok(())
}
