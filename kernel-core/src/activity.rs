//! The activity feed: what has happened in a workspace, for the people in it. Written in the transaction of the deed.
//!
//! It is not the [audit log](mod@crate::audit): it is gone after some months, it is about things that people work with, and
//! whoever reads it sees only kinds that their permissions cover. A row holds ids, numbers and words; names are looked up
//! when it is read, so that a renamed thing has its new name and an erased person none.

mod tell;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use chrono::{DateTime, Utc};

use crate::db::sealed::Sealed;
use crate::db::{DbError, TenantTx, Tx};
use crate::error::Error;
use crate::id::{Id, Noun, UserId};
use crate::role::Permission;
use crate::store;

pub(crate) use tell::Names;
pub use tell::{Thing, Things, Told, tell};

/// How many entries one call reads at most.
const LIMIT_MAX: i64 = 1000;

/// Names entries of the feed.
#[derive(Debug)]
pub enum ActivityNoun {}

impl Noun for ActivityNoun {
    const PREFIX: &'static str = "act";
}

/// The id of an entry.
pub type ActivityId = Id<ActivityNoun>;

/// A kind of thing that happens, declared by a pillar with [`Pillar::activities`](crate::Pillar::activities).
///
/// The catalogue says what people read: under `activity.<name>` a text with `{actor}`, `{target}` and the parameters that
/// every entry of the kind has.
///
/// ```
/// # kernel_core::permissions! {
/// #     /// Read.
/// #     pub ISSUE_READ = "tracker.issue.read" for Viewer;
/// # }
/// use kernel_core::{ActivityKind, Pillar};
///
/// const ISSUE_CLOSED: ActivityKind = ActivityKind::new("tracker.issue.closed", ISSUE_READ);
///
/// let pillar = Pillar::new("tracker")
///     .permissions(ALL)
///     .activities(&[ISSUE_CLOSED])
///     .messages(r#"{ "activity.tracker.issue.closed": "{actor} closed {target}" }"#);
/// # assert_eq!(pillar.name(), "tracker");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivityKind {
    name: &'static str,
    sees: Permission,
}

impl ActivityKind {
    /// A kind with its dotted name, which starts with the pillar's, and what it takes to see its entries.
    #[must_use]
    pub const fn new(name: &'static str, sees: Permission) -> Self {
        Self { name, sees }
    }

    /// The dotted name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// What it takes to see its entries.
    #[must_use]
    pub const fn sees(self) -> Permission {
        self.sees
    }
}

/// In whose name an entry is.
#[derive(Debug, Clone, Copy)]
enum By {
    Actor,
    System,
    User(UserId),
}

