//! What operators ask for, on a listener of its own: never on the app's.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::problem::{OK, response, status};
use crate::app::App;
use crate::error::ErrorKind;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl App {
    /// Answers `GET /metrics` and `GET /health`, and nothing else, for a listener that only Prometheus and operators reach.
    /// Both adapters serve it; a host with a listener of its own passes the heads of requests on.
    ///
    /// It asks for no credentials. None of the app's routes leads here.
    ///
    /// `/health` is JSON: `{status, version, uptime_seconds, checks: {name: {status, message?, latency_ms?}}}`. A status is
    /// `healthy`, `warning` or `unhealthy`, and the whole is as its worst check: every check of `/readyz`, memory beyond nine
    /// tenths of what the process may have (a warning), a process that is about to stop (a warning). The answer is 503 when the
    /// whole is unhealthy, 200 otherwise.
    pub async fn scrape(&self, head: &Parts) -> Response<Bytes> {
        let path = head.uri.path();
        if !["/metrics", "/health"].contains(&path) {
            return response(status(ErrorKind::NotFound), Bytes::new());
        }
        if head.method != Method::GET && head.method != Method::HEAD {
            let mut refused = response(status(ErrorKind::MethodNotAllowed), Bytes::new());
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        let (status, kind, body) = if path == "/metrics" {
            // So that `kernel_ready` tells of now.
            self.checked().await;
            (OK, TEXT, self.metrics().text())
        } else {
            let (status, body) = self.told_health().await;
            (status, JSON, body)
        };
        let body = if head.method == Method::GET { Bytes::from(body) } else { Bytes::new() };
        let mut response = response(status, body);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    async fn told_health(&self) -> (StatusCode, String) {
        let health = self.health().await;
        let status = if health.is_unhealthy() { status(ErrorKind::Unavailable) } else { OK };
        (status, serde_json::to_string(&health).expect("strings and numbers always serialize"))
    }
}
