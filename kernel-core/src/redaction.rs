//! Which names stand for what is nobody's business outside its table: the columns that pillars declare as private,
//! sensitive or restricted. Logs, spans and the audit log hold no values under these names.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use crate::table::{Class, Table};

/// What is written before or after the name of a column when a value changes.
const BEFORE: [&str; 6] = ["old_", "new_", "previous_", "from_", "to_", "current_"];
const AFTER: [&str; 6] = ["_old", "_new", "_before", "_after", "_from", "_to"];
/// Keys below which the same row is told of.
const SAME: [&str; 9] = ["before", "after", "old", "new", "previous", "current", "from", "to", "changes"];

/// The names of columns with what is delicate in them. Cheap to clone; clones share what they know.
///
/// [`TelemetryConfig::redaction`](crate::telemetry::TelemetryConfig::redaction) has one, and `build` teaches it the
/// columns of every table. Whoever writes what a program says of itself asks it: the audit log and exported spans do; a
/// log does with the layers of `telemetry::log`.
///
/// ```
/// use kernel_core::{Class, Redaction, Table};
/// use serde_json::json;
///
/// let redaction = Redaction::default();
/// redaction.learn(&[
///     Table::global("auth", "account").public(&["id"]).private(&["email", "name"]).sensitive(&["password_hash"]),
///     Table::tenant("tenancy", "workspace").public(&["name"]),
/// ]);
/// assert_eq!(redaction.class("email"), Some(Class::Private));
/// assert_eq!(redaction.class("name"), Some(Class::Private), "the most delicate column of the name counts");
/// assert_eq!(redaction.class("workspace.name"), None, "unless it is said whose");
///
/// let mut details = json!({ "before": { "email": "ada@example.com" }, "attempts": 3 });
/// redaction.hide(None, &mut details);
/// assert_eq!(details, json!({ "before": { "email": "[private]" }, "attempts": 3 }));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    names: Arc<RwLock<Names>>,
    /// It learns nothing: for proofs that must notice it.
    deaf: bool,
}

#[derive(Debug, Default)]
struct Names {
    /// The most delicate class of all columns of the name.
    columns: BTreeMap<String, Class>,
    /// The same within tables of a name.
    of: BTreeMap<String, BTreeMap<String, Class>>,
    tables: BTreeSet<String>,
    /// What `class` says of names without a table: every field of every line asks.
    hidden: HashMap<String, Class>,
}

impl Redaction {
    /// One that learns nothing and so hides nothing: a fault for proofs that must notice it.
    #[cfg(feature = "testkit")]
    #[must_use]
    pub fn deaf() -> Self {
        Self { deaf: true, ..Self::default() }
    }

    /// Adds the columns of these tables. Tables that no login may touch are left out: nobody has a value of theirs.
    pub fn learn<'a>(&self, tables: impl IntoIterator<Item = &'a Table>) {
        if self.deaf {
            return;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        for table in tables.into_iter().filter(|table| !table.rights().privileges().is_empty()) {
            names.tables.insert(table.name().to_owned());
            for column in table.columns() {
                let most = |known: &mut Class| *known = column.class.max(*known);
                let name = column.name.to_owned();
                let of = names.of.entry(table.name().to_owned()).or_default();
                of.entry(name.clone()).and_modify(most).or_insert(column.class);
                names.columns.entry(name).and_modify(most).or_insert(column.class);
            }
        }
        names.hidden = names.hidden();
    }

    /// The class of what a field, a detail or a key of this name holds, if that is to be hidden: of the column of this name,
    /// of the most delicate one where tables differ. `workspace.name` is the column of that table; `old_email`,
    /// `email_after` and `newEmail` are `email`.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<Class> {
        let (table, column) = name.rsplit_once('.').unwrap_or(("", name));
        let table = table.rsplit('.').next().unwrap_or(table);
        self.names.read().unwrap_or_else(PoisonError::into_inner).class(table, column)
    }

    /// Replaces every value in a document whose key stands for a column that is to be hidden, at any depth, by `[private]`,
    /// `[sensitive]` or `[restricted]`; nothing stays nothing. `noun` says of which table's row the document tells, as does
    /// a key that is the name of a table for what is right below it, or below `before` and `after` there.
    pub fn hide(&self, noun: Option<&str>, value: &mut Value) {
        self.names.read().unwrap_or_else(PoisonError::into_inner).hide(noun.unwrap_or_default(), value);
    }
}

