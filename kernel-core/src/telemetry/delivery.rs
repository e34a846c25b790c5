//! How traces, metrics and reports reach another server: HTTP with a time limit, from a task of the host's own.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use super::metric::{Counter, Labels, Metrics};

/// How long one delivery may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const ANSWER_MAX: usize = 64 * 1024;

/// Why something was not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    #[error("the address or a header cannot be used: {0}")]
    Unusable(#[from] http::Error),
    #[error("the server cannot be reached")]
    Unreached(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the server answered {0}")]
    Refused(StatusCode, Option<Duration>),
    #[error("the server did not answer within {PATIENCE:?}")]
    Silent,
}

impl Undelivered {
    /// How long the server asks to be left alone.
    #[cfg(feature = "sentry")]
    pub(super) fn pause(&self) -> Option<Duration> {
        if let Self::Refused(_, pause) = self { *pause } else { None }
    }
}

/// An HTTP client, with the certificates of the web's authorities.
#[derive(Debug, Clone)]
pub(super) struct Post(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Post {
    pub(super) fn new() -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .expect("the provider knows the protocol's versions")
            .https_or_http()
            .enable_http1()
            .build();
        Self(
            Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(30)).build(connector),
        )
    }

    pub(super) async fn send(&self, to: &Uri, headers: &HeaderMap, body: Bytes) -> Result<(), Undelivered> {
        let mut request = Request::builder().method(Method::POST).uri(to).body(Full::new(body))?;
        request.headers_mut().extend(headers.clone());
        let delivery = async {
            let answer =
                self.0.request(request).await.map_err(|error| Undelivered::Unreached(error.into()))?;
            let (head, body) = answer.into_parts();
            if !head.status.is_success() {
                return Err(Undelivered::Refused(head.status, pause(&head.headers)));
            }
            // Read to its end, so that the connection can be used again.
            let read = Limited::new(body, ANSWER_MAX).collect().await;
            read.map(drop).map_err(Undelivered::Unreached)
        };
        timeout(PATIENCE, delivery).await.unwrap_or(Err(Undelivered::Silent))
    }
}

fn pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(Duration::from_hours(1)))
}

/// Counts what became of things to be delivered.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) sent: Counter,
    /// Delivery was tried, in vain.
    pub(super) failed: Counter,
    /// There was no room to wait.
    pub(super) dropped: Counter,
}

impl Tally {
    pub(super) fn new(metrics: &Metrics, signal: &'static str) -> Self {
        let labels = Labels::of("signal", ["spans", "metrics", "reports"])
            .and("outcome", ["sent", "failed", "dropped"]);
        let exported = metrics.counter(
            "kernel_export_total",
            "What was to be sent to a collector or a keeper of errors, by what became of it.",
            labels,
        );
        let of = |outcome| exported.of([signal, outcome]);
        Self { sent: of("sent"), failed: of("failed"), dropped: of("dropped") }
    }
}
