//! Reports of errors to Sentry, or to whatever speaks its protocol.
//!
//! There is no hub and no scope: each report is put together from what it says itself, so nothing of another workspace
//! can stick to it. There are no traces in it, only the name of the one that the report belongs to.
//!
//! ```no_run
//! # async fn start(dsn: &str, mut config: kernel_core::Config) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use kernel_core::telemetry::sentry::{self, SentryOptions};
//!
//! config.telemetry.release = "shop@1.4.0".to_owned();
//! let options = SentryOptions::new(dsn)?.environment("production");
//! let (reporter, courier) = sentry::reporter(options, &config.telemetry.metrics);
//! config.telemetry.reporter = Some(Arc::new(reporter));
//! // The host owns the task, and ends it after the server.
//! tokio::spawn(courier.run(std::future::pending()));
//! # Ok(()) }
//! ```

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Uri;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use sentry_types::protocol::v7::{
    Context, Envelope, Event, Exception, Level, SpanId, TraceContext, TraceId, Values,
};
use sentry_types::{Dsn, ParseDsnError};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, timeout_at};

use super::delivery::{Post, Tally};
use super::metric::Metrics;
use super::report::{ErrorReporter, Incident, Report};

/// How many reports wait to be sent.
const BACKLOG: usize = 256;
/// How long a shutdown waits for the last of them.
const LAST_WORDS: Duration = Duration::from_secs(5);
const AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");

/// To which project of which Sentry, and as what.
#[derive(Debug, Clone)]
pub struct SentryOptions {
    address: Uri,
    auth: HeaderValue,
    environment: Option<String>,
}

/// A DSN that is none. It does not show the text, which holds a key.
#[derive(Debug, thiserror::Error)]
#[error("it is no DSN of the form https://key@host/project")]
pub struct UnusableDsn;

impl From<ParseDsnError> for UnusableDsn {
    fn from(_: ParseDsnError) -> Self {
        Self
    }
}

impl SentryOptions {
    /// The project of this DSN.
    ///
    /// # Errors
    /// [`UnusableDsn`].
    pub fn new(dsn: &str) -> Result<Self, UnusableDsn> {
        let dsn: Dsn = dsn.parse()?;
        let address = dsn.envelope_api_url().as_str().parse().map_err(|_| UnusableDsn)?;
        let client = concat!("kernel/", env!("CARGO_PKG_VERSION"));
        let mut auth =
            HeaderValue::try_from(dsn.to_auth(Some(client)).to_string()).map_err(|_| UnusableDsn)?;
        auth.set_sensitive(true);
        Ok(Self { address, auth, environment: None })
    }

    /// Where the product runs: `production`.
    #[must_use]
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.environment = Some(environment.into());
        self
    }
}

/// Hands reports to a [`SentryCourier`] and never waits.
#[derive(Debug, Clone)]
pub struct SentryReporter {
    queue: Sender<Report>,
    tally: Tally,
}

/// Sends what a [`SentryReporter`] has handed over. The host runs it.
#[derive(Debug)]
pub struct SentryCourier {
    queue: Receiver<Report>,
    options: SentryOptions,
    post: Post,
    tally: Tally,
    /// Sentry asked to be left alone until then.
    quiet_until: Option<Instant>,
}

/// Both ends of the way to Sentry.
#[must_use]
pub fn reporter(options: SentryOptions, metrics: &Metrics) -> (SentryReporter, SentryCourier) {
    let (sender, queue) = mpsc::channel(BACKLOG);
    let tally = Tally::new(metrics, "reports");
    let courier =
        SentryCourier { queue, options, post: Post::new(), tally: tally.clone(), quiet_until: None };
    (SentryReporter { queue: sender, tally }, courier)
}

impl ErrorReporter for SentryReporter {
    fn report(&self, report: Report) {
        if self.queue.try_send(report).is_err() {
            self.tally.dropped.add(1);
        }
    }
}

