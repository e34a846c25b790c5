//! Traces and metrics, by a server that keeps what it is sent.
#![cfg(feature = "otlp")]

use std::time::{Duration, Instant};

use kernel_core::telemetry::otlp::{self, Exporter, OtlpOptions, Spans};
use kernel_core::testkit::{Listener, Manner};
use tokio::sync::oneshot;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

use super::super::ask::Ask;
use super::super::shop::Shop;

async fn shop_with(server: &str) -> (Shop, Spans, Exporter) {
    let options = OtlpOptions::new(server, "shop").unwrap().headers("x-key=s3cret").unwrap();
    let mut ends = None;
    let shop = Shop::configured(|config| {
        config.http.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        config.http.quotas.actor = kernel_core::http::Quota::per_minute(50_000);
        config.http.quotas.workspace = kernel_core::http::Quota::per_minute(50_000);
        "shop@7".clone_into(&mut config.telemetry.release);
        ends = Some(otlp::exporter(options, config));
    })
    .await;
    let (spans, exporter) = ends.unwrap();
    (shop, spans, exporter)
}

/// Does `work` while the exporter runs, and waits until it has said its last words.
async fn while_exporting<T>(spans: &Spans, exporter: Exporter, work: impl Future<Output = T>) -> T {
    let (running, stopped) = oneshot::channel::<()>();
    let log = tracing_subscriber::registry().with(spans.layer());
    let work = async {
        let done = work.with_subscriber(log).await;
        drop(running);
        done
    };
    tokio::join!(work, exporter.run(async { drop(stopped.await) })).0
}

#[tokio::test]
async fn a_request_is_a_span_with_its_transactions_below() {
    let server = Listener::start().await.unwrap();
    let (shop, spans, exporter) = shop_with(&server.url()).await;
    let work = async { (shop.send(Ask::item("bread")).await, shop.send(Ask::item("panic")).await) };
    let (bread, broken) = while_exporting(&spans, exporter, work).await;
    let seen = server.spans();
    let of = |id: &str| {
        let hex = id.trim_start_matches("req_").to_owned();
        seen.iter().filter(|span| span.trace_id == hex).cloned().collect::<Vec<_>>()
    };
    let trace = of(bread.header("x-request-id"));
    let request = trace.iter().find(|span| span.name == "POST /api/v1/w/{workspace}/items").unwrap();
    assert_eq!((request.parent_id.as_str(), request.failed), ("", false));
    assert!(request.nanos > 0);
    let attribute = |name: &str| request.attributes.get(name).map(String::as_str);
    assert_eq!(attribute("http.response.status_code"), Some("201"));
    assert_eq!(attribute("request_id"), Some(bread.header("x-request-id")));
    assert_eq!(attribute("workspace_id"), Some(shop.acme.id().to_string().as_str()));
    let below: Vec<_> = trace.iter().filter(|span| span.parent_id == request.span_id).collect();
    assert!(below.iter().any(|span| span.name == "transaction"), "{trace:?}");
    assert!(of(broken.header("x-request-id")).iter().any(|span| span.failed && span.parent_id.is_empty()));
    assert!(server.metric_names().iter().any(|name| name == "http_requests_total"));
    assert!(server.received().iter().all(|received| received.headers["x-key"] == "s3cret"));
    let holds = |body: &[u8], text: &str| body.windows(text.len()).any(|part| part == text.as_bytes());
    let of_version = |body: &[u8]| holds(body, "service.version") && holds(body, "shop@7");
    assert!(server.received().iter().all(|received| of_version(&received.body)), "spans and metrics say it");
}

#[tokio::test]
async fn a_trusted_proxys_trace_goes_on_and_a_strangers_does_not() {
    let server = Listener::start().await.unwrap();
    let (shop, spans, exporter) = shop_with(&server.url()).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let ask = || Ask::get("/").with("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    let work =
        async { (shop.send(ask().from("10.0.0.1")).await, shop.send(ask().from("203.0.113.1")).await) };
    while_exporting(&spans, exporter, work).await;
    let seen: Vec<_> = server.spans().into_iter().filter(|span| span.name == "GET /").collect();
    assert_eq!(seen.len(), 2);
    let joined: Vec<_> = seen.iter().filter(|span| span.trace_id == trace).collect();
    assert_eq!(joined.len(), 1);
    assert_eq!(joined[0].parent_id, "00f067aa0ba902b7");
    assert_eq!(joined[0].attributes["client.address"], "10.0.0.0/24");
}

#[tokio::test]
async fn a_collector_that_hangs_is_gone_or_refuses_changes_no_answer() {
    let server = Listener::start().await.unwrap();
    let gone = "http://127.0.0.1:1";
    for (url, manner) in [
        (server.url(), Manner::Silent),
        (server.url(), Manner::Refusing(503)),
        (gone.to_owned(), Manner::Accepting),
    ] {
        server.behave(manner);
        let (shop, spans, exporter) = shop_with(&url).await;
        let work = async {
            let began = Instant::now();
            for _ in 0..50 {
                assert_eq!(shop.send(Ask::get("/")).await.status, 200, "{manner:?}");
            }
            assert!(began.elapsed() < Duration::from_secs(5), "{manner:?}");
        };
        let began = Instant::now();
        while_exporting(&spans, exporter, work).await;
        assert!(
            began.elapsed() < Duration::from_secs(12),
            "{manner:?}: the last words take five seconds at most"
        );
        let text = shop.kernel.app.metrics().text();
        if manner != Manner::Silent {
            let failed =
                text.lines().find(|line| line.contains("signal=\"spans\",outcome=\"failed\"")).unwrap();
            assert!(!failed.ends_with(" 0"), "{manner:?}: {failed}");
        }
    }
}

#[tokio::test]
async fn spans_that_nobody_sends_are_dropped_and_counted() {
    let (shop, spans, exporter) = shop_with("http://127.0.0.1:1").await;
    let log = tracing_subscriber::registry().with(spans.layer());
    let work = async {
        for _ in 0..5000 {
            tracing::info_span!(target: "kernel_test", "request", trace_id = "0f", span_id = "0a");
        }
    };
    work.with_subscriber(log).await;
    let text = shop.kernel.app.metrics().text();
    assert!(text.contains("kernel_export_total{signal=\"spans\",outcome=\"dropped\"} 904\n"), "{text}");
    drop(exporter);
}

#[test]
fn an_address_or_a_header_that_is_none_is_refused_without_being_shown() {
    for address in ["", "s3cret", "localhost:4318", "ftp://s3cret", "http://"] {
        assert!(!OtlpOptions::new(address, "shop").unwrap_err().to_string().contains("s3cret"), "{address}");
    }
    let options = OtlpOptions::new("http://localhost:4318/", "shop").unwrap();
    assert!(options.clone().headers("s3cret").unwrap_err().to_string().contains("name=value"));
    let options = options.headers("x-key=s3cret, x-other = 2 ").unwrap();
    assert!(!format!("{options:?}").contains("s3cret"), "{options:?}");
}
