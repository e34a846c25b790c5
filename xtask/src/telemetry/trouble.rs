//! A collector and a Sentry that never answer, or are not there, hold up no request; and reports of two workspaces at once
//! do not mix.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use http::Method;
use kernel_core::http::{Access, Call, Json, Route};
use kernel_core::telemetry::otlp::{self, OtlpOptions};
use kernel_core::telemetry::sentry::{self, SentryOptions};
use kernel_core::telemetry::{ErrorReporter, Report};
use kernel_core::testkit::{Client, Listener, Manner, TestKernel, config};
use kernel_core::{Config, Error, Pillar, WorkspaceId};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

use super::{STICKY_SCOPE, WAITING_REPORTER};
use crate::outcome::Outcome;
use crate::prove::Options;

/// By then every answer is there, whatever the listeners do.
const PATIENCE: Duration = Duration::from_secs(10);
const REQUESTS: usize = 400;

/// Waits until the listener has answered, as a reporter must not.
struct Waiting(String);

impl ErrorReporter for Waiting {
    fn report(&self, _: Report) {
        let Ok(mut stream) = TcpStream::connect(&self.0) else { return };
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.write_all(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.read(&mut [0; 1]);
    }
}

/// Hands reports on with the workspace of the one before.
struct Sticky<R> {
    to: R,
    before: Mutex<Option<WorkspaceId>>,
}

impl<R: ErrorReporter> ErrorReporter for Sticky<R> {
    fn report(&self, mut report: Report) {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *before, &mut report.workspace_id);
        self.to.report(report);
    }
}

pub(super) async fn endured(options: &Options) -> Result<Outcome> {
    let mut outcome = Outcome::new();
    let mut unharmed = 0;
    for manner in [Some(Manner::Silent), Some(Manner::Refusing(503)), None] {
        unharmed += answered(options, manner).await?;
    }
    let wanted = 3 * REQUESTS;
    outcome = outcome
        .value("deaf_listeners", 3)
        .value("answered", format!("{unharmed}/{wanted}"))
        .require(unharmed == wanted, "a listener that does not listen held requests up");
    let (reports, mixed) = mixed(options).await?;
    Ok(outcome
        .value("reports", reports)
        .value("mixed", mixed)
        .require(reports >= 4, "hardly anything was reported")
        .require(mixed == 0, "a report names another workspace than its request's"))
}

async fn broken((): (), _: Call, (): ()) -> Result<Json<()>, Error> {
    Err(Error::internal("it is broken"))
}

fn failing() -> Pillar {
    let route = Route::free(Method::GET, "/broken", "shop.broken.show", Access::Public, (), broken);
    Pillar::new("shop").routes([route])
}

/// How many requests are answered while the listeners behave so; they are gone without a manner.
async fn answered(options: &Options, manner: Option<Manner>) -> Result<usize> {
    let listener = Listener::start().await?;
    listener.behave(manner.unwrap_or_default());
    let (url, dsn) = match manner {
        Some(_) => (listener.url(), listener.dsn()),
        None => ("http://127.0.0.1:1".to_owned(), "http://key@127.0.0.1:1/1".to_owned()),
    };
    let mut config = config();
    config.http.quotas = kernel_core::http::Quotas::all(kernel_core::http::Quota::per_minute(50_000));
    let (spans, exporter) = otlp::exporter(OtlpOptions::new(&url, "shop")?, &config);
    let courier = reporter(&mut config, &dsn)?;
    if options.plants(WAITING_REPORTER) {
        let address = url.trim_start_matches("http://").to_owned();
        config.telemetry.reporter = Some(Arc::new(Waiting(address)));
    }
    let kernel = TestKernel::with(config, |app| app.with(failing())).await;
    let log = tracing_subscriber::registry().with(spans.layer());
    let (stop, stopped) = oneshot::channel::<()>();
    let traffic = async {
        let traffic = traffic(&kernel).with_subscriber(log);
        // On threads of its own, so that one that is held up shows and nothing else waits for it.
        let answered = traffic.await;
        drop(stop);
        answered
    };
    let told = async {
        let ended = async { drop(stopped.await) };
        tokio::select! { () = exporter.run(std::future::pending()) => {}, () = courier.run(std::future::pending()) => {}, () = ended => {} }
    };
    let (answered, ()) = tokio::join!(traffic, told);
    Ok(answered)
}

/// How many of the requests are answered within the time that a single one may be held up.
async fn traffic(kernel: &TestKernel) -> usize {
    let mut client = Client::new(&kernel.app);
    let mut answered = 0;
    let began = tokio::time::Instant::now();
    for number in 0..REQUESTS {
        let path = if number % 50 == 0 { "/api/v1/broken" } else { "/healthz" };
        let left = PATIENCE.saturating_sub(began.elapsed());
        if left.is_zero() {
            break;
        }
        let wanted = if number % 50 == 0 { 500 } else { 200 };
        if timeout(left, client.get(path)).await.is_ok_and(|answer| answer.status == wanted) {
            answered += 1;
        }
    }
    answered
}

fn reporter(config: &mut Config, dsn: &str) -> Result<sentry::SentryCourier> {
    let (reporter, courier) = sentry::reporter(SentryOptions::new(dsn)?, &config.telemetry.metrics);
    config.telemetry.reporter = Some(Arc::new(reporter));
    Ok(courier)
}

/// Reports that came of two workspaces that fail at once, and how many of them name another workspace than their request's.
async fn mixed(options: &Options) -> Result<(usize, usize)> {
    let server = Listener::start().await?;
    let mut config = config();
    let (reporter, courier) = sentry::reporter(SentryOptions::new(&server.dsn())?, &config.telemetry.metrics);
    config.telemetry.reporter = Some(if options.plants(STICKY_SCOPE) {
        Arc::new(Sticky { to: reporter, before: Mutex::default() })
    } else {
        Arc::new(reporter)
    });
    let crew = super::product::Crew::new(&mut config);
    let kernel = TestKernel::with(config, |app| crew.register(app)).await;
    let (mut one, first) = crate::founder::founder(&kernel, "one-firm").await?;
    let (mut other, second) = crate::founder::founder(&kernel, "other-firm").await?;
    let mut ids = BTreeMap::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let traffic = async {
        for _ in 0..2 {
            let (of_one, of_other) =
                tokio::join!(one.get("/api/v1/w/one-firm/broken"), other.get("/api/v1/w/other-firm/broken"));
            for (workspace, answer) in [(&first, of_one), (&second, of_other)] {
                let id = answer.headers.get("x-request-id").and_then(|id| id.to_str().ok());
                ids.insert(id.context("a request id")?.to_owned(), workspace);
            }
        }
        drop(stop);
        anyhow::Ok(())
    };
    let (sent, ()) = tokio::join!(traffic, courier.run(async { drop(stopped.await) }));
    sent?;
    let events: Vec<Value> = server.received().iter().filter_map(event).collect();
    let wrong = events.iter().filter(|event| {
        let workspace = event["tags"]["request_id"].as_str().and_then(|id| ids.get(id));
        workspace.map(|id| id.as_str()) != event["tags"]["workspace_id"].as_str()
    });
    Ok((events.len(), wrong.count()))
}

/// The third line of an envelope.
fn event(received: &kernel_core::testkit::Received) -> Option<Value> {
    let text = std::str::from_utf8(&received.body).ok()?;
    serde_json::from_str(text.lines().nth(2)?).ok()
}
