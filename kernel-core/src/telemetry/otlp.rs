//! Traces and metrics to an OpenTelemetry collector: OTLP over HTTP, as protobuf.
//!
//! ```no_run
//! # async fn start(app: &kernel_core::App) -> Result<(), Box<dyn std::error::Error>> {
//! use kernel_core::telemetry::otlp::{self, OtlpOptions};
//! use tracing_subscriber::layer::SubscriberExt;
//! use tracing_subscriber::util::SubscriberInitExt;
//!
//! let options = OtlpOptions::new("http://localhost:4318", "shop")?;
//! # let config = kernel_core::Config::new(kernel_core::LocalKeys::new("1", "")?);
//! let (spans, exporter) = otlp::exporter(options, &config);
//! tracing_subscriber::registry().with(tracing_subscriber::fmt::layer()).with(spans.layer()).init();
//! // The host owns the task, and ends it after the server.
//! tokio::spawn(exporter.run(std::future::pending()));
//! # Ok(()) }
//! ```

mod encode;
mod layer;

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Uri;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::delivery::{Post, Tally};
use super::metric::Metrics;
use crate::app::Config;
use crate::clock::Clock;
use crate::error::causes;

use layer::Span;
pub use layer::Spans;

/// How many spans wait to be sent: two seconds of a thousand requests each with a transaction.
const BACKLOG: usize = 4096;
/// How many spans are sent together, and how long the first of them waits for others.
const BATCH: usize = 512;
const GATHERING: Duration = Duration::from_secs(2);
/// How long a shutdown waits for the last of them.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// To which collector, and as what.
#[derive(Debug, Clone)]
pub struct OtlpOptions {
    traces: Uri,
    metrics: Uri,
    headers: HeaderMap,
    service: String,
    every: Duration,
}

/// An address or header that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableOtlp {
    /// The address is none.
    #[error("the address of the collector is none of the form http://host:4318")]
    Address,
    /// A header is none. It does not show the text, which may hold a key.
    #[error("a header for the collector is none of the form name=value")]
    Header,
}

impl OtlpOptions {
    /// The collector at this address, to which `/v1/traces` and `/v1/metrics` are added, told of a service of this name.
    ///
    /// # Errors
    /// [`UnusableOtlp::Address`].
    pub fn new(endpoint: &str, service: impl Into<String>) -> Result<Self, UnusableOtlp> {
        let at = |path: &str| {
            let uri: Uri = format!("{}/{path}", endpoint.trim_end_matches('/')).parse().ok()?;
            let scheme = uri.scheme_str()?;
            (scheme == "http" || scheme == "https").then_some(())?;
            uri.host()?;
            Some(uri)
        };
        let (Some(traces), Some(metrics)) = (at("v1/traces"), at("v1/metrics")) else {
            return Err(UnusableOtlp::Address);
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        Ok(Self { traces, metrics, headers, service: service.into(), every: Duration::from_mins(1) })
    }

    /// Sends these headers too, written as `name=value,name=value`: how collectors of others ask for a key.
    ///
    /// # Errors
    /// [`UnusableOtlp::Header`].
    pub fn headers(mut self, headers: &str) -> Result<Self, UnusableOtlp> {
        for pair in headers.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(UnusableOtlp::Header)?;
            let name: HeaderName = name.trim().parse().map_err(|_| UnusableOtlp::Header)?;
            let mut value: HeaderValue = value.trim().parse().map_err(|_| UnusableOtlp::Header)?;
            value.set_sensitive(true);
            self.headers.insert(name, value);
        }
        Ok(self)
    }

    /// How often metrics are sent: every minute unless said, and every 100 ms at most.
    #[must_use]
    pub fn metrics_every(mut self, every: Duration) -> Self {
        self.every = every.max(Duration::from_millis(100));
        self
    }
}

/// What sends spans and metrics. The host runs it.
#[derive(Debug)]
pub struct Exporter {
    spans: Receiver<Span>,
    outlet: Outlet,
}

