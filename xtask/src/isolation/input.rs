//! What a route reads, taken apart: each value that a caller chooses, and which values it may have.

use std::collections::BTreeMap;

use kernel_core::http::{InputSchemas, Route};
use kernel_core::rule::{PRINTABLE, SAYING_SOMETHING};
use serde_json::{Map, Value};

/// The pattern of an id whose noun is left to the caller.
const ANY_ID: &str = "^([a-z]+_)?[0-9a-f]{32}$";
/// The pattern of what may be looked for: the database can hold all of it.
const NO_NUL: &str = r"^[^\x00]*$";
/// Schemas nested deeper than this are left as their type makes them when empty.
const DEPTH_MAX: usize = 5;

/// One value that the caller chooses.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    /// A JSON pointer in a body, a name elsewhere.
    pub(super) pointer: String,
    /// The last part of it that is a name.
    pub(super) name: String,
    pub(super) form: Form,
    /// Whether it may be left out.
    pub(super) optional: bool,
    /// What the type itself declares as an example.
    pub(super) example: Option<Value>,
}

/// Which values it may have.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    Boolean,
    Choice(Vec<Value>),
    Email,
    /// An id with this prefix.
    Id(String),
    /// An id of any noun.
    AnyId,
    Integer {
        min: i64,
        max: i64,
    },
    Number,
    Pattern(String),
    Text {
        min: usize,
        max: usize,
    },
    Time,
    /// A schema that says nothing, or one that is not understood.
    Unknown,
}

/// Everything that a route reads.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) path: Vec<Leaf>,
    pub(super) query: Vec<Leaf>,
    /// `None` for a route without a body.
    pub(super) body: Option<Vec<Leaf>>,
    /// The type of the body.
    pub(super) content_type: &'static str,
    pub(super) paged: bool,
}

impl Input {
    pub(super) fn of(route: &Route) -> Self {
        let InputSchemas { path, query, body, content_type, paged, definitions } = route.input();
        let reader = Reader { definitions: &definitions };
        let fields = |schema: &Value| reader.leaves(schema);
        let path = path.map(|schema| {
            let leaves = fields(&schema);
            // A struct of parameters, or the schema of the only one.
            let single = leaves.len() == 1 && leaves[0].pointer.is_empty();
            let names: Vec<_> = route.parameters().collect();
            leaves
                .into_iter()
                .map(|leaf| if single { named(leaf, names[0]) } else { top_level(leaf) })
                .collect()
        });
        Self {
            path: path.unwrap_or_default(),
            query: query
                .map(|schema| fields(&schema).into_iter().map(top_level).collect())
                .unwrap_or_default(),
            body: body.map(|schema| fields(&schema)),
            content_type,
            paged,
        }
    }
}

fn named(leaf: Leaf, name: &str) -> Leaf {
    Leaf { pointer: name.to_owned(), name: name.to_owned(), ..leaf }
}

/// Path and query have no depth: what is below a name is written as that name.
fn top_level(leaf: Leaf) -> Leaf {
    let first = leaf.pointer.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
    named(leaf, &first)
}

struct Reader<'a> {
    definitions: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn leaves(&self, schema: &Value) -> Vec<Leaf> {
        let mut found = Vec::new();
        self.collect(schema, "", false, None, &mut found);
        found
    }

    /// The schema behind references, and behind an alternative to `null`; whether it may be `null`.
    fn resolve<'v>(&'v self, schema: &'v Value) -> (&'v Value, bool) {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return self.definitions.get(name).map_or((schema, false), |target| self.resolve(target));
        }
        let alternatives = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
        let is_null = |schema: &Value| schema["type"] == "null";
        match alternatives.map(Vec::as_slice) {
            Some([one, other]) if is_null(other) => (self.resolve(one).0, true),
            Some([one, other]) if is_null(one) => (self.resolve(other).0, true),
            Some([first, ..]) if choices(schema).is_empty() => (self.resolve(first).0, false),
            _ => (schema, schema["type"].as_array().is_some_and(|types| types.iter().any(|t| t == "null"))),
        }
    }

    /// `inherited`: what an example of the type around it says about this part.
    fn collect(
        &self,
        outer: &Value,
        pointer: &str,
        optional: bool,
        inherited: Option<&Value>,
        found: &mut Vec<Leaf>,
    ) {
        let (schema, nullable) = self.resolve(outer);
        let optional = optional || nullable;
        let example = [outer, schema].into_iter().find_map(example).or(inherited);
        if pointer.matches('/').count() < DEPTH_MAX {
            if let Some(properties) = schema["properties"].as_object() {
                let required = schema["required"].as_array();
                for (name, property) in properties {
                    let needed = required.is_some_and(|all| all.iter().any(|required| required == name));
                    let inherited = example.and_then(|example| example.get(name));
                    self.collect(
                        property,
                        &format!("{pointer}/{name}"),
                        optional || !needed,
                        inherited,
                        found,
                    );
                }
                return;
            }
            if pointer.is_empty() && has_type(schema, "object") {
                // Without properties there is nothing to choose.
                return;
            }
            if has_type(schema, "array") && schema["items"].is_object() {
                let inherited = example.and_then(|example| example.get(0));
                self.collect(&schema["items"], &format!("{pointer}/0"), optional, inherited, found);
                return;
            }
        }
        let name = pointer.rsplit('/').find(|part| !part.is_empty() && part.parse::<u64>().is_err());
        found.push(Leaf {
            pointer: pointer.to_owned(),
            name: name.unwrap_or_default().to_owned(),
            form: form(schema),
            optional,
            example: example.cloned(),
        });
    }
}

