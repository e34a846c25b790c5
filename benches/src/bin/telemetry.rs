//! What watching costs: a request through the whole chain with nobody listening, with its lines written, and with its
//! spans sent as well; beside it a handler behind tower-http's trace with the same kind of subscriber.
//!
//! No database is in it, and of the network only the exporter's part, so that what is compared is not lost in what is not.

use std::io::sink;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use benches::cpu;
use benches::ratio::{Ratio, median};
use bytes::Bytes;
use http::{HeaderName, Method, Request};
use kernel_core::http::{Access, Call, Json as KernelJson, Reply, Route};
use kernel_core::telemetry::log;
use kernel_core::telemetry::metric::{Labels, Metrics};
use kernel_core::telemetry::otlp::{self, OtlpOptions};
use kernel_core::testkit::{Listener, TestKernel, config};
use kernel_core::{App, Error, Pillar};
use tower::ServiceExt;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level};
use tracing_subscriber::layer::SubscriberExt;
use xtask::outcome::Outcome;

/// Lines and metrics together may cost so many times what tower-http's trace costs with the subscriber's own lines, which
/// say less. In microseconds it depends on the machine.
const GOAL: f64 = 1.25;

/// One way to serve, and what it has spent on a request, block by block, in microseconds.
struct Way {
    what: What,
    dispatch: Dispatch,
    spent: Vec<f64>,
}

enum What {
    Kernel(App),
    Plain(Router),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let short = std::env::args().any(|argument| argument == "--short");
    let (blocks, requests) = if short { (12, 5_000) } else { (60, 20_000) };
    Ok(measure(blocks, requests).await?.report("telemetry"))
}

async fn hello((): (), _: Call, (): ()) -> Result<KernelJson<&'static str>, Error> {
    Ok(KernelJson("hello"))
}

#[expect(clippy::disallowed_methods, reason = "a host program owns its tasks")]
async fn measure(blocks: usize, requests: u32) -> Result<Outcome> {
    let collector = Listener::start().await?;
    let mut config = config();
    for quota in [&mut config.http.quotas.address, &mut config.http.quotas.anonymous] {
        // Counted like any other, and never spent.
        quota.requests = NonZeroU32::MAX;
        quota.window = Duration::from_millis(u64::from(u32::MAX));
    }
    let redaction = config.telemetry.redaction.clone();
    let (spans, exporter) = otlp::exporter(OtlpOptions::new(&collector.url(), "bench")?, &config);
    let sending = tokio::spawn(exporter.run(std::future::pending()));
    let route = || Route::free(Method::GET, "/hello", "bench.hello", Access::Public, (), hello);
    let kernel = TestKernel::with(config, |app| app.with(Pillar::new("bench").routes([route()]))).await;

    let lines = || tracing_subscriber::registry().with(LevelFilter::INFO).with(log::json(&redaction, sink));
    let plain = || tracing_subscriber::fmt().json().with_max_level(Level::INFO).with_writer(sink).finish();
    let of = |what, dispatch| Way { what, dispatch, spent: Vec::new() };
    let ours = || What::Kernel(kernel.app.clone());
    let mut ways = [
        of(ours(), Dispatch::new(NoSubscriber::default())),
        of(ours(), Dispatch::new(lines())),
        of(ours(), Dispatch::new(lines().with(spans.layer()))),
        of(What::Plain(router(false)), Dispatch::new(NoSubscriber::default())),
        of(What::Plain(router(true)), Dispatch::new(plain())),
    ];
    for block in 0..blocks + 2 {
        for turn in 0..ways.len() {
            // Whoever goes first changes from block to block.
            let which = (turn + block) % ways.len();
            let each = ways[which].serve(requests).await?;
            if block >= 2 {
                ways[which].spent.push(each);
            }
        }
    }
    sending.abort();
    let (text, dropped) =
        (kernel.app.metrics().text(), "kernel_export_total{signal=\"spans\",outcome=\"dropped\"} ");
    let dropped = text.lines().find_map(|line| line.strip_prefix(dropped)).unwrap_or("?").to_owned();

    let [silent, logged, sent, floor, peer] = ways.map(|way| way.spent);
    let metrics = metrics();
    let more = |with: &[f64], without: &[f64]| -> Vec<f64> {
        with.iter().zip(without).map(|(with, without)| with - without).collect()
    };
    let (lines, theirs) = (more(&logged, &silent), more(&peer, &floor));
    let ours: Vec<_> = lines.iter().map(|lines| lines + metrics).collect();
    let ratio = Ratio::between(&ours, &theirs);
    let micros = |value: f64| format!("{value:.2}µs");
    Ok(Outcome::new()
        .value("blocks", blocks)
        .value("requests", requests)
        .value("chain", micros(median(&silent)))
        .value("lines", micros(median(&lines)))
        .value("spans", micros(median(&more(&sent, &logged))))
        .value("spans_dropped", dropped)
        .value("metrics", micros(metrics))
        .value("cost", micros(median(&ours)))
        .value("tower_http", micros(median(&theirs)))
        .value("ratio", ratio)
        .require(!ratio.misses(GOAL), format!("{ratio} times what tower-http's trace costs, goal {GOAL}")))
}

fn router(layers: bool) -> Router {
    let router = Router::new().route("/hello", get(async || Json("hello")));
    if !layers {
        return router;
    }
    let id = HeaderName::from_static("x-request-id");
    let trace = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    router
        .layer(PropagateRequestIdLayer::new(id.clone()))
        .layer(trace)
        .layer(SetRequestIdLayer::new(id, MakeRequestUuid))
}

impl Way {
    /// The processor time of one request, in microseconds.
    async fn serve(&self, requests: u32) -> Result<f64> {
        let _listening = tracing::dispatcher::set_default(&self.dispatch);
        let before = cpu::of_process(std::process::id())?;
        for number in 0..requests {
            if number % 256 == 0 {
                // As a server would: the exporter has its turn before its queue is full.
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
            let status = match &self.what {
                What::Kernel(app) => {
                    let (head, body) = Request::get("/api/v1/hello").body(Bytes::new())?.into_parts();
                    let to = app.find(&head);
                    let request = Request::from_parts(head, body);
                    match app.call(to, request, IpAddr::V4(Ipv4Addr::LOCALHOST)).await {
                        Reply::Full(response) => response.status(),
                        _ => http::StatusCode::NOT_IMPLEMENTED,
                    }
                }
                What::Plain(router) => {
                    let request = Request::get("/hello").body(Body::empty())?;
                    router.clone().oneshot(request).await?.status()
                }
            };
            ensure!(status == 200, "a request was answered {status}");
        }
        let spent = cpu::since(before, cpu::of_process(std::process::id())?)?;
        Ok(spent.as_secs_f64() * 1e6 / f64::from(requests))
    }
}

/// What the chain counts of a request: that it is under way and no longer, its end and how long it took.
fn metrics() -> f64 {
    let metrics = Metrics::new();
    let under_way = metrics.gauge("bench_under_way", "Requests under way.", Labels::none()).of([]);
    let ended = metrics.counter("bench_requests_total", "Requests.", Labels::none()).of([]);
    let bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let seconds = metrics.histogram("bench_seconds", "How long they took.", Labels::none(), &bounds).of([]);
    let times = 1_000_000;
    let began = Instant::now();
    for _ in 0..times {
        let since = Instant::now();
        under_way.add(1.0);
        ended.add(1);
        seconds.record_duration(since.elapsed());
        under_way.add(-1.0);
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}
