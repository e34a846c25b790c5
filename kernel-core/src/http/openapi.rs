//! The OpenAPI 3.1 document, out of the routes themselves.

mod components;
mod link;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::config::{HttpConfig, Resolution};
use super::handler::Call;
use super::matcher::mounted;
use super::problem;
use super::reply::Reply;
use super::route::{Access, Idempotency, RateClass, Route};
use super::schema::{self, InputShape, OutputShape};
use crate::error::{Error, ErrorKind};

/// The document and the bytes that it is served as.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) value: Value,
    bytes: Bytes,
}

impl Document {
    /// Describes every route of the API; pages are for people and are left out.
    pub(crate) fn of(routes: &[Route], config: &HttpConfig, cookie: Option<&str>) -> Self {
        let (mut inputs, mut outputs) = (schema::for_inputs(), schema::for_outputs());
        let api: Vec<_> = routes.iter().filter(|route| !route.page).collect();
        let mut operations: Vec<_> = api
            .iter()
            .map(|route| {
                (mounted(route, config), *route, Reads::of(route, &mut inputs), answers(route, &mut outputs))
            })
            .collect();
        let (schemas, renamed) = components::merged(inputs.definitions(), outputs.definitions());
        let mut paths = BTreeMap::<String, Map<String, Value>>::new();
        for (path, route, reads, answers) in &mut operations {
            reads.rename(&renamed);
            let operation = operation(route, config, reads, answers);
            paths.entry(path.clone()).or_default().insert(route.method.as_str().to_lowercase(), operation);
        }
        let (mut paths, schemas) = (json!(paths), Value::Object(schemas));
        link::add(&mut paths, &schemas);
        let value = components::sorted(json!({
            "openapi": "3.1.0",
            "info": { "title": config.title, "version": config.version },
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": { "Error": components::error_response() },
                "securitySchemes": components::security_schemes(cookie),
            },
        }));
        let bytes = serde_json::to_vec(&value).expect("a JSON value always serializes").into();
        Self { value, bytes }
    }

    /// The route that serves the document.
    pub(crate) fn route(self: &Arc<Self>) -> Route {
        async fn show(document: Arc<Document>, _: Call, (): ()) -> Result<Reply, Error> {
            Ok(Reply::bytes("application/json", document.bytes.clone()))
        }
        Route::free(Method::GET, "/openapi.json", "core.openapi.show", Access::Public, self.clone(), show)
    }
}

/// What an operation reads.
struct Reads {
    path: Option<Value>,
    query: Option<Value>,
    body: Option<Value>,
    content_type: &'static str,
    paged: bool,
}

impl Reads {
    fn of(route: &Route, generator: &mut SchemaGenerator) -> Self {
        let mut shape = InputShape::new(generator);
        (route.describe_input)(&mut shape);
        let InputShape { path, query, body, content_type, paged, .. } = shape;
        Self {
            path: path.map(Schema::to_value),
            query: query.map(Schema::to_value),
            body: body.map(Schema::to_value),
            content_type,
            paged,
        }
    }

    fn rename(&mut self, renamed: &BTreeMap<String, String>) {
        for schema in [&mut self.path, &mut self.query, &mut self.body].into_iter().flatten() {
            components::rename(schema, renamed);
        }
    }
}

fn answers(route: &Route, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut shape = OutputShape::new(generator);
    (route.describe_output)(&mut shape);
    let OutputShape { answers, headers, .. } = shape;
    let headers: Map<String, Value> = headers
        .into_iter()
        .map(|name| (name.to_owned(), json!({ "schema": { "type": "string" } })))
        .collect();
    let mut responses = Map::new();
    for answer in answers {
        let text = answer.status.canonical_reason().unwrap_or_default();
        let response = responses
            .entry(answer.status.as_str())
            .or_insert_with(|| json!({ "description": text }))
            .as_object_mut()
            .expect("made as an object above");
        if let Some((content_type, schema)) = answer.content {
            let content = response.entry("content").or_insert_with(|| json!({}));
            content[content_type] = json!({ "schema": schema });
        }
        if !headers.is_empty() {
            response.insert("headers".to_owned(), headers.clone().into());
        }
    }
    responses
}

fn operation(route: &Route, config: &HttpConfig, reads: &Reads, answers: &Map<String, Value>) -> Value {
    let mut responses = answers.clone();
    for kind in refusals(route, reads) {
        let status = problem::status(kind);
        responses.insert(status.as_str().to_owned(), json!({ "$ref": "#/components/responses/Error" }));
    }
    let mut operation = json!({
        "operationId": route.operation,
        "tags": [route.operation.split('.').next().unwrap_or_default()],
        "responses": responses,
        "security": match route.access {
            Access::Public => json!([]),
            _ => json!([{ "session": [] }, { "bearer": [] }]),
        },
        "x-rate-class": match route.rate {
            RateClass::Default => "default",
            RateClass::Auth => "auth",
            RateClass::Heavy => "heavy",
            RateClass::Probe => "probe",
        },
    });
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            operation[name] = value;
        }
    };
    set("summary", route.summary.map(Value::from));
    let parameters = parameters(route, config, reads);
    set("parameters", if parameters.is_empty() { None } else { Some(parameters.into()) });
    set("x-permission", route.permission().map(|permission| permission.name().into()));
    set("x-feature", route.feature.map(|feature| feature.name().into()));
    set("x-verified", route.verified.then_some(Value::Bool(true)));
    set(
        "x-idempotency",
        match route.idempotency {
            Idempotency::Off => None,
            Idempotency::Accepted => Some("accepted".into()),
            Idempotency::Required => Some("required".into()),
        },
    );
    let body = reads.body.as_ref();
    set(
        "requestBody",
        body.map(
            |schema| json!({ "required": true, "content": { reads.content_type: { "schema": schema } } }),
        ),
    );
    operation
}

