//! The tracker on a real database, called in memory.
#![expect(clippy::unwrap_used, reason = "what a test arranges may fail like the test itself")]

mod activity;
mod api;
mod brand;
mod browser;
mod comment;
mod import;
mod jump;
mod label;
mod language;
mod log;
mod options;
mod page;
mod search;
mod seed;

use http::Method;
use kernel_core::http::Quota;
use kernel_core::testkit::{Answer, Client, TestKernel, config};
use kernel_core::{Role, TenantTx};
use kernel_jobs::{Runner, RunnerConfig};
use serde_json::{Value, json};
use tracker::{Settings, Tracker};

/// The tracker on a database of its own. The clock stands still, so that quotas are never refilled; they are large.
pub(crate) async fn start() -> TestKernel {
    // What a request failed from shows beside the test that fails.
    let _ = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::WARN).try_init();
    let tracker = Tracker::new(&Settings::default());
    let mut config = config();
    tracker.configure(&mut config);
    let plenty = Quota::per_minute(10_000);
    config.http.quotas.anonymous = plenty;
    config.http.quotas.auth = plenty;
    config.http.quotas.actor = plenty;
    config.http.quotas.workspace = plenty;
    TestKernel::with(config, |builder| tracker.register(builder)).await
}

/// Somebody who has signed up, as a client of the API.
pub(crate) async fn signed_up(kernel: &TestKernel, name: &str) -> Client {
    let mut client = Client::new(&kernel.app);
    let email = format!("{}@example.com", name.to_lowercase());
    let account = json!({ "name": name, "email": email, "password": "correct horse battery" });
    expect(201, client.post("/api/v1/auth/sign-up", &account).await);
    client
}

/// The same with a workspace.
pub(crate) async fn with_workspace(kernel: &TestKernel, name: &str, slug: &str) -> Client {
    let mut client = signed_up(kernel, name).await;
    let workspace = json!({ "name": slug, "slug": slug });
    expect(201, client.post("/api/v1/workspaces", &workspace).await);
    client
}

/// The body of the answer, which must have this status.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "the answer is looked at nowhere else")]
pub(crate) fn expect(status: u16, answer: Answer) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    answer.json()
}

pub(crate) async fn create_project(client: &mut Client, slug: &str, key: &str) -> Value {
    let project = json!({ "name": format!("Project {key}"), "key": key });
    expect(201, client.post(&format!("/api/v1/w/{slug}/projects"), &project).await)
}

pub(crate) async fn create_issue(client: &mut Client, slug: &str, project: &Value, issue: Value) -> Value {
    let path = format!("/api/v1/w/{slug}/projects/{}/issues", text(project, "id"));
    expect(201, client.post(&path, &issue).await)
}

pub(crate) async fn patch(client: &mut Client, path: &str, body: &Value) -> Answer {
    client.json(Method::PATCH, path, body).await
}

pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value}"))
}

/// Makes somebody who has signed up a member of a workspace.
pub(crate) async fn join(kernel: &TestKernel, workspace: &Value, client: &mut Client, role: Role) {
    let user = expect(200, client.get("/api/v1/me").await)["user"]["id"].as_str().unwrap().parse().unwrap();
    let workspace = kernel.workspace(text(workspace, "id").parse().unwrap());
    let ctx = kernel.app.system("test");
    let joined = kernel.app.db().tenant(&ctx, &workspace, async |tx: &mut TenantTx| {
        kernel_tenancy::Tenancy.join(tx, user, role).await
    });
    joined.await.unwrap();
}

/// Lets events and jobs run their course.
pub(crate) async fn drain(kernel: &TestKernel) {
    let drained = Runner::new(&kernel.app, RunnerConfig::default()).unwrap().drain().await.unwrap();
    assert_eq!(drained.failed, 0);
}
