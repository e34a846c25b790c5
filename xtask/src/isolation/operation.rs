//! The routes of the app as the drive sees them, and requests in the making.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, HOST};
use http::{HeaderName, HeaderValue, Method};
use kernel_core::App;
use kernel_core::http::{Access, Route};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::exchange::Ask;
use super::input::{Form, Input};
use super::pool::Templates;
use super::step::Position;

/// All but what a path segment may hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One route.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) method: Method,
    /// The whole path with its parameters in braces.
    pub(super) path: String,
    pub(super) input: Input,
    pub(super) access: Access,
    pub(super) is_page: bool,
    pub(super) takes_key: bool,
}

impl Operation {
    /// Every route of the app.
    pub(super) fn all(app: &App) -> Vec<Self> {
        app.routes().map(|route| Self::of(app, route)).collect()
    }

    fn of(app: &App, route: &Route) -> Self {
        Self {
            name: route.operation().to_owned(),
            method: route.method().clone(),
            path: app.mounted(route),
            input: Input::of(route),
            access: route.access(),
            is_page: route.is_page(),
            takes_key: route.idempotency() != kernel_core::http::Idempotency::Off,
        }
    }

    pub(super) fn in_workspace(&self) -> bool {
        matches!(self.access, Access::Member(_))
    }

    /// Whether an id stands at this place of the body.
    pub(super) fn refers(&self, position: &Position) -> bool {
        let Position::Body(name) = position else { return false };
        let leaves = self.input.body.iter().flatten();
        leaves.filter(|leaf| matches!(leaf.form, Form::Id(_))).any(|leaf| leaf.name == *name)
    }

    pub(super) fn is_safe(&self) -> bool {
        self.method.is_safe()
    }
}

pub(super) fn templates(operations: &[Operation]) -> Templates {
    Templates::new(operations.iter().map(|operation| operation.path.clone()))
}

/// Someone who asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Person {
    /// What the steps call them.
    pub(super) name: &'static str,
    pub(super) id: String,
    pub(super) cookie: Option<String>,
    pub(super) csrf: Option<String>,
}

/// A request in the making.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) asker: Person,
    pub(super) workspace: Option<String>,
    pub(super) path: BTreeMap<String, String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
    pub(super) headers: Vec<(&'static str, String)>,
    /// Whether a page is asked for as JSON, as its own script does.
    pub(super) as_script: bool,
    pub(super) peer: IpAddr,
}

impl Draft {
    pub(super) fn new(asker: &Person) -> Self {
        Self {
            asker: asker.clone(),
            workspace: None,
            path: BTreeMap::new(),
            query: Vec::new(),
            body: None,
            headers: Vec::new(),
            as_script: false,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    pub(super) fn ask(&self, operation: &Operation) -> Ask {
        let mut target = operation.path.clone();
        let workspace = self.workspace.iter().map(|slug| ("workspace", slug));
        for (name, value) in self.path.iter().map(|(name, value)| (name.as_str(), value)).chain(workspace) {
            target = target.replace(&format!("{{{name}}}"), &utf8_percent_encode(value, SEGMENT).to_string());
        }
        if !self.query.is_empty() {
            let mut pairs = url::form_urlencoded::Serializer::new(String::new());
            self.query.iter().for_each(|(name, value)| {
                pairs.append_pair(name, value);
            });
            target = format!("{target}?{}", pairs.finish());
        }
        let (content_type, body) = self.content(operation);
        let accept = if operation.is_page && !self.as_script { "text/html" } else { "application/json" };
        let mut headers = vec![(HOST, HeaderValue::from_static("isolation.test"))];
        headers.push((ACCEPT, HeaderValue::from_static(accept)));
        headers.extend(content_type.map(|mime| (CONTENT_TYPE, HeaderValue::from_static(mime))));
        let text = |text: &str| HeaderValue::from_bytes(text.as_bytes()).ok();
        headers.extend(self.asker.cookie.as_deref().and_then(text).map(|cookie| (COOKIE, cookie)));
        if let (Some(token), false) = (self.asker.csrf.as_deref().and_then(text), operation.is_safe()) {
            headers.push((HeaderName::from_static("x-csrf-token"), token));
        }
        for (name, value) in &self.headers {
            headers.extend(text(value).map(|value| (HeaderName::from_static(name), value)));
        }
        Ask { method: operation.method.clone(), target, headers, body: body.into(), peer: self.peer }
    }

    fn content(&self, operation: &Operation) -> (Option<&'static str>, String) {
        match &self.body {
            None => (None, String::new()),
            Some(Value::Object(fields)) if operation.is_page => {
                let mut pairs = url::form_urlencoded::Serializer::new(String::new());
                for (name, value) in fields {
                    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                    for item in items.iter().filter(|item| !item.is_null()) {
                        let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
                        pairs.append_pair(name, &text);
                    }
                }
                (Some("application/x-www-form-urlencoded"), pairs.finish())
            }
            Some(Value::String(text)) if !operation.input.content_type.ends_with("json") => {
                (Some(operation.input.content_type), text.clone())
            }
            Some(body) => (Some("application/json"), body.to_string()),
        }
    }
}
