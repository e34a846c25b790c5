//! Faults planted around one of the adapters, which the comparison must notice.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, SERVER};
use http::{Method, StatusCode, Uri};
use kernel_core::Config;

/// What an adapter could do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    BodyLimitOff,
    BufferStream,
    DecodePath,
    DoubleCookie,
    DropDuplicateHeader,
    DropNonUtf8Header,
    DropQuery,
    HeadAsGet,
    LowercasePath,
    MergeSlashes,
    PlainNotFound,
    ServerHeader,
    SharedPeer,
    SniffBody,
}

const NAMED: [(&str, Fault); 14] = [
    ("body-limit-off", Fault::BodyLimitOff),
    ("buffer-stream", Fault::BufferStream),
    ("decode-path", Fault::DecodePath),
    ("double-cookie", Fault::DoubleCookie),
    ("drop-duplicate-header", Fault::DropDuplicateHeader),
    ("drop-non-utf8-header", Fault::DropNonUtf8Header),
    ("drop-query", Fault::DropQuery),
    ("head-as-get", Fault::HeadAsGet),
    ("lowercase-path", Fault::LowercasePath),
    ("merge-slashes", Fault::MergeSlashes),
    ("plain-not-found", Fault::PlainNotFound),
    ("server-header", Fault::ServerHeader),
    ("shared-peer", Fault::SharedPeer),
    ("sniff-body", Fault::SniffBody),
];

/// The names, for the command line.
pub(super) const NAMES: &[&str] = &names();

const fn names() -> [&'static str; NAMED.len()] {
    let mut names = [""; NAMED.len()];
    let mut index = 0;
    while index < NAMED.len() {
        names[index] = NAMED[index].0;
        index += 1;
    }
    names
}

impl Fault {
    pub(super) fn named(name: &str) -> Option<Self> {
        NAMED.iter().find(|(given, _)| *given == name).map(|(_, fault)| *fault)
    }

    /// The fault as a setting, where it is one.
    pub(super) fn configure(self, config: &mut Config) {
        if self == Self::BodyLimitOff {
            config.http.body_limit = usize::MAX / 2;
        }
    }

    /// The fault as a layer around the adapter, where it is one.
    pub(super) fn wrap(self, routes: Router) -> Router {
        routes.layer(from_fn(move |mut request: Request, next: Next| async move {
            let head = request.method() == Method::HEAD;
            self.spoil_request(&mut request);
            let response = next.run(request).await;
            self.spoil_response(response, head).await
        }))
    }

    fn spoil_request(self, request: &mut Request) {
        let path = request.uri().path();
        let changed = match self {
            Self::LowercasePath => path.to_ascii_lowercase(),
            Self::MergeSlashes => path.replace("//", "/"),
            Self::DecodePath => percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned(),
            _ => path.to_owned(),
        };
        let query = request.uri().query().filter(|_| self != Self::DropQuery);
        let changed = format!("{changed}{}", query.map(|query| format!("?{query}")).unwrap_or_default());
        if let Ok(uri) = changed.parse::<Uri>() {
            *request.uri_mut() = uri;
        }
        match self {
            Self::DropNonUtf8Header => {
                let kept = request.headers().iter().filter(|(_, value)| value.to_str().is_ok());
                *request.headers_mut() = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
            }
            Self::DoubleCookie => {
                if let Some(cookie) = request.headers().get(COOKIE).and_then(|cookie| cookie.to_str().ok()) {
                    let lower = HeaderValue::from_str(&cookie.to_ascii_lowercase());
                    request.headers_mut().extend(lower.ok().map(|lower| (COOKIE, lower)));
                }
            }
            Self::HeadAsGet if request.method() == Method::HEAD => *request.method_mut() = Method::GET,
            Self::SharedPeer => {
                request.extensions_mut().clear();
            }
            Self::SniffBody => {
                request
                    .headers_mut()
                    .entry(CONTENT_TYPE)
                    .or_insert(HeaderValue::from_static("application/json"));
            }
            _ => {}
        }
    }

    async fn spoil_response(self, mut response: Response, head: bool) -> Response {
        match self {
            Self::DropDuplicateHeader => {
                let all = std::mem::take(response.headers_mut());
                let mut single = HeaderMap::new();
                for (name, value) in &all {
                    single.insert(name.clone(), value.clone());
                }
                *response.headers_mut() = single;
                response
            }
            Self::ServerHeader => {
                response.headers_mut().insert(SERVER, HeaderValue::from_static("hand-made"));
                response
            }
            Self::PlainNotFound if response.status() == StatusCode::NOT_FOUND => {
                let mut plain = Response::new(Body::from("not found"));
                *plain.status_mut() = StatusCode::NOT_FOUND;
                plain
            }
            Self::HeadAsGet if head => {
                response.headers_mut().remove(CONTENT_LENGTH);
                response.headers_mut().remove(ALLOW);
                response
            }
            Self::BufferStream => {
                let (parts, body) = response.into_parts();
                let whole = to_bytes(body, 1 << 24).await.unwrap_or_default();
                Response::from_parts(parts, Body::from(whole))
            }
            _ => response,
        }
    }
}
