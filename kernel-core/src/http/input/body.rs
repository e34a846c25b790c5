//! The body: JSON, and on pages also forms, checked against the type's rules.

use std::collections::BTreeMap;

use garde::Validate;
use http::header::CONTENT_TYPE;
use mime::Mime;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{Incoming, Input, text};
use crate::error::{Error, ErrorKind};
use crate::http::schema::{BodyShape, InputShape};
use crate::rule::flaws;

/// The form field that carries the session's token; the chain has checked it before a handler reads the form.
pub(crate) const CSRF_FIELD: &str = "_csrf";

/// The body as a `T` that keeps its own rules: JSON, or on pages a form as well.
///
/// Unknown fields are refused; the build insists on `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<T>(pub T);

impl<T> Input for Body<T>
where
    T: DeserializeOwned + JsonSchema + Validate<Context = ()> + Send + 'static,
{
    fn read(from: &Incoming) -> Result<Self, Error> {
        let value: T = match encoding(from)? {
            Encoding::Form => form(&from.body)?,
            Encoding::Json => json(&from.body)?,
        };
        // serde would also take the fields in a row, without their names.
        if from.reading.body == Some(BodyShape::Object) && from.body.trim_ascii_start().starts_with(b"[") {
            return Err(Error::invalid(BTreeMap::new()).field("body", "field.unreadable"));
        }
        match flaws(&value) {
            flaws if flaws.is_empty() => Ok(Self(value)),
            flaws => Err(Error::invalid(flaws)),
        }
    }

    fn describe(shape: &mut InputShape<'_>) {
        shape.body::<T>();
    }
}

enum Encoding {
    Form,
    Json,
}

pub(crate) fn is_form(headers: &http::HeaderMap) -> bool {
    content_type(headers)
        .is_some_and(|mime| mime.essence_str() == mime::APPLICATION_WWW_FORM_URLENCODED.essence_str())
}

fn content_type(headers: &http::HeaderMap) -> Option<Mime> {
    headers.get(CONTENT_TYPE)?.to_str().ok()?.parse().ok()
}

fn encoding(from: &Incoming) -> Result<Encoding, Error> {
    let unsupported = || Error::new(ErrorKind::UnsupportedMediaType, "unsupported_media_type");
    let mime = content_type(&from.head.headers).ok_or_else(unsupported)?;
    if mime.get_param(mime::CHARSET).is_some_and(|charset| charset != mime::UTF_8) {
        return Err(unsupported());
    }
    let is_json = mime.type_() == mime::APPLICATION
        && (mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON));
    if is_json {
        Ok(Encoding::Json)
    } else if from.takes_forms && is_form(&from.head.headers) {
        Ok(Encoding::Form)
    } else {
        Err(unsupported())
    }
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let malformed = |error: serde_json::Error| Error::new(ErrorKind::Malformed, "malformed").because(error);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let source = error.into_inner();
        if source.classify() == Category::Data { unreadable(&path, source) } else { malformed(source) }
    })?;
    deserializer.end().map_err(malformed)?;
    Ok(value)
}

fn form<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let mut pairs = text::pairs(bytes)?;
    pairs.retain(|(name, _)| name != CSRF_FIELD);
    let encoded = serde_html_form::to_string(&pairs).expect("pairs of strings always serialize");
    let deserializer = serde_html_form::Deserializer::from_bytes(encoded.as_bytes());
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        unreadable(&path, error.into_inner())
    })
}

fn unreadable(path: &str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    let (field, reason) = reason(path, &source.to_string());
    Error::invalid(BTreeMap::new()).field(field, reason).because(source)
}

/// Which field serde could not read, and the message key that says why.
///
/// For a missing or unknown field serde's path ends at the struct around it and only the text holds the name.
pub(super) fn reason(path: &str, text: &str) -> (String, &'static str) {
    let parent = path.trim_matches('.');
    let named = |prefix: &str| text.strip_prefix(prefix)?.split('`').next();
    let under = |name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
    // A field that is there is usually part of the path already; one that is missing never is.
    let at = |name: &str| {
        let known = parent == name || parent.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        if known { parent.to_owned() } else { under(name) }
    };
    if let Some(name) = named("missing field `") {
        return (under(name), "field.required");
    }
    if let Some(name) = named("duplicate field `") {
        return (at(name), "field.duplicate");
    }
    if let Some(name) = named("unknown field `") {
        return (at(name), "field.unknown");
    }
    (if parent.is_empty() { "body".to_owned() } else { parent.to_owned() }, "field.unreadable")
}