fn example(schema: &Value) -> Option<&Value> {
    schema.get("example").or_else(|| schema["examples"].as_array()?.first())
}

fn has_type(schema: &Value, name: &str) -> bool {
    let kind = &schema["type"];
    kind == name || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == name))
}

/// The values of an enumeration, those with a documentation of their own included.
fn choices(schema: &Value) -> Vec<Value> {
    let parts = schema["oneOf"].as_array().into_iter().flatten().chain([schema]);
    let all = parts.flat_map(|part| {
        let listed = part["enum"].as_array().into_iter().flatten();
        listed.chain(part.get("const")).filter(|value| !value.is_null()).cloned()
    });
    all.collect()
}

fn form(schema: &Value) -> Form {
    let choices = choices(schema);
    if !choices.is_empty() {
        return Form::Choice(choices);
    }
    if has_type(schema, "integer") {
        let min = schema["minimum"].as_i64().unwrap_or(1);
        return Form::Integer {
            min,
            max: schema["maximum"].as_i64().unwrap_or(i64::from(i32::MAX)).max(min),
        };
    }
    if has_type(schema, "number") {
        return Form::Number;
    }
    if has_type(schema, "boolean") {
        return Form::Boolean;
    }
    if !has_type(schema, "string") {
        return Form::Unknown;
    }
    // What only keeps out control characters is met by any text of ours.
    let pattern =
        schema["pattern"].as_str().filter(|pattern| ![NO_NUL, PRINTABLE, SAYING_SOMETHING].contains(pattern));
    match (pattern, schema["format"].as_str()) {
        (Some(ANY_ID), _) => Form::AnyId,
        (Some(pattern), _) => match id_prefix(pattern) {
            Some(prefix) => Form::Id(prefix.to_owned()),
            None => Form::Pattern(pattern.to_owned()),
        },
        (None, Some("email")) => Form::Email,
        (None, Some("date-time")) => Form::Time,
        _ => {
            let bound = |key: &str| schema[key].as_u64().and_then(|bound| usize::try_from(bound).ok());
            Form::Text { min: bound("minLength").unwrap_or(1), max: bound("maxLength").unwrap_or(60) }
        }
    }
}

/// The noun in the pattern of an id: `proj` in `^proj_[0-9a-f]{32}$`.
fn id_prefix(pattern: &str) -> Option<&str> {
    let prefix = pattern.strip_prefix('^')?.strip_suffix("_[0-9a-f]{32}$")?;
    prefix.bytes().all(|byte| byte.is_ascii_lowercase()).then_some(prefix)
}

/// Puts leaf values together to a body.
pub(super) fn assemble(values: &BTreeMap<String, Value>) -> Value {
    let mut body = Value::Object(Map::new());
    for (pointer, value) in values {
        put(&mut body, pointer, value.clone());
    }
    body
}

/// Sets the value at a pointer, making what is on the way there.
pub(super) fn put(root: &mut Value, pointer: &str, value: Value) {
    let mut at = root;
    for part in pointer.split('/').skip(1) {
        at = if part.parse::<usize>().is_ok() {
            if !at.is_array() {
                *at = Value::Array(Vec::new());
            }
            let Some(items) = at.as_array_mut() else { return };
            if items.is_empty() {
                items.push(Value::Null);
            }
            &mut items[0]
        } else {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            let Some(fields) = at.as_object_mut() else { return };
            fields.entry(part.to_owned()).or_insert(Value::Null)
        };
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn leaves(schema: &Value) -> Vec<(String, Form, bool)> {
        let definitions = json!({ "Role": { "oneOf": [{ "const": "viewer", "description": "Reads." }, { "enum": ["owner"] }] } });
        let reader = Reader { definitions: definitions.as_object().unwrap() };
        reader.leaves(schema).into_iter().map(|leaf| (leaf.pointer, leaf.form, leaf.optional)).collect()
    }

    #[test]
    fn a_schema_comes_apart_into_its_leaves() {
        let schema = json!({
            "type": "object",
            "required": ["project", "items", "role"],
            "properties": {
                "project": { "type": "string", "pattern": "^proj_[0-9a-f]{32}$" },
                "about": { "type": "string", "pattern": "^([a-z]+_)?[0-9a-f]{32}$" },
                "role": { "$ref": "#/components/schemas/Role" },
                "items": { "type": "array", "items": { "type": "object", "required": ["n"], "properties": { "n": { "type": "integer", "minimum": 3 } } } },
                "note": { "anyOf": [{ "type": "string", "maxLength": 9 }, { "type": "null" }] },
            },
        });
        assert_eq!(
            leaves(&schema),
            [
                ("/about".to_owned(), Form::AnyId, true),
                ("/items/0/n".to_owned(), Form::Integer { min: 3, max: i64::from(i32::MAX) }, false),
                ("/note".to_owned(), Form::Text { min: 1, max: 9 }, true),
                ("/project".to_owned(), Form::Id("proj".to_owned()), false),
                ("/role".to_owned(), Form::Choice(vec![json!("viewer"), json!("owner")]), false),
            ]
        );
    }

    #[test]
    fn values_go_together_at_their_pointers() {
        let values = [
            ("/a/0/b".to_owned(), json!(1)),
            ("/a/0/c".to_owned(), json!("x")),
            ("/d".to_owned(), json!(null)),
        ];
        assert_eq!(assemble(&values.into()), json!({ "a": [{ "b": 1, "c": "x" }], "d": null }));
    }
}
