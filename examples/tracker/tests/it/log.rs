use kernel_core::Role;
use kernel_core::http::Environment;
use kernel_core::testkit::{TestKernel, config};
use tracing_subscriber::layer::SubscriberExt;
use tracker::{RequestLog, Settings, Tracker};

use crate::browser::Browser;
use crate::{expect, join, signed_up, with_workspace};

async fn start(log: &RequestLog, environment: Environment) -> TestKernel {
    let settings = Settings { log: Some(log.clone()), environment, ..Settings::default() };
    let tracker = Tracker::new(&settings);
    let mut config = config();
    tracker.configure(&mut config);
    TestKernel::with(config, |builder| tracker.register(builder)).await
}

#[tokio::test]
async fn where_people_develop_an_owner_reads_the_lines_of_a_request() {
    let log = RequestLog::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(log.layer()));
    let kernel = start(&log, Environment::Development).await;
    let mut ada = Browser(with_workspace(&kernel, "Ada", "acme").await);
    let missing = "/w/acme/projects/proj_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f";
    let answer = ada.get(missing).await;
    let request = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    let at = format!("/w/acme/requests/{request}");
    assert!(Browser::whole(&answer, 404).contains(&format!("href=\"{at}\"")));
    let page = Browser::whole(&ada.get(&at).await, 200);
    assert!(page.contains("kernel::access") && page.contains("status=404"), "{page}");
    assert!(Browser::whole(&ada.get("/w/acme/requests/req_1").await, 200).contains("No lines are kept"));

    // An admin is no owner, and another tenant's owner sees nothing of it.
    let workspace = expect(200, ada.0.get("/api/v1/w/acme/workspace").await);
    let mut bob = signed_up(&kernel, "Bob").await;
    join(&kernel, &workspace, &mut bob, Role::Admin).await;
    Browser::whole(&Browser(bob).get(&at).await, 403);
    let mut eve = Browser(with_workspace(&kernel, "Eve", "evil").await);
    Browser::whole(&eve.get(&at).await, 404);
    let page = Browser::whole(&eve.get(&format!("/w/evil/requests/{request}")).await, 200);
    assert!(page.contains("No lines are kept"));
}

#[tokio::test]
async fn production_keeps_no_lines_to_look_at() {
    let log = RequestLog::default();
    let kernel = start(&log, Environment::Production).await;
    let mut ada = Browser(with_workspace(&kernel, "Ada", "acme").await);
    let answer = ada.get("/w/acme/nothing").await;
    let request = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    assert!(!Browser::whole(&answer, 404).contains("/requests/"));
    Browser::whole(&ada.get(&format!("/w/acme/requests/{request}")).await, 404);
}
