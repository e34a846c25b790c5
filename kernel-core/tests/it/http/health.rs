//! What an orchestrator and a load balancer are told.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::poll;
use http::Request;
use kernel_core::health::HealthCheck;
use kernel_core::http::{Environment, Quota, Quotas};
use kernel_core::testkit::{Client, TestKernel, config};
use kernel_core::{AppBuilder, Clock, Ctx, Db, Error, Pillar};
use serde_json::Value;

/// A dependency that can be switched off, and that counts who asks for it.
#[derive(Clone, Default)]
struct Kitchen {
    closed: Arc<AtomicBool>,
    stuck: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
}

#[async_trait::async_trait]
impl HealthCheck for Kitchen {
    async fn check(&self, _: &Ctx, _: &Db) -> Result<(), Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.stuck.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.closed.load(Ordering::SeqCst) { Err(Error::internal("the cook is asleep")) } else { Ok(()) }
    }
}

async fn open() -> (TestKernel, Kitchen) {
    let kitchen = Kitchen::default();
    let check = kitchen.clone();
    let kernel =
        TestKernel::start(move |app| app.with(Pillar::new("kitchen").health_check("kitchen", check.clone())));
    (kernel.await, kitchen)
}

async fn told(kernel: &TestKernel, path: &str) -> (u16, String) {
    let response = Client::new(&kernel.app).get(path).await;
    (response.status, response.text())
}

