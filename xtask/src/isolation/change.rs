//! One thing changed in a request that would succeed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::input::{Form, Leaf, put};
use super::operation::{Draft, Operation, Person};
use super::own::plain;
use super::pool::Pool;
use super::step::{Kind, Position};
use super::value::{Taste, malformed_ids, missing_id};

/// How many of the values that a tenant has are tried in one place.
const VALUES: usize = 4;

/// Before and after everything that a drive does.
const TIMES: [&str; 2] = ["2001-02-03T04:05:06Z", "2101-02-03T04:05:06Z"];

/// What is changed.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Asker(Person),
    /// One, then the other.
    Both(Box<Change>, Box<Change>),
    /// A value of the body; without one, the field is left out.
    Body(String, Option<Value>),
    Header(&'static str, String),
    Path(String, String),
    Query(String, Vec<String>),
    Workspace(String),
}

impl Change {
    pub(super) fn apply(&self, draft: &Draft) -> Draft {
        let mut draft = draft.clone();
        match self {
            Self::Asker(person) => draft.asker = person.clone(),
            Self::Both(first, second) => return second.apply(&first.apply(&draft)),
            Self::Body(pointer, Some(value)) => {
                put(draft.body.get_or_insert(Value::Null), pointer, value.clone());
            }
            Self::Body(pointer, None) => {
                let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
                let parent = draft.body.as_mut().and_then(|body| body.pointer_mut(parent));
                if let Some(fields) = parent.and_then(Value::as_object_mut) {
                    fields.remove(name);
                }
            }
            Self::Header(name, value) => {
                draft.headers.retain(|(other, _)| other != name);
                draft.headers.push((name, value.clone()));
            }
            Self::Path(name, value) => drop(draft.path.insert(name.clone(), value.clone())),
            Self::Query(name, values) => {
                draft.query.retain(|(other, _)| other != name);
                draft.query.extend(values.iter().map(|value| (name.clone(), value.clone())));
            }
            Self::Workspace(slug) => draft.workspace = Some(slug.clone()),
        }
        draft
    }
}

/// A change, and what it tries.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    pub(super) position: Position,
    pub(super) kind: Kind,
    pub(super) change: Change,
}

/// What another tenant has that one may try to use.
#[derive(Debug, Clone)]
pub(super) struct Strangers {
    pub(super) pool: Pool,
    pub(super) workspace: String,
    /// The session of their owner, as it lies in the cookie.
    pub(super) token: String,
    /// The idempotency keys that they used, by operation.
    pub(super) keys: BTreeMap<String, String>,
}

/// Takes a variant: where it differs, how, and the parameter with its values.
type Add<'a> = dyn FnMut(Position, Kind, &str, &[String]) + 'a;

/// Makes the variants of one operation.
#[derive(Debug)]
pub(super) struct Variants<'a> {
    pub(super) operation: &'a Operation,
    pub(super) own: &'a Pool,
    pub(super) strangers: &'a Strangers,
    pub(super) taste: &'a Taste,
}

