//! The log as a workspace reads its own.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::AuditNoun;
use crate::ctx::RequestId;
use crate::db::{DbError, TenantTx, Tx};
use crate::id::{Id, UserId};
use crate::store;

/// How many rows one call reads at most.
const LIMIT_MAX: i64 = 1000;

/// Which rows of the log. Those that are set must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Whoever acted: a user, a key, a member of staff.
    pub actor: Option<Uuid>,
    /// The dotted name of what was done.
    pub action: Option<String>,
    /// The noun of what it was done to.
    pub target_type: Option<String>,
    /// The id of what it was done to.
    pub target_id: Option<Uuid>,
    /// From this moment on, to the millisecond.
    pub since: Option<DateTime<Utc>>,
    /// Before this moment, to the millisecond.
    pub until: Option<DateTime<Utc>>,
}

/// Which end of the log comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditOrder {
    /// The last deed.
    NewestFirst,
    /// The first deed.
    OldestFirst,
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
#[non_exhaustive]
pub struct AuditRecord {
    /// The row.
    pub id: Id<AuditNoun>,
    /// The kind of whoever acted: `anonymous`, `api_key`, `staff`, `system`, `user`.
    pub actor_type: String,
    /// Whoever acted; none for `anonymous` and `system`.
    pub actor_id: Option<Uuid>,
    /// The user whose view a member of staff had.
    pub acting_as: Option<UserId>,
    /// The dotted name of what was done.
    pub action: String,
    /// The noun of what it was done to.
    pub target_type: Option<String>,
    /// The id of what it was done to.
    pub target_id: Option<Uuid>,
    /// Details, by name.
    pub metadata: Value,
    /// The address that the request came from. Personal.
    pub ip_address: Option<String>,
    /// The browser that it came from. Personal.
    pub user_agent: Option<String>,
    /// The request.
    pub request_id: RequestId,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl AuditRecord {
    /// The row without what is personal in it.
    #[must_use]
    pub fn redacted(self) -> Self {
        Self { ip_address: None, user_agent: None, ..self }
    }
}

/// Rows of the transaction's workspace after one of them, at most 1000.
///
/// # Errors
/// [`DbError::Sql`] when the database refuses.
pub async fn list(
    tx: &mut TenantTx,
    filter: &AuditFilter,
    order: AuditOrder,
    after: Option<Id<AuditNoun>>,
    limit: i64,
) -> Result<Vec<AuditRecord>, DbError> {
    let workspace = tx.workspace_id();
    let limit = limit.clamp(1, LIMIT_MAX);
    tx.open().write_audited().await?;
    Ok(store::audit_log::list(tx.conn(), workspace, filter, (order, after), limit).await?)
}

/// The first id of a moment: ids start with the time.
pub(crate) fn first_id(moment: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(moment.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}
