//! Entries as people read them: with the names that people and things have today.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::ActivityRecord;
use crate::db::sealed::Sealed;
use crate::db::{TenantTx, Tx};
use crate::error::Error;
use crate::hook::people;
use crate::id::{UserId, WorkspaceId};
use crate::message::{Language, Messages};

/// The noun of people.
const USER: &str = "user";

/// A thing as the feed names it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Thing {
    /// Its id.
    pub id: Uuid,
    /// What it is called today.
    pub name: String,
    /// Where its page is, below the workspace's: `/issues/iss_…`.
    pub path: Option<String>,
}

impl Thing {
    /// The thing of this id is called so.
    #[must_use]
    pub fn new(id: Uuid, name: impl Into<String>) -> Self {
        Self { id, name: name.into(), path: None }
    }

    /// Its page is at this path below the workspace's.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }
}

/// Knows what the things of a noun are called: given with [`Pillar::names`](crate::Pillar::names).
#[async_trait]
pub trait Things: Send + Sync {
    /// Those of `ids` that are in sight in the workspace, in any order.
    ///
    /// # Errors
    /// When the database refuses.
    async fn things(
        &self,
        conn: &mut PgConnection,
        workspace: WorkspaceId,
        ids: &[Uuid],
    ) -> Result<Vec<Thing>, Error>;
}

/// Who knows the things of each noun.
pub(crate) type Names = BTreeMap<&'static str, Arc<dyn Things>>;

/// An entry as people read it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Told {
    /// The entry.
    pub record: ActivityRecord,
    /// What the catalogue says of it: `Ada closed APP-1 The roof leaks`.
    pub text: String,
    /// What whoever acted is called today; nothing for a person who is gone.
    pub actor: Option<String>,
    /// What it happened to; nothing when that is gone.
    pub target: Option<Thing>,
}

/// Looks up the names that these entries need, and says what the catalogue says of them, in the context's language.
///
/// # Errors
/// What the database says.
pub async fn tell(tx: &mut TenantTx, records: Vec<ActivityRecord>) -> Result<Vec<Told>, Error> {
    let hooks = Sealed::hooks(tx);
    let mut wanted = BTreeMap::<String, BTreeSet<Uuid>>::new();
    for record in &records {
        for (noun, id) in mentioned(record) {
            wanted.entry(noun.to_owned()).or_default().insert(id);
        }
    }
    let workspace = tx.workspace_id();
    let mut known = HashMap::<(String, Uuid), Thing>::new();
    for (noun, ids) in wanted {
        let ids: Vec<_> = ids.into_iter().collect();
        let things = match hooks.names.get(noun.as_str()) {
            _ if noun == USER => {
                let ids: Vec<_> = ids.into_iter().map(UserId::from_uuid).collect();
                let people = people(tx, &ids).await?;
                people.into_iter().map(|person| Thing::new(person.id.uuid(), person.name)).collect()
            }
            Some(names) => names.things(tx.conn(), workspace, &ids).await?,
            None => Vec::new(),
        };
        known.extend(things.into_iter().map(|thing| ((noun.clone(), thing.id), thing)));
    }
    let said = (&*hooks.messages, tx.ctx().language());
    Ok(records.into_iter().map(|record| told(record, &known, said)).collect())
}

/// The people and things that the texts of an entry may name.
fn mentioned(record: &ActivityRecord) -> impl Iterator<Item = (&str, Uuid)> {
    let actor = record.actor_id.filter(|_| is_person(&record.actor_type)).map(|id| (USER, id));
    let target = (record.target_type.as_str(), record.target_id);
    let within = record.within_type.as_deref().zip(record.within_id);
    let params = record.params.as_object().into_iter().flat_map(|params| params.values().filter_map(named));
    actor.into_iter().chain([target]).chain(within).chain(params)
}

fn is_person(actor_type: &str) -> bool {
    matches!(actor_type, "user" | "staff")
}

/// What a parameter names.
fn named(param: &Value) -> Option<(&str, Uuid)> {
    let (noun, id) = param.as_object()?.iter().next()?;
    Some((noun, Uuid::try_parse(id.as_str()?).ok()?))
}

fn told(
    record: ActivityRecord,
    known: &HashMap<(String, Uuid), Thing>,
    (messages, language): (&Messages, Language),
) -> Told {
    let find = |noun: &str, id: Uuid| known.get(&(noun.to_owned(), id));
    let plain = |key: &str| messages.t(language, key, &BTreeMap::new());
    let called = |noun: &str, id: Uuid| match find(noun, id) {
        Some(thing) => thing.name.clone(),
        None if noun == USER => plain("activity.person_gone"),
        None => plain("activity.thing_gone"),
    };
    let actor = match record.actor_id {
        Some(id) if is_person(&record.actor_type) => find(USER, id).map(|person| person.name.clone()),
        _ => Some(plain(&format!("activity.actor.{}", record.actor_type))),
    };
    let mut args = BTreeMap::from([
        ("actor", actor.clone().unwrap_or_else(|| plain("activity.person_gone"))),
        ("target", called(&record.target_type, record.target_id)),
    ]);
    if let Some((noun, id)) = record.within_type.as_deref().zip(record.within_id) {
        args.insert("within", called(noun, id));
    }
    for (name, param) in record.params.as_object().into_iter().flatten() {
        let text = match (param, named(param)) {
            (_, Some((noun, id))) => called(noun, id),
            (Value::String(word), _) => word.clone(),
            (Value::Null, _) => "none".to_owned(),
            (other, _) => other.to_string(),
        };
        args.insert(name, text);
    }
    let text = messages.t(language, &format!("activity.{}", record.kind), &args);
    let target = find(&record.target_type, record.target_id).cloned();
    drop(args);
    Told { record, text, actor, target }
}
