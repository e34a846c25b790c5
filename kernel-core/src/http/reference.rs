//! A page about the API for people, made of the OpenAPI document when the app is built. No script, and nothing from elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value as Content};
use serde::Serialize;
use serde_json::Value;

use super::handler::Call;
use super::reply::Reply;
use super::route::{Access, Route};
use crate::error::Error;

const TEMPLATE: &str = include_str!("reference/page.html");
const STYLE: &str = include_str!("reference/page.css");
const SCHEMAS: &str = "#/components/schemas/";

/// The routes that serve the page and its style, beside the document.
pub(super) fn routes(document: &Value) -> [Route; 2] {
    async fn show(page: Arc<(&'static str, Bytes)>, _: Call, (): ()) -> Result<Reply, Error> {
        Ok(Reply::bytes(page.0, page.1.clone()))
    }
    let page = Arc::new(("text/html; charset=utf-8", html(document).into()));
    let style = Arc::new(("text/css; charset=utf-8", STYLE.into()));
    let public =
        |path, operation, state| Route::free(Method::GET, path, operation, Access::Public, state, show);
    [
        public("/reference", "core.reference.show", page),
        public("/reference.css", "core.reference.style", style),
    ]
}

fn html(document: &Value) -> String {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template("page.html", TEMPLATE).expect("the template is tested");
    let page = Page::of(document);
    let template = environment.get_template("page.html").expect("it has just been added");
    template.render(Content::from(Serde(&page))).expect("the template is tested with every part of a page")
}

#[derive(Debug, Serialize)]
struct Page<'d> {
    title: &'d str,
    version: &'d str,
    groups: Vec<Group<'d>>,
    schemas: Vec<Shape<'d>>,
}

/// The operations of one pillar.
#[derive(Debug, Serialize)]
struct Group<'d> {
    name: &'d str,
    operations: Vec<Operation<'d>>,
}

#[derive(Debug, Serialize)]
struct Operation<'d> {
    id: &'d str,
    method: String,
    path: &'d str,
    summary: &'d str,
    public: bool,
    permission: Option<&'d str>,
    feature: Option<&'d str>,
    idempotency: Option<&'d str>,
    parameters: Vec<Field<'d>>,
    body: Option<Type>,
    answers: Vec<Answer<'d>>,
    refusals: Vec<&'d str>,
}

#[derive(Debug, Serialize)]
struct Field<'d> {
    name: &'d str,
    place: &'d str,
    needed: bool,
    about: &'d str,
    kind: Type,
}

#[derive(Debug, Serialize)]
struct Answer<'d> {
    status: &'d str,
    kind: Option<Type>,
}

#[derive(Debug, Serialize)]
struct Shape<'d> {
    name: &'d str,
    about: &'d str,
    fields: Vec<Field<'d>>,
    /// What it is, when it has no fields.
    kind: Option<Type>,
}

/// What a value is, in words, and the named shape in it.
#[derive(Debug, Default, Serialize)]
struct Type {
    text: String,
    link: Option<String>,
}

fn text<'d>(value: &'d Value, name: &str) -> &'d str {
    value[name].as_str().unwrap_or_default()
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

impl<'d> Page<'d> {
    fn of(document: &'d Value) -> Self {
        let mut groups = BTreeMap::<&str, Vec<Operation<'d>>>::new();
        for (path, methods) in entries(&document["paths"]) {
            for (method, operation) in entries(methods) {
                let group = operation["tags"][0].as_str().unwrap_or_default();
                groups.entry(group).or_default().push(Operation::of(path, method, operation));
            }
        }
        let shapes = entries(&document["components"]["schemas"]);
        Self {
            title: text(&document["info"], "title"),
            version: text(&document["info"], "version"),
            groups: groups.into_iter().map(|(name, operations)| Group { name, operations }).collect(),
            schemas: shapes.map(|(name, schema)| Shape::of(name, schema)).collect(),
        }
    }
}