impl Names {
    /// The delicate columns and what else they are called, unless that is a column of its own.
    fn hidden(&self) -> HashMap<String, Class> {
        let mut hidden = HashMap::new();
        for (name, class) in self.columns.iter().filter(|(_, class)| **class > Class::Public) {
            let before = BEFORE.iter().map(|word| format!("{word}{name}"));
            let others = before.chain(AFTER.iter().map(|word| format!("{name}{word}")));
            for other in others.filter(|other| !self.columns.contains_key(other)) {
                let most = |known: &mut Class| *known = (*class).max(*known);
                hidden.entry(other).and_modify(most).or_insert(*class);
            }
            hidden.insert(name.clone(), *class);
        }
        hidden
    }

    fn class(&self, table: &str, name: &str) -> Option<Class> {
        let name = snake(name);
        if table.is_empty() {
            return self.hidden.get(&*name).copied();
        }
        let bare = || BEFORE.iter().find_map(|word| name.strip_prefix(word));
        let bare = || bare().or_else(|| AFTER.iter().find_map(|word| name.strip_suffix(word)));
        let class = self.find(table, &name).or_else(|| self.find(table, bare()?))?;
        (class > Class::Public).then_some(class)
    }

    fn find(&self, table: &str, column: &str) -> Option<Class> {
        let of = self.of.get(table).and_then(|columns| columns.get(column));
        of.or_else(|| self.columns.get(column)).copied()
    }

    fn hide(&self, noun: &str, value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.hide(noun, value)),
            Value::Object(map) => {
                for (key, value) in map.iter_mut().filter(|(_, value)| !value.is_null()) {
                    let (table, column) = key.rsplit_once('.').unwrap_or((noun, key));
                    if let Some(class) = self.class(table, column) {
                        *value = Value::from(placeholder(class));
                    } else {
                        let below = if self.tables.contains(key) { key } else { noun };
                        let told = below == key || SAME.contains(&key.as_str());
                        self.hide(if told { below } else { "" }, value);
                    }
                }
            }
            _ => {}
        }
    }
}

/// What stands where a value of this class was.
pub(crate) fn placeholder(class: Class) -> String {
    format!("[{}]", class.name())
}

/// `ipAddress` and `ip-address` are `ip_address`.
fn snake(name: &str) -> Cow<'_, str> {
    if !name.contains(|letter: char| letter == '-' || letter.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    let mut snake = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && snake.ends_with(|before: char| before.is_ascii_lowercase()) {
            snake.push('_');
        }
        snake.push(if letter == '-' { '_' } else { letter.to_ascii_lowercase() });
    }
    Cow::Owned(snake)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taught() -> Redaction {
        let redaction = Redaction::default();
        redaction.learn(&[
            Table::global("auth", "account").public(&["id"]).private(&["email", "name", "ip_address"]),
            Table::tenant("tenancy", "workspace").public(&["name"]),
            Table::tenant("clinic", "visit").sensitive(&["note"]).restricted(&["finding"]),
            Table::tenant("shop", "note").private(&["note"]),
            Table::global("limit", "tally").private(&["id", "subject"]).withheld(),
        ]);
        redaction
    }

    #[test]
    fn the_most_delicate_column_of_a_name_counts_unless_it_is_said_whose() {
        let redaction = taught();
        let private = ["email", "account.email", "auth.account.email", "user.email", "ip_address", "name"];
        for name in private.iter().chain(&["old_email", "email_after", "newEmail", "ip-address", "ipAddress"])
        {
            assert_eq!(redaction.class(name), Some(Class::Private), "{name}");
        }
        assert_eq!(redaction.class("note"), Some(Class::Sensitive));
        assert_eq!(redaction.class("note.note"), Some(Class::Private));
        assert_eq!(redaction.class("finding"), Some(Class::Restricted));
        for name in ["id", "subject", "workspace.name", "attempts", "emails", "file_name"] {
            assert_eq!(redaction.class(name), None, "{name}");
        }
        assert_eq!(Redaction::default().class("email"), None, "what was never declared is not known");
    }

    #[test]
    fn a_document_keeps_its_shape_and_loses_its_values() {
        let mut document = json!({
            "email": "ada@example.com", "previous_email": null, "count": 3,
            "changes": [{ "finding": { "code": 7 } }, { "visit": { "note": "ill" } }],
            "workspace": { "name": "Acme", "after": { "name": "Acme 2" }, "owner": { "name": "Ada" } },
        });
        taught().hide(Some("account"), &mut document);
        let hidden = json!({
            "email": "[private]", "previous_email": null, "count": 3,
            "changes": [{ "finding": "[restricted]" }, { "visit": { "note": "[sensitive]" } }],
            "workspace": { "name": "Acme", "after": { "name": "Acme 2" }, "owner": { "name": "[private]" } },
        });
        assert_eq!(document, hidden, "whoever is named below a workspace is not the workspace");
    }
}
