//! How outcomes look on the wire. The only file that names status codes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;

use super::accept::{Form, preferred};
use crate::ctx::RequestId;
use crate::error::{Error, ErrorKind};
use crate::message::{Language, Messages};

pub(crate) const OK: StatusCode = StatusCode::OK;
pub(crate) const CREATED: StatusCode = StatusCode::CREATED;
pub(crate) const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;
pub(crate) const SEE_OTHER: StatusCode = StatusCode::SEE_OTHER;

/// The status that tells a caller what an error of this kind means.
pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Malformed => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::PaymentRequired => StatusCode::PAYMENT_REQUIRED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::TooSlow => StatusCode::REQUEST_TIMEOUT,
        ErrorKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The status of every refusal of ours.
pub(crate) fn refusals() -> [StatusCode; ErrorKind::ALL.len()] {
    ErrorKind::ALL.map(status)
}

/// A response with this status and body.
pub(crate) fn response<B>(status: StatusCode, body: impl Into<B>) -> Response<B> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

/// What an error page may show.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ErrorView<'a> {
    /// The HTTP status, for the page's title.
    pub status: u16,
    /// The stable code.
    pub code: &'a str,
    /// The sentence for people. Escape it: it may repeat what the caller sent.
    pub message: &'a str,
    /// What the message is about: `feature` and `plans` of what the workspace's plan does not include. Escape them too.
    pub params: &'a BTreeMap<&'static str, String>,
    /// A message per input field. Escape them too.
    pub fields: &'a BTreeMap<String, String>,
    /// What to quote to support.
    pub request_id: RequestId,
    /// The path that was asked for. Escape it.
    pub path: &'a str,
    /// Whether the person has signed in.
    pub signed_in: bool,
    /// The language of the texts, and the one to write the rest of the page in.
    pub language: Language,
}

/// Renders the page that a person sees when a page route fails.
#[derive(Clone)]
pub struct ErrorPage(Arc<dyn Fn(&ErrorView<'_>) -> String + Send + Sync>);

impl fmt::Debug for ErrorPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrorPage")
    }
}

impl ErrorPage {
    /// A page made by the product's own templates. It must not fail and must escape what it shows.
    pub fn new(render: impl Fn(&ErrorView<'_>) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(render))
    }
}

impl Default for ErrorPage {
    fn default() -> Self {
        Self::new(plain_page)
    }
}

fn plain_page(view: &ErrorView<'_>) -> String {
    let fields =
        view.fields.iter().map(|(name, text)| format!("<li>{}: {}</li>", escaped(name), escaped(text)));
    let fields: String = fields.collect();
    format!(
        "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\"><title>{status}</title></head><body><main>\
         <h1>{message}</h1><ul>{fields}</ul><p>{code} · {id}</p></main></body></html>",
        language = view.language,
        status = view.status,
        message = escaped(view.message),
        code = escaped(view.code),
        id = view.request_id,
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// The envelope: `{"error": {…}}`.
#[derive(Debug, Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    /// What the message is about, for programs: the feature that is missing, the parameter that is unknown.
    params: &'a BTreeMap<&'static str, String>,
    fields: &'a BTreeMap<String, String>,
    /// What the fields' messages say, for programs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reasons: BTreeMap<&'a str, Reason<'a>>,
    request_id: RequestId,
}

#[derive(Debug, Serialize)]
struct Reason<'a> {
    code: &'a str,
    params: &'a BTreeMap<&'static str, String>,
}

/// The same members under RFC 9457's names and our own.
#[derive(Debug, Serialize)]
struct ProblemDetails<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    #[serde(flatten)]
    body: Body<'a>,
}

/// What shapes an error's response besides the error.
#[derive(Debug)]
pub(crate) struct Voice<'a> {
    pub(crate) messages: &'a Messages,
    pub(crate) language: Language,
    pub(crate) page: &'a ErrorPage,
    /// Whether the route is a page: then people read its errors.
    pub(crate) html: bool,
    pub(crate) path: &'a str,
    pub(crate) signed_in: bool,
}