impl<'d> Operation<'d> {
    fn of(path: &'d str, method: &str, operation: &'d Value) -> Self {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let (refused, answered): (Vec<_>, Vec<_>) =
            entries(&operation["responses"]).partition(|(_, answer)| answer["$ref"].is_string());
        let content =
            |of: &Value| entries(&of["content"]).next().map(|(media, content)| Type::of(content, media));
        Self {
            id: text(operation, "operationId"),
            method: method.to_uppercase(),
            path,
            summary: text(operation, "summary"),
            public: operation["security"].as_array().is_none_or(Vec::is_empty),
            permission: operation["x-permission"].as_str(),
            feature: operation["x-feature"].as_str(),
            idempotency: operation["x-idempotency"].as_str(),
            parameters: parameters
                .map(|parameter| Field {
                    name: text(parameter, "name"),
                    place: text(parameter, "in"),
                    needed: parameter["required"] == true,
                    about: text(&parameter["schema"], "description"),
                    kind: Type::of_schema(&parameter["schema"]),
                })
                .collect(),
            body: content(&operation["requestBody"]),
            answers: answered
                .into_iter()
                .map(|(status, answer)| Answer { status, kind: content(answer) })
                .collect(),
            refusals: refused.into_iter().map(|(status, _)| status).collect(),
        }
    }
}

impl<'d> Shape<'d> {
    fn of(name: &'d str, schema: &'d Value) -> Self {
        let needed = |name: &str| {
            schema["required"].as_array().is_some_and(|needed| needed.iter().any(|other| other == name))
        };
        let fields: Vec<_> = entries(&schema["properties"])
            .map(|(name, schema)| Field {
                name,
                place: "",
                needed: needed(name),
                about: text(schema, "description"),
                kind: Type::of_schema(schema),
            })
            .collect();
        let kind = fields.is_empty().then(|| Type::of_schema(schema));
        Self { name, about: text(schema, "description"), fields, kind }
    }
}

impl Type {
    /// The content of a body; of what is no JSON, the media type says enough.
    fn of(content: &Value, media: &str) -> Self {
        if media == "application/json" {
            Self::of_schema(&content["schema"])
        } else {
            Self { text: media.to_owned(), link: None }
        }
    }

    fn of_schema(schema: &Value) -> Self {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix(SCHEMAS)) {
            return Self { text: name.to_owned(), link: Some(name.to_owned()) };
        }
        for several in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[several].as_array() {
                return Self::joined(choices.iter().map(Self::of_schema), " or ");
            }
        }
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<_> = values
                .iter()
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                .collect();
            return Self { text: values.join(" | "), link: None };
        }
        if let Some(value) = schema.get("const") {
            return Self {
                text: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
                link: None,
            };
        }
        if schema["type"] == "array" {
            let Self { text, link } = Self::of_schema(&schema["items"]);
            return Self { text: format!("list of {text}"), link };
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().map_or_else(|| vec!["any"], |kind| vec![kind]),
        };
        Self { text: kinds.join(" or ") + &bounds(schema), link: None }
    }

    fn joined(all: impl Iterator<Item = Self>, between: &str) -> Self {
        let (mut texts, mut link) = (Vec::new(), None);
        for one in all {
            texts.push(one.text);
            link = link.or(one.link);
        }
        Self { text: texts.join(between), link }
    }
}

/// What narrows a value down, in words.
fn bounds(schema: &Value) -> String {
    let range = |least: &str, most: &str, unit: &str| match (&schema[least], &schema[most]) {
        (Value::Null, Value::Null) => None,
        (least, Value::Null) => Some(format!("from {least}{unit}")),
        (Value::Null, most) => Some(format!("up to {most}{unit}")),
        (least, most) => Some(format!("{least} to {most}{unit}")),
    };
    let parts = [
        schema["format"].as_str().map(str::to_owned),
        range("minLength", "maxLength", " characters"),
        range("minimum", "maximum", ""),
        schema["pattern"].as_str().map(str::to_owned),
    ];
    parts.into_iter().flatten().map(|part| format!(", {part}")).collect()
}

#[cfg(test)]
mod tests;
