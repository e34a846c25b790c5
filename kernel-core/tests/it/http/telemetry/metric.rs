//! Metrics: what is counted, and that nobody makes new series.

use bytes::Bytes;
use http::{Method, Request, Response};
use kernel_core::http::{Access, Call, Reply, Route};
use kernel_core::testkit::{Client, TestKernel};
use kernel_core::{Error, Pillar};

use super::super::ask::Ask;
use super::super::shop::Shop;

/// The value of a series.
fn value(text: &str, series: &str) -> i64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in {text}")).parse().unwrap()
}

fn text(shop: &Shop) -> String {
    shop.kernel.app.metrics().text()
}

#[tokio::test]
async fn requests_are_counted_by_template_and_transactions_by_their_end() {
    let shop = Shop::open().await;
    let of = |scope, outcome| {
        format!("kernel_db_transactions_total{{login=\"app\",scope=\"{scope}\",outcome=\"{outcome}\"}}")
    };
    let (committed, undone) = (of("workspace", "committed"), of("workspace", "rolled_back"));
    let (before, undone_before) = (value(&text(&shop), &committed), value(&text(&shop), &undone));
    for name in ["bread", "milk", "bad", "panic"] {
        shop.send(Ask::item(name)).await;
    }
    shop.send(Ask::get("/nowhere")).await;
    let text = text(&shop);
    let route = "method=\"POST\",route=\"/api/v1/w/{workspace}/items\"";
    let requests = |class| value(&text, &format!("http_requests_total{{{route},status=\"{class}\"}}"));
    assert_eq!((requests("2xx"), requests("4xx"), requests("5xx")), (2, 1, 1));
    assert_eq!(value(&text, &format!("http_request_duration_seconds_count{{{route}}}")), 4);
    let other = "http_requests_total{method=\"other\",route=\"other\",status=\"4xx\"}";
    assert_eq!(value(&text, other), 1);
    let refused = |status| value(&text, &format!("http_requests_refused_total{{status=\"{status}\"}}"));
    let found = ["409", "404", "500", "401", "other"].map(refused);
    assert_eq!(found, [1, 1, 1, 0, 0], "{text}");
    assert_eq!(value(&text, "http_requests_in_flight"), 0);
    assert_eq!(value(&text, &committed) - before, 2);
    assert_eq!(value(&text, &undone) - undone_before, 2);
    assert_eq!(value(&text, "kernel_db_transactions_opening{login=\"app\"}"), 0);
    assert!(value(&text, "kernel_db_connections_max{login=\"app\"}") > 0);
    assert!(!text.contains("acme") && !text.contains(&shop.acme.id().to_string()), "{text}");
}

#[tokio::test]
async fn a_refusal_with_a_status_of_the_hosts_own_counts_as_other() {
    async fn brew((): (), _: Call, (): ()) -> Result<Reply, Error> {
        Ok(Reply::Full(Response::builder().status(418).body(Bytes::new()).unwrap()))
    }
    let route = || Route::free(Method::GET, "/brew", "pot.brew", Access::Public, (), brew);
    let kernel = TestKernel::start(|app| app.with(Pillar::new("pot").routes([route()]))).await;
    assert_eq!(Client::new(&kernel.app).get("/api/v1/brew").await.status, 418);
    assert_eq!(value(&kernel.app.metrics().text(), "http_requests_refused_total{status=\"other\"}"), 1);
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_and_its_transaction_with_it() {
    let shop = Shop::open().await;
    let before = value(&text(&shop), "http_requests_abandoned_total");
    let meanwhile = async {
        shop.town.entered.notified().await;
        value(&text(&shop), "http_requests_in_flight")
    };
    tokio::select! {
        _ = shop.send(Ask::item("slow")) => panic!("nobody lets it go on"),
        under_way = meanwhile => assert_eq!(under_way, 1),
    }
    let text = text(&shop);
    assert_eq!(value(&text, "http_requests_abandoned_total") - before, 1);
    assert_eq!(value(&text, "http_requests_in_flight"), 0);
    let dropped = "kernel_db_transactions_total{login=\"app\",scope=\"workspace\",outcome=\"dropped\"}";
    assert_eq!(value(&text, dropped), 1);
}

#[tokio::test]
async fn transactions_that_are_run_again_and_refusals_are_counted() {
    let shop = Shop::with(|http| http.quotas.actor = kernel_core::http::Quota::per_minute(2)).await;
    assert_eq!(shop.send(Ask::item("contended")).await.status, 201);
    shop.send(Ask::item("b")).await;
    assert_eq!(shop.send(Ask::item("c")).await.status, 429);
    let text = text(&shop);
    assert_eq!(value(&text, "kernel_db_reruns_total"), 2);
    assert_eq!(value(&text, "kernel_limit_refused_total{quota=\"actor\"}"), 1);
}

#[tokio::test]
async fn the_version_that_runs_and_its_start_are_shown() {
    let shop = Shop::configured(|config| "shop@1.4.0".clone_into(&mut config.telemetry.release)).await;
    shop.kernel.clock.advance(chrono::TimeDelta::hours(1));
    let text = text(&shop);
    let kernel = env!("CARGO_PKG_VERSION");
    assert_eq!(value(&text, &format!("kernel_build_info{{version=\"shop@1.4.0\",kernel=\"{kernel}\"}}")), 1);
    let running = shop.kernel.clock.now().timestamp() - value(&text, "process_start_time_seconds");
    assert_eq!(running, 3600);
}

#[tokio::test]
async fn strangers_make_no_series() {
    let shop = Shop::open().await;
    let series = || text(&shop).lines().count();
    let before = series();
    for number in 0..300 {
        let ask = Ask::new(&format!("M{number}"), &format!("/api/v1/w/ws{number}/items/{number}"));
        shop.send(ask.from(&format!("198.51.100.{}", number % 256)).with("traceparent", "x")).await;
    }
    assert_eq!(series(), before);
}

#[tokio::test]
async fn metrics_are_on_no_route_and_answer_who_is_let_to_them() {
    let shop = Shop::open().await;
    assert_eq!(shop.send(Ask::get("/metrics")).await.status, 404);
    let scrape = async |method: &str, path: &str| {
        let (head, ()) = Request::builder().method(method).uri(path).body(()).unwrap().into_parts();
        shop.kernel.app.scrape(&head).await
    };
    let answer = scrape("GET", "/metrics").await;
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(answer.body().starts_with(b"# HELP "));
    assert!(scrape("HEAD", "/metrics").await.body().is_empty());
    assert_eq!(scrape("POST", "/metrics").await.status().as_u16(), 405);
    assert_eq!(scrape("GET", "/").await.status().as_u16(), 404);
}
