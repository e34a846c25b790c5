//! The audit log: who did what to what, written in the transaction of the deed, sealed moments later.
//!
//! A chore numbers committed rows per workspace without gaps and chains them, within five seconds as a rule: [`Report`]
//! says how old the oldest unsealed row is. [`verify`] finds what was changed afterwards. What nobody can find is a row that
//! was changed or removed before it was sealed, and a database that was put back as a whole to an earlier state, unless an
//! earlier [`Checkpoint`] is kept elsewhere.

pub(crate) mod action;
pub(crate) mod canon;
#[cfg(feature = "testkit")]
pub(crate) mod hostile;
mod list;
mod partition;
mod seal;
mod verify;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::actor::Actor;
use crate::app::Config;
use crate::chore::Chore;
use crate::db::sealed::Sealed;
use crate::db::{DbError, Tx};
use crate::id::{Id, Noun};
use crate::secret::Keyring;
use crate::store;

pub use action::AuditAction;
#[cfg(feature = "testkit")]
pub use canon::AuditFault;
#[cfg(not(feature = "testkit"))]
use canon::AuditFault;
pub(crate) use list::first_id;
pub use list::{AuditFilter, AuditOrder, AuditRecord, list};
#[cfg(feature = "testkit")]
pub(crate) use verify::verify_on;
pub use verify::{Broken, Checkpoint, Finding, Report, verify, verify_database};

/// Names audit rows.
#[derive(Debug)]
pub enum AuditNoun {}

impl Noun for AuditNoun {
    const PREFIX: &'static str = "aud";
}

/// What happened, for the audit log. Actor, workspace, address and time come from the transaction.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    action: AuditAction,
    target: Option<(&'static str, Uuid)>,
    metadata: Map<String, Value>,
}

impl AuditEntry {
    /// A deed.
    #[must_use]
    pub fn new(action: AuditAction) -> Self {
        Self { action, target: None, metadata: Map::new() }
    }

    /// What it was done to: the noun and its id.
    #[must_use]
    pub fn target<N>(mut self, noun: &'static str, id: Id<N>) -> Self {
        self.target = Some((noun, id.uuid()));
        self
    }

    /// A detail. Audit rows outlive the people in them: a value, or a part of one, that is named like a column which some
    /// table declares as private, sensitive or restricted is not kept, but `[private]` and so on, as
    /// [`Redaction::hide`](crate::Redaction::hide) says; the noun of the target is the table. So it can be told that an
    /// address was changed, and not which. A text of another name is kept as it is.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.to_owned(), value.into());
        self
    }
}

/// Writes `entry`: it stands if and only if the transaction commits. The last row of a transaction is written with its
/// commit; [`list()`] sees it before.
///
/// # Errors
/// [`DbError::Sql`] when the transaction may only read, or an earlier row cannot be written.
pub async fn audit(tx: &mut impl Tx, entry: AuditEntry) -> Result<(), DbError> {
    let ctx = tx.ctx().clone();
    let acting_as = match ctx.actor() {
        Actor::Staff { acting_as, .. } => acting_as.map(Id::uuid),
        _ => None,
    };
    let mut metadata = Value::Object(entry.metadata);
    Sealed::hooks(tx).redaction.hide(entry.target.map(|(noun, _)| noun), &mut metadata);
    let row = store::audit_log::NewRow {
        workspace_id: tx.workspace_id(),
        id: ctx.new_id(),
        actor_type: ctx.actor().kind(),
        actor_id: ctx.actor().id(),
        acting_as,
        action: entry.action.name(),
        target_type: entry.target.map(|(noun, _)| noun),
        target_id: entry.target.map(|(_, id)| id),
        metadata,
        ip_address: ctx.client().ip.map(|ip| ip.to_string()),
        user_agent: ctx.client().user_agent.clone(),
        request_id: ctx.request_id(),
        created_at: ctx.now(),
    };
    Sealed::note_audit(tx, row).await
}

/// How the audit log is kept.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AuditConfig {
    /// For how many months rows are kept, at least 12; 84 unless said, which is seven years. Partitions whose months are
    /// over are dropped whole.
    pub retention_months: u32,
    /// A fault in the seals, for proofs that must notice it.
    pub(crate) fault: Option<AuditFault>,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { retention_months: 84, fault: None }
    }
}

impl AuditConfig {
    pub(crate) fn problem(self) -> Option<&'static str> {
        let kept = (12..=1200).contains(&self.retention_months);
        (!kept).then_some("audit rows are kept for 12 to 1200 months")
    }
}

/// What keeps the log: the sealer, the partitions ahead, the end of old ones.
pub(crate) fn chores(config: &Config, keyring: &Keyring) -> [Chore; 3] {
    [seal::chore(config, keyring), partition::ahead(), partition::retention(config, keyring)]
}
