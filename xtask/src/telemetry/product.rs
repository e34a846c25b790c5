//! The example product, as the proof runs it: quotas that nobody reaches, and a collector of its own.

use anyhow::Result;
use http::Method;
use kernel_core::event::Delivered;
use kernel_core::http::{Json, Route};
use kernel_core::telemetry::otlp::{self, Exporter, OtlpOptions, Spans};
use kernel_core::testkit::{Answer, Client, TestKernel};
use kernel_core::{AppBuilder, Config, Error, Pillar, Subscriber, TenantTx};
use kernel_tenancy::permission::WORKSPACE_READ;
use serde_json::{Value, json};
use tracker::event::IssueCreated;
use tracker::{Settings, Tracker};

use crate::founder::{self, made};

/// Somebody else's pillar, which hears of new issues.
fn follower() -> Pillar {
    Pillar::new("follower").subscribers([Subscriber::new("follower.issue_created", (), heard)])
}

async fn heard((): (), _: &mut TenantTx, _: Delivered<IssueCreated>) -> Result<(), Error> {
    Ok(())
}

/// The product, and both ends of the way to the collector.
pub(super) async fn start(
    collector: &str,
    change: impl FnOnce(&mut Config),
) -> Result<(TestKernel, Spans, Exporter)> {
    let (tracker, mut config) = founder::product();
    change(&mut config);
    let (spans, exporter) = otlp::exporter(OtlpOptions::new(collector, "tracker")?, &config);
    Ok((
        TestKernel::with(config, |builder| tracker.register(builder).with(follower())).await,
        spans,
        exporter,
    ))
}

/// The tracker, and a route of a workspace that fails.
pub(super) struct Crew {
    tracker: Tracker,
}

async fn broken((): (), _: &mut TenantTx, (): ()) -> Result<Json<()>, Error> {
    Err(Error::internal("it is broken"))
}

impl Crew {
    pub(super) fn new(config: &mut Config) -> Self {
        let tracker = Tracker::new(&Settings::default());
        tracker.configure(config);
        Self { tracker }
    }

    pub(super) fn register(&self, builder: AppBuilder) -> AppBuilder {
        let route = Route::tenant(Method::GET, "/broken", "broken.show", WORKSPACE_READ, (), broken);
        self.tracker.register(builder).with(Pillar::new("broken").routes([route]))
    }
}

/// A project in the workspace, and an issue in it.
pub(super) async fn issue(client: &mut Client, slug: &str) -> Result<(Answer, Value)> {
    let project = json!({ "name": "Telemetry", "key": "TEL" });
    let project = made(&client.post(&format!("/api/v1/w/{slug}/projects"), &project).await)?;
    let id = project["id"].as_str().unwrap_or_default();
    let path = format!("/api/v1/w/{slug}/projects/{id}/issues");
    let answer = client.post(&path, &json!({ "title": "It is broken" })).await;
    let issue = made(&answer)?;
    Ok((answer, issue))
}

/// Asks for every route once, with ids that may not exist: what counts is what is told of it.
pub(super) async fn every_route(kernel: &TestKernel, client: &mut Client, slug: &str) -> usize {
    let routes: Vec<_> =
        kernel.app.routes().map(|route| (route.method().clone(), kernel.app.mounted(route))).collect();
    for (method, template) in &routes {
        // Whoever logs out sees less of the rest.
        if template.ends_with("log-out") || template.ends_with("logout") {
            continue;
        }
        let path: Vec<_> = template
            .split('/')
            .map(|part| match part {
                "{workspace}" => slug.to_owned(),
                part if part.starts_with('{') => "019b76da-a800-7000-8000-000000000001".to_owned(),
                part => part.to_owned(),
            })
            .collect();
        let body = if *method == Method::GET { Value::Null } else { json!({ "name": "" }) };
        client.json(method.clone(), &path.join("/"), &body).await;
    }
    routes.len()
}