#[derive(Debug)]
struct Outlet {
    options: OtlpOptions,
    post: Post,
    metrics: Metrics,
    clock: Clock,
    since: DateTime<Utc>,
    release: String,
    of_spans: Tally,
    of_metrics: Tally,
}

/// What sees the spans of requests, jobs and transactions and those of the product inside them, and what sends them.
///
/// The former never waits: with 4096 spans unsent, further ones are dropped and counted in `kernel_export_total`.
#[must_use]
pub fn exporter(options: OtlpOptions, config: &Config) -> (Spans, Exporter) {
    let (sender, spans) = mpsc::channel(BACKLOG);
    let telemetry = &config.telemetry;
    let metrics = telemetry.metrics.clone();
    let (of_spans, of_metrics) = (Tally::new(&metrics, "spans"), Tally::new(&metrics, "metrics"));
    let seen = Spans::new(sender, of_spans.dropped.clone(), config);
    let clock = config.clock.clone();
    let (since, release, post) = (clock.now(), telemetry.release.clone(), Post::new());
    let outlet = Outlet { options, post, metrics, clock, since, release, of_spans, of_metrics };
    (seen, Exporter { spans, outlet })
}

impl Exporter {
    /// Sends spans and metrics until `shutdown` is ready, then what is left, for five seconds at most.
    ///
    /// Trouble with the collector does not end it and holds nothing up: what cannot be delivered is counted and
    /// forgotten.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { mut spans, outlet } = self;
        let mut shutdown = pin!(shutdown);
        let mut batch = Vec::with_capacity(BATCH);
        let every = outlet.options.every;
        let mut due = interval_at(Instant::now() + every, every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let work = async {
                tokio::select! {
                    _ = due.tick() => outlet.send_metrics().await,
                    () = gather(&mut spans, &mut batch) => outlet.send_spans(&mut batch).await,
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = work => {}
            }
        }
        let last_words = async {
            spans.close();
            outlet.send_spans(&mut batch).await;
            while let Ok(span) = spans.try_recv() {
                batch.push(span);
                if batch.len() == BATCH {
                    outlet.send_spans(&mut batch).await;
                }
            }
            outlet.send_spans(&mut batch).await;
            outlet.send_metrics().await;
        };
        let _ = timeout(LAST_WORDS, last_words).await;
    }
}

impl Outlet {
    /// Sends the batch and empties it. Cut off while it waits for the answer, it keeps the batch.
    async fn send_spans(&self, batch: &mut Vec<Span>) {
        if batch.is_empty() {
            return;
        }
        let body = encode::spans(batch, &self.options.service, &self.release);
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.send(&self.options.traces, body, &self.of_spans, count).await;
        batch.clear();
    }

    async fn send_metrics(&self) {
        let snapshot = self.metrics.snapshot();
        let count = u64::try_from(snapshot.len()).unwrap_or(u64::MAX);
        let (service, release) = (&self.options.service, &self.release);
        let body = encode::metrics(&snapshot, service, release, self.since, self.clock.now());
        self.send(&self.options.metrics, body, &self.of_metrics, count).await;
    }

    async fn send(&self, to: &Uri, body: Bytes, tally: &Tally, count: u64) {
        match self.post.send(to, &self.options.headers, body).await {
            Ok(()) => tally.sent.add(count),
            Err(error) => {
                tally.failed.add(count);
                tracing::warn!(error = causes(&error), to = to.path(), count, "the collector was not told");
            }
        }
    }
}

/// Waits for a first span and a moment for others. Dropping the future loses nothing.
async fn gather(spans: &mut Receiver<Span>, batch: &mut Vec<Span>) {
    if batch.is_empty() && spans.recv_many(batch, BATCH).await == 0 {
        // Nobody can send any more: there is nothing left to do but metrics.
        std::future::pending::<()>().await;
    }
    let more =
        async { while batch.len() < BATCH && spans.recv_many(batch, BATCH - batch.len()).await > 0 {} };
    let _ = timeout(GATHERING, more).await;
}
