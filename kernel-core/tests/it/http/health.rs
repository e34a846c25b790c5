//! What an orchestrator and a load balancer are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use kernel_core::health::HealthCheck;
use kernel_core::http::{Quota, Quotas};
use kernel_core::testkit::{Client, TestKernel, config};
use kernel_core::{Ctx, Db, Error, Pillar};

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
async fn a_process_that_is_about_to_stop_is_alive_and_not_ready() {
    let (kernel, _) = open().await;
    kernel.app.shutdown().begin();
    assert_eq!(told(&kernel, "/readyz").await.0, 503);
    assert_eq!(told(&kernel, "/healthz").await.0, 200);
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
