//! The example product as proofs run it, and the first person to use it.

use anyhow::{Result, ensure};
use kernel_core::Config;
use kernel_core::http::Quota;
use kernel_core::testkit::{Answer, Client, TestKernel, config};
use serde_json::{Value, json};
use tracker::{Settings, Tracker};

/// The product, and a configuration with quotas that nobody reaches.
#[must_use]
pub fn product() -> (Tracker, Config) {
    let tracker = Tracker::new(&Settings::default());
    let mut config = config();
    tracker.configure(&mut config);
    let plenty = Quota::per_minute(50_000);
    let quotas = &mut config.http.quotas;
    (quotas.anonymous, quotas.auth, quotas.actor) = (plenty, plenty, plenty);
    (quotas.workspace, quotas.address, quotas.heavy) = (plenty, plenty, plenty);
    (tracker, config)
}

/// Somebody who has signed up and founded a workspace, and its id.
///
/// # Errors
///
/// When either is refused.
pub async fn founder(kernel: &TestKernel, name: &str) -> Result<(Client, String)> {
    let mut client = Client::new(&kernel.app);
    let account = json!({
        "name": name, "email": format!("{name}@example.com"), "password": "correct horse battery",
    });
    made(&client.post("/api/v1/auth/sign-up", &account).await)?;
    let workspace = made(&client.post("/api/v1/workspaces", &json!({ "name": name, "slug": name })).await)?;
    Ok((client, workspace["id"].as_str().unwrap_or_default().to_owned()))
}

/// What was made.
///
/// # Errors
///
/// When it was refused.
pub fn made(answer: &Answer) -> Result<Value> {
    ensure!(answer.status == 201, "{} {}", answer.status, answer.text());
    Ok(answer.json())
}