#[tokio::test]
async fn ready_asks_every_check_and_alive_asks_none() {
    let (kernel, kitchen) = open().await;
    assert_eq!(told(&kernel, "/readyz").await, (200, r#"{"status":"ready"}"#.to_owned()));
    kitchen.closed.store(true, Ordering::SeqCst);
    kernel.clock.advance(TimeDelta::seconds(2));
    let (status, text) = told(&kernel, "/readyz").await;
    assert_eq!(status, 503);
    assert!(!text.contains("kitchen") && !text.contains("asleep"), "what is missing is for the log: {text}");
    kitchen.closed.store(false, Ordering::SeqCst);
    kernel.clock.advance(TimeDelta::seconds(2));
    assert_eq!(told(&kernel, "/readyz").await.0, 200);

    kernel.app.db().close().await;
    kernel.clock.advance(TimeDelta::seconds(2));
    assert_eq!(told(&kernel, "/readyz").await.0, 503, "without its database");
    assert_eq!(told(&kernel, "/healthz").await, (200, r#"{"status":"alive"}"#.to_owned()));
}

#[tokio::test]
async fn many_probes_at_once_are_one_check_a_second() {
    let (kernel, kitchen) = open().await;
    let all = futures_util::future::join_all((0..50).map(|_| told(&kernel, "/readyz"))).await;
    assert!(all.iter().all(|(status, _)| *status == 200));
    assert_eq!(kitchen.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_check_that_hangs_fails_in_time() {
    let (kernel, kitchen) = open().await;
    kitchen.stuck.store(true, Ordering::SeqCst);
    let answer = tokio::time::timeout(Duration::from_secs(10), told(&kernel, "/readyz")).await;
    assert_eq!(answer.unwrap().0, 503);
}

#[tokio::test]
async fn those_who_wait_for_a_check_that_hangs_get_its_answer() {
    let mut config = config();
    config.clock = Clock::system();
    let kitchen = Kitchen::default();
    kitchen.stuck.store(true, Ordering::SeqCst);
    let check = kitchen.clone();
    let with = move |app: AppBuilder| app.with(Pillar::new("kitchen").health_check("kitchen", check.clone()));
    let kernel = TestKernel::with(config, with).await;
    let all = futures_util::future::join_all((0..20).map(|_| told(&kernel, "/readyz"))).await;
    assert!(all.iter().all(|(status, _)| *status == 503));
    assert_eq!(kitchen.asked.load(Ordering::SeqCst), 1, "each would take as long as it may");
}

/// A check that breaks.
struct Broken;

#[async_trait::async_trait]
impl HealthCheck for Broken {
    async fn check(&self, _: &Ctx, _: &Db) -> Result<(), Error> {
        panic!("the oven has exploded")
    }
}

#[tokio::test]
async fn a_check_that_panics_has_failed_and_takes_nobody_with_it() {
    let with = |app: AppBuilder| app.with(Pillar::new("kitchen").health_check("oven", Broken));
    let kernel = TestKernel::start(with).await;
    assert_eq!(told(&kernel, "/readyz").await.0, 503);
    let (status, health) = detail(&kernel).await;
    assert_eq!((status, &health["checks"]["oven"]["message"]), (503, &"it panicked".into()));
    let (head, ()) = Request::get("/metrics").body(()).unwrap().into_parts();
    assert_eq!(kernel.app.scrape(&head).await.status(), 200);
}

#[tokio::test]
async fn a_process_that_is_about_to_stop_is_alive_and_not_ready() {
    let (kernel, _) = open().await;
    kernel.app.shutdown().begin();
    assert_eq!(told(&kernel, "/readyz").await.0, 503);
    assert_eq!(told(&kernel, "/healthz").await.0, 200);
}

/// What operators are told, on the listener that is theirs.
async fn detail(kernel: &TestKernel) -> (u16, Value) {
    let (head, ()) = Request::get("/health").body(()).unwrap().into_parts();
    let answer = kernel.app.scrape(&head).await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

#[tokio::test]
async fn operators_are_told_what_is_wrong_and_since_when_which_version_runs() {
    let (kernel, kitchen) = open().await;
    kernel.clock.advance(TimeDelta::seconds(90));
    let (status, told_first) = detail(&kernel).await;
    assert_eq!((status, &told_first["status"]), (200, &"healthy".into()), "{told_first}");
    assert_eq!((&told_first["version"], &told_first["uptime_seconds"]), (&"unknown".into(), &90.into()));
    let checks = &told_first["checks"];
    for name in ["database", "kitchen"] {
        let latency = checks[name]["latency_ms"].as_f64();
        assert!(checks[name]["status"] == "healthy" && latency.is_some_and(|ms| ms < 2000.0), "{checks}");
        assert!(checks[name].get("message").is_none(), "{checks}");
    }
    if cfg!(target_os = "linux") {
        assert!(checks["memory"]["message"].as_str().unwrap().ends_with(" MiB"), "{checks}");
    }

    kitchen.closed.store(true, Ordering::SeqCst);
    let (status, _) = detail(&kernel).await;
    assert_eq!((status, kitchen.asked.load(Ordering::SeqCst)), (200, 1), "an answer stands for a second");
    kernel.clock.advance(TimeDelta::seconds(2));
    let (status, now) = detail(&kernel).await;
    assert_eq!((status, &now["status"]), (503, &"unhealthy".into()));
    assert_eq!(now["checks"]["kitchen"]["message"], "internal: the cook is asleep");
    assert_eq!(now["checks"]["database"]["status"], "healthy");

    kernel.app.db().close().await;
    kernel.clock.advance(TimeDelta::seconds(2));
    let (status, now) = detail(&kernel).await;
    assert_eq!((status, &now["checks"]["database"]["status"]), (503, &"unhealthy".into()));
}

#[tokio::test]
async fn a_process_that_is_about_to_stop_is_no_reason_to_call_it_unhealthy() {
    let (kernel, _) = open().await;
    kernel.app.shutdown().begin();
    let (status, told) = detail(&kernel).await;
    assert_eq!((status, &told["status"]), (200, &"warning".into()));
    assert_eq!(told["checks"]["shutdown"]["message"], "the process is about to stop");
}

#[tokio::test]
async fn a_process_that_people_depend_on_gives_notice_before_it_stops() {
    let of = async |environment| {
        let mut config = config();
        config.http.environment = environment;
        TestKernel::with(config, |app| app).await
    };
    let kernel = of(Environment::Production).await;
    let mut leaving = pin!(kernel.app.leave(ready(())));
    assert!(poll!(leaving.as_mut()).is_pending());
    assert_eq!(told(&kernel, "/readyz").await.0, 503);
    assert!(!kernel.app.shutdown().has_begun(), "streams and sockets go on");
    kernel.app.shutdown().begin();
    leaving.await;

    let kernel = of(Environment::Development).await;
    let left = tokio::time::timeout(Duration::from_secs(2), kernel.app.leave(ready(()))).await;
    assert!(left.is_ok(), "nobody waits for a load balancer that there is not");
}

#[tokio::test]
async fn metrics_tell_whether_the_process_takes_requests() {
    let (kernel, kitchen) = open().await;
    let ready = || {
        let text = kernel.app.metrics().text();
        text.lines().find_map(|line| line.strip_prefix("kernel_ready ").map(str::to_owned))
    };
    let scrape = async || {
        let (head, ()) = Request::get("/metrics").body(()).unwrap().into_parts();
        kernel.app.scrape(&head).await;
        ready()
    };
    assert_eq!(ready(), None, "nobody has asked");
    told(&kernel, "/readyz").await;
    assert_eq!(ready().as_deref(), Some("1"));
    kitchen.closed.store(true, Ordering::SeqCst);
    kernel.clock.advance(TimeDelta::seconds(2));
    assert_eq!(scrape().await.as_deref(), Some("0"), "whoever asks for metrics needs no probe");
    kitchen.closed.store(false, Ordering::SeqCst);
    kernel.clock.advance(TimeDelta::seconds(2));
    assert_eq!(scrape().await.as_deref(), Some("1"));
    kernel.app.shutdown().begin();
    assert_eq!(ready().as_deref(), Some("0"));
}

#[tokio::test]
async fn a_check_has_a_name_of_its_own() {
    let check = || Pillar::new("kitchen").health_check("database", Kitchen::default());
    let problems = TestKernel::try_with(config(), |app| app.with(check())).await.unwrap_err();
    assert!(problems.to_string().contains("the health check database is declared twice"), "{problems}");
}

#[tokio::test]
async fn clients_that_have_spent_their_quota_do_not_make_probes_fail() {
    let mut config = config();
    config.http.quotas = Quotas::all(Quota::per_minute(2));
    config.http.quotas.probe = Quota::per_minute(4);
    let kernel = TestKernel::with(config, |app| app).await;
    for status in [404, 404, 429] {
        assert_eq!(told(&kernel, "/nowhere").await.0, status);
    }
    for status in [200, 200, 200, 200, 429] {
        assert_eq!(told(&kernel, "/healthz").await.0, status);
    }
}
