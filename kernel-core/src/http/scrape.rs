//! What Prometheus asks for, on a listener of its own: never on the app's.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response};

use super::problem::status;
use crate::app::App;
use crate::error::ErrorKind;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

impl App {
    /// Answers `GET /metrics`, and nothing else, for a listener that only Prometheus reaches. Both adapters serve it; a
    /// host with a listener of its own passes the heads of requests on.
    ///
    /// It asks for no credentials. None of the app's routes leads here.
    #[must_use]
    pub fn scrape(&self, head: &Parts) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        if head.uri.path() != "/metrics" {
            *response.status_mut() = status(ErrorKind::NotFound);
        } else if head.method == Method::GET || head.method == Method::HEAD {
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, TEXT);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if head.method == Method::GET {
                *response.body_mut() = self.metrics().text().into();
            }
        } else {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            *response.status_mut() = status(ErrorKind::MethodNotAllowed);
        }
        response
    }
}
