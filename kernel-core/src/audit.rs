//! The audit log: who did what to what, written in the transaction of the deed.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::actor::Actor;
use crate::db::{DbError, Tx};
use crate::id::{Id, Noun};
use crate::store;

/// Names audit rows.
#[derive(Debug)]
pub enum AuditNoun {}

impl Noun for AuditNoun {
    const PREFIX: &'static str = "aud";
}

/// What happened, for the audit log. Actor, workspace, address and time come from the transaction.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    action: &'static str,
    target: Option<(&'static str, Uuid)>,
    metadata: Map<String, Value>,
}

impl AuditEntry {
    /// A deed with its dotted name: `tracker.issue.delete`.
    #[must_use]
    pub fn new(action: &'static str) -> Self {
        Self { action, target: None, metadata: Map::new() }
    }

    /// What it was done to: the noun and its id.
    #[must_use]
    pub fn target<N>(mut self, noun: &'static str, id: Id<N>) -> Self {
        self.target = Some((noun, id.uuid()));
        self
    }

    /// A detail. Never a secret, and no personal data: audit rows outlive the people in them.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.to_owned(), value.into());
        self
    }
}

/// Writes `entry`: it stands if and only if the transaction commits.
///
/// # Errors
/// [`DbError::Sql`] when the row cannot be written.
pub async fn audit(tx: &mut impl Tx, entry: AuditEntry) -> Result<(), DbError> {
    let ctx = tx.ctx().clone();
    let acting_as = match ctx.actor() {
        Actor::Staff { acting_as, .. } => acting_as.map(Id::uuid),
        _ => None,
    };
    let row = store::audit_log::NewRow {
        workspace_id: tx.workspace_id(),
        id: ctx.new_id(),
        actor_type: ctx.actor().kind(),
        actor_id: ctx.actor().id(),
        acting_as,
        action: entry.action,
        target_type: entry.target.map(|(noun, _)| noun),
        target_id: entry.target.map(|(_, id)| id),
        metadata: Value::Object(entry.metadata),
        ip_address: ctx.client().ip.map(|ip| ip.to_string()),
        user_agent: ctx.client().user_agent.clone(),
        request_id: ctx.request_id(),
        created_at: ctx.now(),
    };
    store::audit_log::insert(tx.conn(), &row).await?;
    Ok(())
}
