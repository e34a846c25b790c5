//! Links: what an operation has just made is found by those whose path takes its id.

use serde_json::{Map, Value, json};

/// How the pattern of an id ends.
const ID: &str = "_[0-9a-f]{32}$";

/// An operation whose path takes one id.
struct Taker {
    operation: String,
    parameter: String,
    pattern: String,
    in_workspace: bool,
}

/// Adds the links to every answer `201` whose body has an `id`.
pub(super) fn add(paths: &mut Value, schemas: &Value) {
    let takers: Vec<_> = operations(paths).filter_map(taker).collect();
    for operation in operations_mut(paths) {
        let in_workspace = parameters(operation).any(|parameter| parameter["name"] == "workspace");
        let made = operation.pointer_mut("/responses/201");
        let Some(made) = made.and_then(Value::as_object_mut) else { continue };
        let Some(pattern) = id_of(made, schemas) else { continue };
        let found =
            takers.iter().filter(|taker| taker.pattern == pattern && taker.in_workspace == in_workspace);
        let links: Map<String, Value> = found.map(|taker| (taker.operation.clone(), link(taker))).collect();
        if !links.is_empty() {
            made.insert("links".to_owned(), links.into());
        }
    }
}

fn operations(paths: &Value) -> impl Iterator<Item = &Value> {
    paths.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_object).flat_map(Map::values)
}

fn operations_mut(paths: &mut Value) -> impl Iterator<Item = &mut Value> {
    let places = paths.as_object_mut().into_iter().flat_map(Map::values_mut);
    places.filter_map(Value::as_object_mut).flat_map(Map::values_mut)
}

fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    operation["parameters"].as_array().into_iter().flatten()
}

fn taker(operation: &Value) -> Option<Taker> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let ids = parameters(operation).filter(|parameter| parameter["in"] == "path");
    let mut ids = ids.filter(|id| id["schema"]["pattern"].as_str().is_some_and(|text| text.ends_with(ID)));
    let (id, None) = (ids.next()?, ids.next()) else { return None };
    Some(Taker {
        operation: text(&operation["operationId"])?,
        parameter: text(&id["name"])?,
        pattern: text(&id["schema"]["pattern"])?,
        in_workspace: parameters(operation).any(|parameter| parameter["name"] == "workspace"),
    })
}

/// The pattern of the id in the body.
fn id_of(response: &Map<String, Value>, schemas: &Value) -> Option<String> {
    let schema = &response.get("content")?["application/json"]["schema"];
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    let schema = name.map_or(schema, |name| &schemas[name]);
    schema["properties"]["id"]["pattern"].as_str().map(str::to_owned)
}

fn link(taker: &Taker) -> Value {
    let mut parameters = json!({ &taker.parameter: "$response.body#/id" });
    if taker.in_workspace {
        parameters["workspace"] = "$request.path.workspace".into();
    }
    json!({ "operationId": taker.operation, "parameters": parameters })
}
