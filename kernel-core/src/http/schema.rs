//! The JSON schemas of inputs and outputs, captured from the handlers' own types.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// Where OpenAPI keeps named schemas.
const DEFINITIONS: &str = "/components/schemas";

pub(crate) fn for_inputs() -> SchemaGenerator {
    settings().for_deserialize().into_generator()
}

pub(crate) fn for_outputs() -> SchemaGenerator {
    settings().for_serialize().into_generator()
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = DEFINITIONS.into();
        settings.meta_schema = None;
    })
}

/// What a handler reads, as its input types describe it.
pub struct InputShape<'g> {
    generator: &'g mut SchemaGenerator,
    pub(crate) path: Option<Schema>,
    pub(crate) query: Option<Schema>,
    pub(crate) body: Option<Schema>,
    pub(crate) content_type: &'static str,
    pub(crate) paged: bool,
    pub(crate) file: bool,
    pub(crate) twice: Vec<&'static str>,
}

impl std::fmt::Debug for InputShape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InputShape").finish_non_exhaustive()
    }
}

impl<'g> InputShape<'g> {
    pub(crate) fn new(generator: &'g mut SchemaGenerator) -> Self {
        let content_type = "application/json";
        let (path, query, body) = (None, None, None);
        Self { generator, path, query, body, content_type, paged: false, file: false, twice: Vec::new() }
    }

    /// The handler reads a `T` from the path.
    pub fn path<T: JsonSchema>(&mut self) {
        let schema = T::json_schema(self.generator);
        if self.path.replace(schema).is_some() {
            self.twice.push("path");
        }
    }

    /// The handler reads a `T` from the query.
    pub fn query<T: JsonSchema>(&mut self) {
        let schema = T::json_schema(self.generator);
        if self.query.replace(schema).is_some() {
            self.twice.push("query");
        }
    }

    /// The handler reads a `T` from the body.
    pub fn body<T: JsonSchema>(&mut self) {
        let schema = self.generator.subschema_for::<T>();
        if self.body.replace(schema).is_some() {
            self.twice.push("body");
        }
    }

    /// The handler reads the body as a text of another type than JSON: `text/csv`. `T` describes the text.
    pub fn text<T: JsonSchema>(&mut self, content_type: &'static str) {
        self.body::<T>();
        self.content_type = content_type;
    }

    /// The handler reads the body as a [`BodyFile`](super::BodyFile), whatever it holds: [`body`](Self::body) or
    /// [`text`](Self::text) says that.
    pub fn file(&mut self) {
        self.file = true;
    }

    /// The handler reads `cursor` and `limit` from the query.
    pub fn paged(&mut self) {
        self.paged = true;
    }
}

/// What a route reads, as JSON schemas: for tools that make requests of their own.
#[derive(Debug, Clone, Default)]
pub struct InputSchemas {
    /// The path's parameters: an object of them, or the schema of the only one.
    pub path: Option<Value>,
    /// The query's parameters, without `cursor` and `limit`.
    pub query: Option<Value>,
    /// The body.
    pub body: Option<Value>,
    /// The type of the body.
    pub content_type: &'static str,
    /// Whether it also reads `cursor` and `limit`.
    pub paged: bool,
    /// The schemas that the others refer to, by name.
    pub definitions: Map<String, Value>,
}

impl InputSchemas {
    pub(crate) fn of(describe: fn(&mut InputShape<'_>)) -> Self {
        let mut generator = for_inputs();
        let mut shape = InputShape::new(&mut generator);
        describe(&mut shape);
        let InputShape { path, query, body, content_type, paged, .. } = shape;
        Self {
            path: path.map(Schema::to_value),
            query: query.map(Schema::to_value),
            body: body.map(Schema::to_value),
            content_type,
            paged,
            definitions: generator.definitions().clone(),
        }
    }
}

/// What a handler answers with, as its output type describes it.
pub struct OutputShape<'g> {
    generator: &'g mut SchemaGenerator,
    pub(crate) answers: Vec<Answer>,
    pub(crate) headers: Vec<&'static str>,
}

/// One successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: http::StatusCode,
    pub(crate) content: Option<(&'static str, Schema)>,
}

impl std::fmt::Debug for OutputShape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputShape").field("answers", &self.answers).finish_non_exhaustive()
    }
}

impl<'g> OutputShape<'g> {
    pub(crate) fn new(generator: &'g mut SchemaGenerator) -> Self {
        Self { generator, answers: Vec::new(), headers: Vec::new() }
    }

    pub(crate) fn json<T: JsonSchema>(&mut self, status: http::StatusCode) {
        let schema = self.generator.subschema_for::<T>();
        self.answers.push(Answer { status, content: Some(("application/json", schema)) });
    }

    pub(crate) fn text(&mut self, status: http::StatusCode, content_type: &'static str) {
        let schema = self.generator.subschema_for::<String>();
        self.answers.push(Answer { status, content: Some((content_type, schema)) });
    }

    pub(crate) fn empty(&mut self, status: http::StatusCode) {
        self.answers.push(Answer { status, content: None });
    }
}

/// What a body has to be at its top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyShape {
    Object,
    Other,
}

