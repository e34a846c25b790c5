use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ctx::RequestId;
use crate::event::EventId;
use crate::id::WorkspaceId;

pub(crate) struct NewEvent {
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) id: EventId,
    pub(crate) name: &'static str,
    pub(crate) aggregate_id: Uuid,
    pub(crate) payload: Value,
    pub(crate) request_id: RequestId,
    pub(crate) trace_id: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
}

pub(crate) async fn insert(conn: &mut PgConnection, event: &NewEvent) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"
        INSERT INTO kernel_core.outbox
            (workspace_id, id, name, aggregate_id, payload, request_id, trace_id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ",
    )
    .bind(event.workspace_id)
    .bind(event.id)
    .bind(event.name)
    .bind(event.aggregate_id)
    .bind(&event.payload)
    .bind(event.request_id)
    .bind(event.trace_id)
    .bind(event.created_at)
    .execute(conn)
    .await?;
    Ok(())
}
