//! Places where a product's code runs inside the kernel's transaction. An error there undoes the whole.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::activity::{ActivityKind, Names, Things};
use crate::audit::AuditAction;
use crate::cache::Front;
use crate::db::sealed::Sealed;
use crate::db::{GlobalTx, TenantTx, Tx};
use crate::error::Error;
use crate::id::{UserId, WorkspaceId};
use crate::message::Messages;
use crate::redaction::Redaction;
use crate::seam::{People, Person};
use crate::secret::{Keyring, SealedColumn};
use crate::table::Table;
use crate::telemetry::Reports;
use crate::telemetry::vital::DbMeter;

/// Someone has just signed up, by whatever way.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SignUp {
    /// The new user.
    pub user: UserId,
    /// The name that they gave.
    pub name: String,
}

impl SignUp {
    /// The user of this id has signed up under this name.
    #[must_use]
    pub fn new(user: UserId, name: impl Into<String>) -> Self {
        Self { user, name: name.into() }
    }
}

/// A workspace has just been founded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkspaceCreated {
    /// The new workspace.
    pub workspace: WorkspaceId,
    /// The name that URLs use.
    pub slug: String,
    /// Who founded it.
    pub owner: UserId,
}

impl WorkspaceCreated {
    /// `owner` has founded this workspace.
    #[must_use]
    pub fn new(workspace: WorkspaceId, slug: impl Into<String>, owner: UserId) -> Self {
        Self { workspace, slug: slug.into(), owner }
    }
}

/// A reaction to `E` inside a transaction `X`.
#[async_trait::async_trait]
pub trait Hook<X: Tx, E>: Send + Sync {
    /// Runs inside the transaction.
    ///
    /// # Errors
    /// Any error undoes the whole transaction and reaches the caller.
    async fn run(&self, tx: &mut X, event: &E) -> Result<(), Error>;
}

/// What every transaction carries: the hooks of all registered pillars, in order of registration, and the keys.
#[derive(Clone, Default)]
pub struct Hooks {
    pub(crate) signup: Vec<Arc<dyn Hook<GlobalTx, SignUp>>>,
    pub(crate) workspace_created: Vec<Arc<dyn Hook<TenantTx, WorkspaceCreated>>>,
    pub(crate) people: Option<Arc<dyn People>>,
    /// What seals and opens in a transaction; none before the app is built.
    pub(crate) keyring: Option<Keyring>,
    /// Where computed values are kept; nowhere before the app is built.
    pub(crate) cache: Option<Arc<Front>>,
    /// What transactions are measured by; nothing before the app is built.
    pub(crate) meter: Option<Arc<DbMeter>>,
    /// Who hears of errors outside requests.
    pub(crate) reports: Option<Arc<Reports>>,
    /// The columns that tables declare as sealed.
    pub(crate) sealed: BTreeSet<SealedColumn>,
    /// What the audit log does not keep.
    pub(crate) redaction: Redaction,
    /// What may be recorded in the feed.
    pub(crate) activities: Vec<ActivityKind>,
    /// What the audit log is told of.
    pub(crate) audits: Vec<AuditAction>,
    /// What things are called.
    pub(crate) names: Names,
    pub(crate) messages: Arc<Messages>,
}

impl Hooks {
    /// Adds those of one more pillar.
    pub(crate) fn add(&mut self, hooks: Self) {
        self.signup.extend(hooks.signup);
        self.workspace_created.extend(hooks.workspace_created);
        self.people = self.people.take().or(hooks.people);
    }

    /// Adds what tables declare of their columns.
    pub(crate) fn learn(&mut self, tables: &[Table], redaction: &Redaction) {
        redaction.learn(tables);
        self.redaction = redaction.clone();
        self.sealed = tables.iter().flat_map(Table::sealed_columns).collect();
    }

    /// Adds what a pillar tells of, and who knows what things are called.
    pub(crate) fn add_deeds(
        &mut self,
        kinds: Vec<ActivityKind>,
        audits: Vec<AuditAction>,
        names: Vec<(&'static str, Arc<dyn Things>)>,
    ) {
        self.activities.extend(kinds);
        self.audits.extend(audits);
        self.names.extend(names);
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("signup", &self.signup.len())
            .field("workspace_created", &self.workspace_created.len())
            .finish_non_exhaustive()
    }
}

/// Runs every `on_signup` hook. The pillar that creates users calls it on each of its ways in.
///
/// # Errors
/// The first hook's error; the caller must let it undo the transaction.
pub async fn signed_up(tx: &mut GlobalTx, event: &SignUp) -> Result<(), Error> {
    for hook in &Sealed::hooks(tx).signup {
        hook.run(tx, event).await?;
    }
    Ok(())
}

/// Runs every `on_workspace_created` hook, inside the new workspace.
///
/// # Errors
/// The first hook's error; the caller must let it undo the transaction.
pub async fn workspace_created(tx: &mut TenantTx, event: &WorkspaceCreated) -> Result<(), Error> {
    for hook in &Sealed::hooks(tx).workspace_created {
        hook.run(tx, event).await?;
    }
    Ok(())
}

/// The names of people, from inside any transaction; at most 500 at a time. Without a pillar that knows people, nobody.
///
/// # Errors
/// When the database refuses.
pub async fn people(tx: &mut impl Tx, ids: &[UserId]) -> Result<Vec<Person>, Error> {
    let Some(people) = Sealed::hooks(tx).people.clone() else { return Ok(Vec::new()) };
    let ids = &ids[..ids.len().min(500)];
    if ids.is_empty() { Ok(Vec::new()) } else { people.people(tx.conn(), ids).await }
}