/// What requests are checked against, known once the route is made.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Names of the path's parameters, when the input is a struct.
    pub(crate) path: Option<Vec<String>>,
    pub(crate) reads_path: bool,
    pub(crate) body: Option<BodyShape>,
    /// The body is a file, unless it is a form.
    pub(crate) reads_file: bool,
    /// The query's parameters, and whether each may come more than once.
    pub(crate) query: BTreeMap<String, bool>,
    pub(crate) problems: Vec<String>,
}

impl Reading {
    pub(crate) fn reads_body(&self) -> bool {
        self.body.is_some() || self.reads_file
    }

    pub(crate) fn of(describe: fn(&mut InputShape<'_>)) -> Self {
        let mut generator = for_inputs();
        let mut shape = InputShape::new(&mut generator);
        describe(&mut shape);
        let InputShape { path, query, body, paged, file, twice, .. } = shape;
        let mut reading = Self { reads_path: path.is_some(), reads_file: file, ..Self::default() };
        reading.problems = twice.into_iter().map(|part| format!("reads the {part} twice")).collect();
        if let Some(path) = path {
            reading.path = properties(&path).map(|properties| properties.keys().cloned().collect());
        }
        let mut open = Vec::new();
        if let Some(query) = &query {
            reading.query = properties(query)
                .into_iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), takes_many(schema, &generator)))
                .collect();
            open_objects(query.as_value(), "the query", &mut open);
        }
        if paged {
            reading.query.extend([("cursor".to_owned(), false), ("limit".to_owned(), false)]);
        }
        if let Some(body) = &body {
            let object = is_object(body.as_value(), &generator);
            reading.body = Some(if object { BodyShape::Object } else { BodyShape::Other });
            open_objects(body.as_value(), "the body", &mut open);
            for (name, schema) in generator.definitions() {
                open_objects(schema, name, &mut open);
            }
        }
        reading.problems.extend(open.into_iter().map(|name| {
            format!("{name} takes unknown fields: put #[serde(deny_unknown_fields)] on the type")
        }));
        reading
    }
}

/// The properties of an object schema; `None` when the schema is no object.
pub(crate) fn properties(schema: &Schema) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

/// The schema that a reference leads to.
fn resolved<'s>(schema: &'s Value, generator: &'s SchemaGenerator) -> &'s Value {
    let path = schema.get("$ref").and_then(Value::as_str);
    let name = path.map(|path| path.rsplit('/').next().unwrap_or_default());
    name.and_then(|name| generator.definitions().get(name)).unwrap_or(schema)
}

fn is_object(schema: &Value, generator: &SchemaGenerator) -> bool {
    resolved(schema, generator).get("type").and_then(Value::as_str) == Some("object")
}

fn takes_many(schema: &Value, generator: &SchemaGenerator) -> bool {
    let kind = resolved(schema, generator).get("type");
    let is_array = |kind: &Value| kind.as_str() == Some("array");
    kind.is_some_and(|kind| is_array(kind) || kind.as_array().is_some_and(|kinds| kinds.iter().any(is_array)))
}

/// Finds object schemas that would let an unknown field pass.
fn open_objects(schema: &Value, name: &str, found: &mut Vec<String>) {
    let Some(schema) = schema.as_object() else { return };
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let closed = |key| schema.get(key).is_some_and(|value| *value == Value::Bool(false));
        if !closed("additionalProperties") && !closed("unevaluatedProperties") {
            found.push(name.to_owned());
        }
        for (field, schema) in properties {
            open_objects(schema, &format!("{name}.{field}"), found);
        }
    }
    for key in ["items", "additionalProperties", "not"] {
        if let Some(schema) = schema.get(key) {
            open_objects(schema, name, found);
        }
    }
    for key in ["prefixItems", "anyOf", "oneOf", "allOf"] {
        for schema in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            open_objects(schema, name, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only the schema is looked at")]
    #[serde(deny_unknown_fields)]
    struct Outer {
        inner: Vec<Inner>,
        tags: Option<Vec<String>>,
        name: String,
        free: BTreeMap<String, u8>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only the schema is looked at")]
    struct Inner {
        properties: u8,
    }

    fn outer_body(shape: &mut InputShape<'_>) {
        shape.body::<Outer>();
    }

    fn outer_query(shape: &mut InputShape<'_>) {
        shape.query::<Outer>();
    }

    #[test]
    fn an_open_object_is_found_however_deep() {
        let reading = Reading::of(outer_body);
        assert_eq!(reading.problems.len(), 1, "{:?}", reading.problems);
        assert!(reading.problems[0].starts_with("Inner takes unknown fields"), "{:?}", reading.problems);
    }

    #[test]
    fn only_lists_may_repeat_in_a_query() {
        let reading = Reading::of(outer_query);
        assert!(reading.query["tags"]);
        assert!(!reading.query["name"]);
    }

    #[test]
    fn reading_one_part_twice_is_a_problem() {
        let reading = Reading::of(|shape| {
            shape.path::<u8>();
            shape.path::<u8>();
        });
        assert_eq!(reading.problems, ["reads the path twice"]);
    }
}