/// What has happened, for the feed. Actor, workspace and time come from the transaction.
///
/// There is no way to put a text that somebody has typed into an entry: it would outlive the row that it came from.
#[derive(Debug, Clone)]
#[must_use = "hand it to `record`"]
pub struct ActivityEntry {
    kind: ActivityKind,
    target: (&'static str, Uuid),
    within: Option<(&'static str, Uuid)>,
    by: By,
    params: Map<String, Value>,
}

impl ActivityEntry {
    /// Something of this kind has happened to the thing with this noun and id.
    pub fn new<N>(kind: ActivityKind, noun: &'static str, target: Id<N>) -> Self {
        Self { kind, target: (noun, target.uuid()), within: None, by: By::Actor, params: Map::new() }
    }

    /// What the target belongs to: the project of an issue.
    pub fn within<N>(mut self, noun: &'static str, id: Id<N>) -> Self {
        self.within = Some((noun, id.uuid()));
        self
    }

    /// In whose name, when it is not whoever acts: for hooks and seeds. `None` is the system.
    pub fn by(mut self, user: Option<UserId>) -> Self {
        self.by = user.map_or(By::System, By::User);
        self
    }

    /// A number.
    pub fn number(self, name: &'static str, number: i64) -> Self {
        self.param(name, json!(number))
    }

    /// A word of the program's own: a status, a role. The text of the kind chooses by it.
    pub fn word(self, name: &'static str, word: &'static str) -> Self {
        self.param(name, json!(word))
    }

    /// A person who is concerned; `None` for nobody, which the text of the kind reads as the word `none`.
    pub fn person(self, name: &'static str, user: Option<UserId>) -> Self {
        self.param(
            name,
            user.map_or(Value::Null, |user| json!({ "user": user.uuid().as_simple().to_string() })),
        )
    }

    /// Another thing that is concerned.
    pub fn thing<N>(self, name: &'static str, noun: &'static str, id: Id<N>) -> Self {
        self.param(name, json!({ noun: id.uuid().as_simple().to_string() }))
    }

    fn param(mut self, name: &'static str, value: Value) -> Self {
        self.params.insert(name.to_owned(), value);
        self
    }
}

/// Writes `entry`: it stands if and only if the transaction commits.
///
/// # Errors
/// `internal` for a kind that no pillar declares, or parameters of more than 2,000 bytes; what the database says.
pub async fn record(tx: &mut TenantTx, entry: ActivityEntry) -> Result<ActivityId, Error> {
    let ActivityEntry { kind, target, within, by, params } = entry;
    if !Sealed::hooks(tx).activities.contains(&kind) {
        return Err(Error::internal(Undeclared(kind.name)));
    }
    let (ctx, workspace) = (tx.ctx().clone(), tx.workspace_id());
    let (actor_type, actor_id) = match by {
        By::Actor => (ctx.actor().kind(), ctx.actor().id()),
        By::System => ("system", None),
        By::User(user) => ("user", Some(user.uuid())),
    };
    let row = store::activity::NewRow {
        id: ctx.new_id(),
        kind: kind.name,
        actor_type,
        actor_id,
        target,
        within,
        params: Value::Object(params),
        created_at: ctx.now(),
    };
    store::activity::insert(tx.conn(), workspace, &row).await?;
    Ok(row.id)
}

/// An entry is of a kind that no registered pillar declares, so nobody could ever see it.
#[derive(Debug, thiserror::Error)]
#[error("the activity {0} is declared by no pillar")]
struct Undeclared(&'static str);

/// Which entries of the feed. Those that are set must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivityFilter {
    /// Whoever acted: a user, a key, a member of staff.
    pub actor: Option<Uuid>,
    /// The dotted name of what happened.
    pub kind: Option<String>,
    /// The id of what it happened to.
    pub target: Option<Uuid>,
    /// The id of what the target belongs to.
    pub within: Option<Uuid>,
}

/// An entry of the feed.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
#[non_exhaustive]
pub struct ActivityRecord {
    /// The entry.
    pub id: ActivityId,
    /// The dotted name of what happened.
    pub kind: String,
    /// The kind of whoever acted: `anonymous`, `api_key`, `staff`, `system`, `user`.
    pub actor_type: String,
    /// Whoever acted; none for `anonymous` and `system`.
    pub actor_id: Option<Uuid>,
    /// The noun of what it happened to.
    pub target_type: String,
    /// The id of what it happened to, which may be gone by now.
    pub target_id: Uuid,
    /// The noun of what the target belongs to.
    pub within_type: Option<String>,
    /// The id of what the target belongs to.
    pub within_id: Option<Uuid>,
    /// Numbers and words by name; people and things as `{"<noun>": "<32 hexadecimal digits>"}`.
    pub params: Value,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl ActivityRecord {
    /// The user who acted, if one did.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.actor_id.filter(|_| self.actor_type == "user").map(UserId::from_uuid)
    }

    /// The id of the thing, or of the person, `user`, that this parameter names.
    #[must_use]
    pub fn param_id(&self, name: &str, noun: &str) -> Option<Uuid> {
        Uuid::try_parse(self.params.get(name)?.get(noun)?.as_str()?).ok()
    }

    /// The word that this parameter is.
    #[must_use]
    pub fn param_word(&self, name: &str) -> Option<&str> {
        self.params.get(name)?.as_str()
    }
}

/// Entries that the transaction's actor may see, before one of them, the latest first; at most 1000.
///
/// # Errors
/// What the database says.
pub async fn list(
    tx: &mut TenantTx,
    filter: &ActivityFilter,
    before: Option<ActivityId>,
    limit: i64,
) -> Result<Vec<ActivityRecord>, DbError> {
    let (ctx, workspace) = (tx.ctx().clone(), tx.workspace_id());
    let hooks = Sealed::hooks(tx);
    let seen = hooks.activities.iter().filter(|kind| ctx.can(kind.sees));
    let seen = seen.filter(|kind| filter.kind.as_ref().is_none_or(|name| name == kind.name));
    let kinds: Vec<_> = seen.map(|kind| kind.name).collect();
    let limit = limit.clamp(1, LIMIT_MAX);
    Ok(store::activity::list(tx.conn(), workspace, &kinds, filter, before, limit).await?)
}

/// How the feed is kept.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ActivityConfig {
    /// For how many months entries are kept, 1 to 120; 6 unless said. A chore deletes older ones.
    pub retention_months: u32,
}

impl Default for ActivityConfig {
    fn default() -> Self {
        Self { retention_months: 6 }
    }
}

impl ActivityConfig {
    pub(crate) fn problem(self) -> Option<&'static str> {
        let kept = (1..=120).contains(&self.retention_months);
        (!kept).then_some("activity entries are kept for 1 to 120 months")
    }
}