impl Variants<'_> {
    /// Every change in every position.
    pub(super) fn all(&self) -> Vec<Variant> {
        let mut all = Vec::new();
        self.workspace(&mut all);
        for leaf in &self.operation.input.path {
            let position = Position::Path(leaf.name.clone());
            self.leaf(leaf, &mut |kind, value| {
                let change = Change::Path(leaf.pointer.clone(), plain(&value));
                all.push(Variant { position: position.clone(), kind, change });
            });
        }
        self.query(&mut all);
        self.body(&mut all);
        self.headers(&mut all);
        all
    }

    fn workspace(&self, all: &mut Vec<Variant>) {
        if !self.operation.in_workspace() {
            return;
        }
        let long = "a".repeat(64);
        let slugs = [
            (Kind::Foreign, self.strangers.workspace.as_str()),
            (Kind::Missing, "no-such-house"),
            (Kind::Malformed, "No House!"),
            (Kind::Malformed, long.as_str()),
        ];
        all.extend(slugs.map(|(kind, slug)| Variant {
            position: Position::Path("workspace".to_owned()),
            kind,
            change: Change::Workspace(slug.to_owned()),
        }));
    }

    /// The values to try for one leaf.
    fn leaf(&self, leaf: &Leaf, add: &mut dyn FnMut(Kind, Value)) {
        match &leaf.form {
            Form::Id(prefix) => {
                let (own, foreign) = (self.own.ids(prefix), self.strangers.pool.ids(prefix));
                own.iter().take(VALUES).for_each(|id| add(Kind::Own, json!(id)));
                ends(foreign).into_iter().for_each(|id| add(Kind::Foreign, json!(id)));
                add(Kind::Missing, json!(missing_id(prefix)));
                malformed_ids(prefix).into_iter().for_each(|text| add(Kind::Malformed, json!(text)));
            }
            Form::AnyId => {
                let (own, foreign) = (self.own.one_of_each(), self.strangers.pool.one_of_each());
                own.into_iter().for_each(|id| add(Kind::Own, json!(id)));
                foreign.into_iter().for_each(|id| add(Kind::Foreign, json!(id)));
                add(Kind::Missing, json!(missing_id("any")));
                add(Kind::Malformed, json!("x"));
                add(Kind::Malformed, json!("any_' OR true --"));
            }
            Form::Choice(all) => {
                all.iter().for_each(|value| add(Kind::Own, value.clone()));
                add(Kind::Malformed, json!("zz"));
            }
            form => {
                let own = self.own.values(&leaf.name);
                let foreign = self.strangers.pool.values(&leaf.name);
                let foreign: Vec<_> = foreign.iter().filter(|value| !own.contains(value)).cloned().collect();
                own.iter().take(VALUES).for_each(|value| add(Kind::Own, value.clone()));
                ends(&foreign).into_iter().for_each(|value| add(Kind::Foreign, value));
                if matches!(form, Form::Text { .. }) && (own.is_empty() || self.operation.is_safe()) {
                    // What is looked for may be any text of any thing.
                    let (own, foreign) = (&self.own, &self.strangers.pool);
                    own.texts().for_each(|text| add(Kind::Own, text.clone()));
                    foreign.texts().for_each(|text| add(Kind::Foreign, text.clone()));
                }
                match form {
                    Form::Integer { max, .. } => {
                        add(Kind::Missing, json!(max));
                        let malformed = [json!("x"), json!(-1), json!("99999999999999999999")];
                        malformed.into_iter().for_each(|value| add(Kind::Malformed, value));
                    }
                    Form::Time => {
                        TIMES.iter().for_each(|time| add(Kind::Own, json!(time)));
                        add(Kind::Malformed, json!("x"));
                    }
                    Form::Boolean | Form::Number => add(Kind::Malformed, json!("x")),
                    _ => {
                        add(Kind::Missing, json!("nobody has this"));
                        add(Kind::Malformed, json!("\0' OR true --"));
                        add(Kind::Malformed, json!("long ".repeat(60)));
                    }
                }
            }
        }
    }

    fn query(&self, all: &mut Vec<Variant>) {
        let mut add = |position: Position, kind, name: &str, values: &[String]| {
            let change = Change::Query(name.to_owned(), values.to_vec());
            all.push(Variant { position, kind, change });
        };
        let at = |name: &str| Position::Query(name.to_owned());
        for leaf in &self.operation.input.query {
            self.leaf(leaf, &mut |kind, value| add(at(&leaf.name), kind, &leaf.pointer, &[plain(&value)]));
        }
        if self.operation.input.paged {
            for (kind, limit) in
                [(Kind::Own, "1"), (Kind::Own, "1000"), (Kind::Malformed, "0"), (Kind::Malformed, "x")]
            {
                add(at("limit"), kind, "limit", &[limit.to_owned()]);
            }
            self.cursors(&mut add);
        }
        let twice = ["1".to_owned(), "2".to_owned()];
        add(at("unknown"), Kind::Malformed, "no_such_parameter", &twice[..1]);
        add(at("twice"), Kind::Malformed, "limit", &twice);
        // Nobody reads the workspace from a query; if somebody did, this would show.
        add(at("workspace_id"), Kind::Foreign, "workspace_id", &self.foreign_workspace());
    }

    fn cursors(&self, add: &mut Add<'_>) {
        let name = &self.operation.name;
        let mut cursor = |kind, text: &str| add(Position::Cursor, kind, "cursor", &[text.to_owned()]);
        if let Some(own) = self.own.cursors.get(name) {
            cursor(Kind::Own, own);
            let flipped = if own.ends_with('A') { "B" } else { "A" };
            cursor(Kind::Malformed, &format!("{}{flipped}", &own[..own.len() - 1]));
        }
        if let Some(foreign) = self.strangers.pool.cursors.get(name) {
            cursor(Kind::Foreign, foreign);
        }
        if let Some((_, other)) = self.own.cursors.iter().find(|(other, _)| *other != name) {
            cursor(Kind::Missing, other);
        }
        cursor(Kind::Malformed, "not-a-cursor");
        cursor(Kind::Malformed, "");
    }

    fn body(&self, all: &mut Vec<Variant>) {
        let Some(leaves) = &self.operation.input.body else { return };
        let mut add = |name: &str, kind, pointer: &str, value: Option<Value>| {
            let change = Change::Body(pointer.to_owned(), value);
            all.push(Variant { position: Position::Body(name.to_owned()), kind, change });
        };
        for leaf in leaves {
            let unique = self.taste.spanning.iter().any(|column| column.starts_with(&leaf.name));
            self.leaf(leaf, &mut |kind, value| {
                // A foreign value of what is unique everywhere is refused, and has a section of its own.
                if !(unique && matches!(kind, Kind::Foreign | Kind::Own)) {
                    add(&leaf.name, kind, &leaf.pointer, Some(value));
                }
            });
            add(&leaf.name, Kind::Malformed, &leaf.pointer, Some(json!({ "a": [1] })));
            add(&leaf.name, Kind::Malformed, &leaf.pointer, Some(Value::Null));
            add(&leaf.name, Kind::Malformed, &leaf.pointer, None);
        }
        add("unknown", Kind::Malformed, "/no_such_field", Some(json!(1)));
        add(
            "workspace_id",
            Kind::Foreign,
            "/workspace_id",
            self.foreign_workspace().first().map(|id| json!(id)),
        );
        add("whole", Kind::Malformed, "", Some(json!("text")));
        self.filters(leaves, all);
    }

    /// A body that says which rows it is for may do so in several ways at once: with values that own rows have, all of
    /// them, and all but one.
    fn filters(&self, leaves: &[Leaf], all: &mut Vec<Variant>) {
        let optional: Vec<_> = leaves.iter().filter(|leaf| leaf.optional).collect();
        if !optional.iter().any(|leaf| leaf.form == Form::Time) {
            return;
        }
        let most = optional.iter().map(|leaf| self.own.values(&leaf.name).len()).max().unwrap_or(1);
        let rounds = (0..most).flat_map(|round| [TIMES, [TIMES[1], TIMES[0]]].map(|times| (round, times)));
        for (round, times) in rounds {
            let mut times = times.iter().cycle();
            let mut value = |leaf: &&Leaf| match &leaf.form {
                Form::Id(prefix) => self.own.ids(prefix).first().map(|id| json!(id)),
                Form::Time => times.next().map(|time| json!(time)),
                _ => self.own.values(&leaf.name).iter().cycle().nth(round).cloned(),
            };
            let values: Vec<_> = optional.iter().map(&mut value).collect();
            for left_out in std::iter::once(None).chain((0..optional.len()).map(Some)) {
                let change = optional.iter().zip(&values).enumerate().map(|(place, (leaf, value))| {
                    let value = value.clone().filter(|_| left_out != Some(place));
                    Change::Body(leaf.pointer.clone(), value)
                });
                let both = |one, other| Change::Both(Box::new(one), Box::new(other));
                let position = Position::Body("filters".to_owned());
                let change = change.reduce(both);
                all.extend(change.map(|change| Variant { position, kind: Kind::Own, change }));
            }
        }
    }

    fn headers(&self, all: &mut Vec<Variant>) {
        let mut add = |kind, name: &'static str, value: &str| {
            let position = Position::Header(name.to_owned());
            all.push(Variant { position, kind, change: Change::Header(name, value.to_owned()) });
        };
        if self.operation.takes_key {
            if let Some(foreign) = self.strangers.keys.get(&self.operation.name) {
                add(Kind::Foreign, "idempotency-key", foreign);
            }
            add(Kind::Missing, "idempotency-key", "a-key-of-nobody");
            add(Kind::Malformed, "idempotency-key", "two words");
            add(Kind::Malformed, "idempotency-key", &"k".repeat(300));
        }
        add(Kind::Foreign, "authorization", &format!("Bearer {}", self.strangers.token));
        add(Kind::Missing, "authorization", "Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        add(Kind::Malformed, "authorization", "Bearer two words");
        if self.operation.in_workspace() {
            let (own, foreign) = (self.own.ids("ws"), self.foreign_workspace());
            own.first().into_iter().for_each(|id| add(Kind::Own, "x-workspace-id", id));
            foreign.iter().for_each(|id| add(Kind::Foreign, "x-workspace-id", id));
            add(Kind::Missing, "x-workspace-id", &missing_id("ws"));
            add(Kind::Malformed, "x-workspace-id", "ws_x");
            add(Kind::Foreign, "x-forwarded-host", &format!("{}.isolation.test", self.strangers.workspace));
        }
    }

    fn foreign_workspace(&self) -> Vec<String> {
        self.strangers.pool.ids("ws").first().cloned().into_iter().collect()
    }

    /// Kinds of values that a position with an id must have been tried with, and which could not be.
    pub(super) fn gaps(&self, variants: &[Variant]) -> Vec<String> {
        let input = &self.operation.input;
        let ids = |leaves: &[Leaf], at: fn(String) -> Position| -> Vec<Position> {
            let ids = leaves.iter().filter(|leaf| matches!(leaf.form, Form::Id(_) | Form::AnyId));
            ids.map(|leaf| at(leaf.name.clone())).collect()
        };
        let mut positions = ids(&input.path, Position::Path);
        positions.extend(ids(&input.query, Position::Query));
        positions.extend(ids(input.body.as_deref().unwrap_or_default(), Position::Body));
        positions.extend(input.paged.then_some(Position::Cursor));
        let kinds = [Kind::Own, Kind::Foreign, Kind::Missing, Kind::Malformed];
        let pairs = positions.iter().flat_map(|position| kinds.map(|kind| (position, kind)));
        let missing = pairs.filter(|(position, kind)| {
            !variants.iter().any(|variant| variant.position == **position && variant.kind == *kind)
        });
        missing
            .map(|(position, kind)| format!("{}: no {kind} value for {position}", self.operation.name))
            .collect()
    }
}

/// The first and the last.
fn ends<T: Clone>(all: &[T]) -> Vec<T> {
    match all {
        [] => Vec::new(),
        [only] => vec![only.clone()],
        [first, .., last] => vec![first.clone(), last.clone()],
    }
}

/// Whether an answer ended the session under which it was asked for.
pub(super) fn ends_session(answer: &super::exchange::Answer) -> bool {
    answer.header("set-cookie").is_some()
}