/// The response that tells the caller about `error`, in the form that it asked for.
pub(crate) fn respond(voice: &Voice<'_>, asked: &HeaderMap, id: RequestId, error: &Error) -> Response<Bytes> {
    let status = status(error.kind());
    let say = |key: &str, args| voice.messages.t(voice.language, key, args);
    let message = say(&format!("error.{}", error.code()), error.args());
    let fields = error.fields().iter().map(|(name, flaw)| (name.clone(), say(flaw.key(), flaw.args())));
    let fields: BTreeMap<String, String> = fields.collect();
    // What is not there, and what is not for the caller, must look alike.
    let params = if error.kind() == ErrorKind::NotFound { &BTreeMap::new() } else { error.args() };
    // A text that is no key is a sentence for people: no program should go by it.
    let keyed = error.fields().iter().filter(|(_, flaw)| voice.messages.has(flaw.key()));
    let reasons =
        keyed.map(|(name, flaw)| (name.as_str(), Reason { code: flaw.key(), params: flaw.args() })).collect();
    let body =
        Body { code: error.code(), message: &message, params, fields: &fields, reasons, request_id: id };

    let offers: &[Form] = if voice.html {
        &[Form::Html, Form::Json, Form::ProblemJson]
    } else {
        &[Form::Json, Form::ProblemJson]
    };
    let (content_type, text) = match preferred(asked, offers) {
        Form::Html => {
            let view = ErrorView {
                status: status.as_u16(),
                code: body.code,
                message: &message,
                params,
                fields: &fields,
                request_id: id,
                path: voice.path,
                signed_in: voice.signed_in,
                language: voice.language,
            };
            ("text/html; charset=utf-8", voice.page.0(&view))
        }
        Form::Json => ("application/json", json(&Envelope { error: body })),
        Form::ProblemJson => {
            let details =
                ProblemDetails { r#type: "about:blank", title: &message, status: status.as_u16(), body };
            ("application/problem+json", json(&details))
        }
    };
    let mut response = response(status, text);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    if error.kind() == ErrorKind::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(wait) = error.wait() {
        // Whole seconds, rounded up: a caller that waits as told must not come too early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    response
}

fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("strings and numbers always serialize")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::ACCEPT;
    use uuid::Uuid;

    use super::*;

    fn told(html: bool, accept: &'static str, error: &Error) -> Response<Bytes> {
        let messages = Messages::default();
        let page = ErrorPage::default();
        let (language, path) = (Language::ENGLISH, "/");
        let voice = Voice { messages: &messages, language, page: &page, html, path, signed_in: false };
        let asked = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        respond(&voice, &asked, RequestId::from_uuid(Uuid::from_u128(7)), error)
    }

    #[test]
    fn every_error_has_one_envelope() {
        let error = Error::new(ErrorKind::Invalid, "invalid").field("title", "field.required");
        let response = told(false, "*/*", &error);
        assert_eq!(response.status().as_u16(), 422);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["error"]["code"], "invalid");
        assert_eq!(body["error"]["request_id"], "req_00000000000000000000000000000007");
        assert!(body["error"]["fields"]["title"].is_string());
        assert_eq!(body["error"].get("reasons"), None, "the text is in no catalogue");
        assert!(body["error"]["message"].is_string());
        let response = told(false, "*/*", &Error::new(ErrorKind::TooLarge, "too_large").arg("limit", 7));
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["error"]["params"], serde_json::json!({ "limit": "7" }));
    }

    #[test]
    fn problem_json_carries_the_same_members() {
        let response = told(false, "application/problem+json", &Error::not_found());
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!((&body["status"], &body["code"]), (&404.into(), &"not_found".into()));
        assert_eq!(body["request_id"], "req_00000000000000000000000000000007");
    }

    #[test]
    fn a_page_route_answers_people_with_escaped_html() {
        let error = Error::new(ErrorKind::Conflict, "<script>");
        let response = told(true, "text/html", &error);
        let body = std::str::from_utf8(response.body()).unwrap();
        assert!(body.contains("&lt;script&gt;") && !body.contains("<script>"));
        let scripted = told(true, "application/json", &error);
        assert_eq!(scripted.headers()[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let error =
            Error::new(ErrorKind::RateLimited, "rate_limited").retry_after(Duration::from_millis(1200));
        assert_eq!(told(false, "*/*", &error).headers()[RETRY_AFTER], "2");
    }
}