/// How the operation may be refused, beside what is its own.
fn refusals(route: &Route, reads: &Reads) -> Vec<ErrorKind> {
    let mut kinds = vec![
        ErrorKind::Malformed,
        // Also on a public route: by whoever shows a credential that is none.
        ErrorKind::Unauthenticated,
        ErrorKind::RateLimited,
        ErrorKind::Internal,
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
    ];
    if !route.is_safe() {
        // A page of another site started it; a neighbour was quicker; the body did not arrive.
        kinds.extend([ErrorKind::Forbidden, ErrorKind::Conflict, ErrorKind::TooSlow, ErrorKind::TooLarge]);
    }
    if route.access != Access::Public {
        kinds.push(ErrorKind::Forbidden);
    }
    if route.permission().is_some() || reads.path.is_some() {
        kinds.push(ErrorKind::NotFound);
    }
    if reads.body.is_some() {
        kinds.extend([ErrorKind::UnsupportedMediaType, ErrorKind::Invalid]);
    }
    if route.idempotency != Idempotency::Off {
        kinds.push(ErrorKind::Invalid);
    }
    if route.feature.is_some() {
        kinds.push(ErrorKind::PaymentRequired);
    }
    kinds
}

/// The schema without an alternative `null`: a parameter that has none is left out.
fn without_null(mut schema: Value) -> Value {
    if let Some(kinds) = schema["type"].as_array() {
        let kinds: Vec<_> = kinds.iter().filter(|kind| *kind != "null").cloned().collect();
        schema["type"] = if let [one] = kinds.as_slice() { one.clone() } else { kinds.into() };
    }
    if let Some(fields) = schema.as_object_mut() {
        fields.retain(|name, value| name != "default" || !value.is_null());
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    if let Some(alternatives) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        alternatives.retain(|alternative| alternative["type"] != "null");
        if let [one] = alternatives.as_slice() {
            let (mut one, fields) = (one.clone(), schema.as_object().cloned().unwrap_or_default());
            for (name, value) in fields.into_iter().filter(|(name, _)| name != "anyOf") {
                one[name] = value;
            }
            schema = one;
        }
    }
    schema
}

fn parameters(route: &Route, config: &HttpConfig, reads: &Reads) -> Vec<Value> {
    let one = |place: &str, name: &str, required: bool, schema: Value| json!({ "name": name, "in": place, "required": required, "schema": schema });
    let mut parameters = Vec::new();
    if route.permission().is_some() {
        match config.resolution {
            Resolution::Path => parameters.push(one("path", "workspace", true, json!({ "type": "string" }))),
            Resolution::Header => {
                let id = json!({ "type": "string", "pattern": "^ws_[0-9a-f]{32}$" });
                parameters.push(one("header", "X-Workspace-Id", true, id));
            }
            Resolution::Subdomain { .. } => {}
        }
    }
    let properties = |schema: &Option<Value>| -> BTreeMap<String, (Value, bool)> {
        let Some(schema) = schema else { return BTreeMap::new() };
        let required =
            |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|x| x == name));
        let all = schema["properties"].as_object().into_iter().flatten();
        all.map(|(name, schema)| (name.clone(), (schema.clone(), required(name)))).collect()
    };
    let fields = properties(&reads.path);
    for name in route.parameters() {
        let schema = fields.get(name).map(|(schema, _)| schema).or(reads.path.as_ref());
        parameters.push(one("path", name, true, schema.cloned().unwrap_or(Value::Bool(true))));
    }
    for (name, (schema, required)) in properties(&reads.query) {
        parameters.push(one("query", &name, required, without_null(schema)));
    }
    if reads.paged {
        let (default, most) = (super::page::LIMIT_DEFAULT, super::page::LIMIT_MAX);
        parameters.push(one("query", "cursor", false, json!({ "type": "string" })));
        // Without a maximum: a larger wish is no mistake.
        let told = format!("How many; more than {most} is taken as {most}.");
        let limit = json!({ "type": "integer", "minimum": 1, "default": default, "description": told });
        parameters.push(one("query", "limit", false, limit));
    }
    if route.idempotency != Idempotency::Off {
        let key = json!({ "type": "string", "pattern": "^[!-~]{1,255}$" });
        parameters.push(one("header", "Idempotency-Key", route.idempotency == Idempotency::Required, key));
    }
    parameters
}

#[cfg(test)]
mod tests;
