//! Requests and responses between actix-web's `http` 0.2 and the kernel's 1.x, byte by byte.

use std::io;

use actix_web::body::{BodyStream, SizedStream};
use actix_web::http::header::{HeaderMap as OldHeaders, HeaderName as OldName, HeaderValue as OldValue};
use actix_web::http::{StatusCode as OldStatus, Version as OldVersion};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, StatusCode, Uri, Version};
use kernel_core::http::Reply;

/// The head of a request, without the prefix of the scope that the app is mounted in.
pub(crate) fn head(request: &HttpRequest) -> Parts {
    let (mut head, ()) = Request::new(()).into_parts();
    head.method =
        Method::from_bytes(request.method().as_str().as_bytes()).expect("the new version takes more methods");
    head.version = match request.version() {
        OldVersion::HTTP_10 => Version::HTTP_10,
        OldVersion::HTTP_2 => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    head.headers = headers(request.headers());
    // `*` is the path of nothing.
    head.uri = uri(request).unwrap_or(Uri::from_static("*"));
    head
}

/// The URI as it came over the wire, behind the prefix. What actix-web has decoded for its own matching is not used.
fn uri(request: &HttpRequest) -> Option<Uri> {
    let (matched, whole) = (request.match_info(), request.uri());
    let prefix = match request.match_pattern() {
        // A route of the host's own: what lies before the place of the workspace.
        Some(pattern) => pattern.split_once("/w/{").map_or("", |(prefix, _)| prefix).to_owned(),
        None => matched.as_str().strip_suffix(matched.unprocessed())?.to_owned(),
    };
    if prefix.is_empty() {
        return whole.to_string().parse().ok();
    }
    let path = whole.path().strip_prefix(&prefix)?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let query = whole.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{slash}{path}{query}").parse().ok()
}

/// The status of a response.
pub(crate) fn status(response: &HttpResponse) -> StatusCode {
    StatusCode::from_u16(response.status().as_u16()).expect("both versions take three digits")
}

/// The response of a reply that is no socket.
pub(crate) fn response(reply: Reply) -> HttpResponse {
    match reply {
        Reply::Full(response) => {
            let (head, body) = response.into_parts();
            let mut builder = builder(head.status, &head.headers);
            // The answer to HEAD names the length of a body that is not sent.
            let named =
                head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
            match named {
                Some(length) if body.is_empty() => {
                    builder.body(SizedStream::new(length, stream::empty::<io::Result<_>>()))
                }
                _ => builder.body(body),
            }
        }
        Reply::Stream(response) => {
            let (head, body) = response.into_parts();
            builder(head.status, &head.headers)
                .body(BodyStream::new(body.map(|piece| piece.map_err(io::Error::other))))
        }
        Reply::Socket(_) => unreachable!("only a handler that was called answers with a socket"),
    }
}

fn builder(status: StatusCode, headers: &HeaderMap) -> HttpResponseBuilder {
    let status = OldStatus::from_u16(status.as_u16()).expect("both versions take three digits");
    let mut builder = HttpResponse::build(status);
    for (name, value) in headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
        builder.append_header(old(name, value));
    }
    builder
}

/// Lets the kernel change the headers of a response of the host's own.
pub(crate) fn change_headers(response: &mut HttpResponse, change: impl FnOnce(&mut HeaderMap)) {
    let mut changed = headers(response.headers());
    change(&mut changed);
    response.headers_mut().clear();
    for (name, value) in &changed {
        let (name, value) = old(name, value);
        response.headers_mut().append(name, value);
    }
}

fn headers(old: &OldHeaders) -> HeaderMap {
    let new = old.iter().map(|(name, value)| {
        let name =
            HeaderName::from_bytes(name.as_str().as_bytes()).expect("both versions take the same names");
        (name, HeaderValue::from_bytes(value.as_bytes()).expect("both versions take the same values"))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in new {
        headers.append(name, value);
    }
    headers
}

fn old(name: &HeaderName, value: &HeaderValue) -> (OldName, OldValue) {
    let name = OldName::from_bytes(name.as_str().as_bytes()).expect("both versions take the same names");
    (name, OldValue::from_bytes(value.as_bytes()).expect("both versions take the same values"))
}
