//! The parts of the document that operations share.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "#/components/schemas/";

/// All named schemas, and the new names of those inputs that look different as outputs: a field with a default may be
/// left out of a request and is always in a response.
pub(super) fn merged(
    inputs: &Map<String, Value>,
    outputs: &Map<String, Value>,
) -> (Map<String, Value>, BTreeMap<String, String>) {
    let mut apart = BTreeSet::new();
    loop {
        let before = apart.len();
        for (name, input) in inputs {
            let Some(output) = outputs.get(name) else { continue };
            if input != output || refers(input, &apart) {
                apart.insert(name.clone());
            }
        }
        if apart.len() == before {
            break;
        }
    }
    let renamed: BTreeMap<_, _> =
        apart.into_iter().map(|name| (name.clone(), format!("{name}Input"))).collect();
    let mut all = outputs.clone();
    for (name, input) in inputs {
        let mut input = input.clone();
        rename(&mut input, &renamed);
        all.insert(renamed.get(name).unwrap_or(name).clone(), input);
    }
    (all, renamed)
}

fn refers(schema: &Value, names: &BTreeSet<String>) -> bool {
    match schema {
        Value::Array(all) => all.iter().any(|schema| refers(schema, names)),
        Value::Object(fields) => fields.iter().any(|(key, value)| match (key.as_str(), value.as_str()) {
            ("$ref", Some(path)) => path.strip_prefix(SCHEMAS).is_some_and(|name| names.contains(name)),
            _ => refers(value, names),
        }),
        _ => false,
    }
}

/// Points references at the new names.
pub(super) fn rename(schema: &mut Value, renamed: &BTreeMap<String, String>) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(|schema| rename(schema, renamed)),
        Value::Object(fields) => {
            for (key, value) in fields {
                let target = value.as_str().and_then(|path| path.strip_prefix(SCHEMAS));
                match target.and_then(|name| renamed.get(name)).filter(|_| key == "$ref") {
                    Some(new) => *value = format!("{SCHEMAS}{new}").into(),
                    None => rename(value, renamed),
                }
            }
        }
        _ => {}
    }
}

/// The same value with every object's keys in order, so that equal documents are equal bytes.
pub(super) fn sorted(value: Value) -> Value {
    match value {
        Value::Array(all) => all.into_iter().map(sorted).collect(),
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> =
                fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        other => other,
    }
}

pub(super) fn error_response() -> Value {
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let reason = json!({
        "type": "object",
        "required": ["code", "params"],
        "properties": { "code": { "type": "string" }, "params": texts },
    });
    let members = json!({
        "code": { "type": "string" },
        "message": { "type": "string" },
        "params": texts,
        "fields": texts,
        "reasons": { "type": "object", "additionalProperties": reason },
        "request_id": { "type": "string", "pattern": "^req_[0-9a-f]{32}$" },
    });
    let names = ["code", "message", "params", "fields", "request_id"];
    let error = json!({ "type": "object", "required": names, "properties": members });
    let mut problem = error.clone();
    problem["properties"]["type"] = json!({ "type": "string" });
    problem["properties"]["title"] = json!({ "type": "string" });
    problem["properties"]["status"] = json!({ "type": "integer" });
    json!({
        "description": "The request was refused.",
        "content": {
            "application/json": {
                "schema": { "type": "object", "required": ["error"], "properties": { "error": error } },
            },
            "application/problem+json": { "schema": problem },
        },
    })
}

pub(super) fn security_schemes(cookie: Option<&str>) -> Value {
    let mut schemes = json!({ "bearer": { "type": "http", "scheme": "bearer" } });
    schemes["session"] = json!({
        "type": "apiKey",
        "in": "cookie",
        "name": cookie.unwrap_or("__Host-session"),
        "description": "Requests that write also carry the session's token in X-CSRF-Token.",
    });
    schemes
}