impl SentryCourier {
    /// Sends reports until `shutdown` is ready, then those that wait, for five seconds at most.
    ///
    /// Trouble with Sentry does not end it: a report that cannot be delivered is counted and forgotten, and after an
    /// answer of 429 those of the time that it names are dropped.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        let deadline = loop {
            let report = tokio::select! {
                biased;
                () = &mut shutdown => break Instant::now() + LAST_WORDS,
                report = self.queue.recv() => report,
            };
            let Some(report) = report else { return };
            let mut sending = pin!(self.send(&report));
            tokio::select! {
                () = &mut sending => {}
                () = &mut shutdown => {
                    // It goes on: cut off, it would have to be sent a second time.
                    let deadline = Instant::now() + LAST_WORDS;
                    let _ = timeout_at(deadline, sending).await;
                    break deadline;
                }
            }
        };
        self.queue.close();
        let last_words = async {
            while let Ok(report) = self.queue.try_recv() {
                self.send(&report).await;
            }
        };
        // Whoever hangs has had its time.
        let _ = timeout_at(deadline, last_words).await;
    }

    async fn send(&mut self, report: &Report) {
        if self.quiet_until.is_some_and(|until| Instant::now() < until) {
            self.tally.dropped.add(1);
            return;
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-sentry-envelope"));
        headers.insert(AUTH, self.options.auth.clone());
        let mut body = Vec::new();
        let written = Envelope::from(event(report, &self.options)).to_writer(&mut body);
        let sent = match written {
            Ok(()) => self.post.send(&self.options.address, &headers, Bytes::from(body)).await,
            Err(error) => {
                tracing::warn!(%error, "a report of an error cannot be written");
                self.tally.failed.add(1);
                return;
            }
        };
        match sent {
            Ok(()) => self.tally.sent.add(1),
            Err(error) => {
                self.tally.failed.add(1);
                self.quiet_until = error.pause().map(|pause| Instant::now() + pause);
                tracing::warn!(error = crate::causes(&error), "a report of an error was not delivered");
            }
        }
    }
}

fn event(report: &Report, options: &SentryOptions) -> Event<'static> {
    let request_id = report.request_id.to_string();
    let mut tags = BTreeMap::from([
        ("code".to_owned(), report.code.clone()),
        ("incident".to_owned(), report.incident.name().to_owned()),
        ("request_id".to_owned(), request_id),
    ]);
    tags.extend(report.workspace_id.map(|id| ("workspace_id".to_owned(), id.to_string())));
    let mut contexts = BTreeMap::new();
    if let Some(trace) = &report.trace {
        tags.insert("trace_id".to_owned(), trace.trace_hex());
        let context = TraceContext {
            trace_id: TraceId::from(trace.trace_id().into_bytes()),
            span_id: SpanId::from(trace.span_bytes()),
            ..TraceContext::default()
        };
        contexts.insert("trace".to_owned(), Context::Trace(Box::new(context)));
    }
    let mut extra = BTreeMap::new();
    if report.held_back > 0 {
        extra.insert("held_back".to_owned(), report.held_back.into());
    }
    let exception =
        Exception { ty: report.code.clone(), value: Some(report.message.clone()), ..Exception::default() };
    Event {
        event_id: event_id(report),
        level: if report.incident == Incident::Panic { Level::Fatal } else { Level::Error },
        fingerprint: vec![report.code.clone().into(), report.place.clone().into()].into(),
        transaction: Some(report.place.clone()),
        exception: Values::from(vec![exception]),
        timestamp: SystemTime::from(report.at),
        environment: options.environment.clone().map(Into::into),
        release: Some(report.release.clone().into()),
        tags,
        contexts,
        extra,
        ..Event::default()
    }
}

/// The same for the same report, so that one that arrives twice counts once.
fn event_id(report: &Report) -> uuid::Uuid {
    let name =
        format!("{} {} {} {}", report.request_id, report.place, report.code, report.at.timestamp_micros());
    let hash = crate::secret::sha256(name.as_bytes());
    uuid::Uuid::from_bytes(*hash.first_chunk().expect("32 bytes begin with 16"))
}
