//! The example product on one framework, with an owner and a workspace in it.

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use axum::Router;
use kernel_core::http::{Quota, Quotas};
use kernel_core::testkit::{Client, TestKernel, config};
use kernel_core::{App, Clock};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tracker::{Settings, Tracker};

use super::plant::{self, Fault};

/// The workspace that the owner asks about.
pub(super) const WORKSPACE: &str = "acme";

/// What serves the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Axum,
    Actix,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::Actix => "actix",
        }
    }
}

/// Somebody who has signed in.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) cookie: String,
    pub(super) csrf: String,
}

/// The product while it runs.
pub(super) struct Host {
    pub(super) owner: Person,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<std::io::Result<()>>,
    _kernel: TestKernel,
}

impl Host {
    pub(super) async fn start(kind: Kind, fault: Option<Fault>) -> Result<Self> {
        let mut settings = Settings::default();
        settings.auth = settings.auth.cheap_hashes();
        let tracker = Tracker::new(&settings);
        let mut config = config();
        config.clock = Clock::system();
        tracker.configure(&mut config);
        // Out of the way, and not out of the chain: every request is counted.
        config.http.quotas = Quotas::all(Quota::per_minute(50_000));
        let kernel = TestKernel::try_with(config, |builder| {
            let builder = tracker.register(builder);
            match fault {
                Some(fault) => builder.with(plant::pillar(fault)),
                None => builder,
            }
        });
        let kernel = kernel.await.map_err(|problems| anyhow!("{problems}"))?;
        let owner = found(&kernel.app).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let thread = serve(kind, kernel.app.clone(), listener, stopped);
        Ok(Self { owner, address, stop, thread, _kernel: kernel })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) async fn stop(self) -> Result<()> {
        // It may have stopped by itself, which is an error that joining tells.
        let _ = self.stop.send(());
        let joined = tokio::task::spawn_blocking(move || self.thread.join());
        let joined = tokio::time::timeout(Duration::from_secs(30), joined).await;
        let joined = joined.context("the server did not stop")??;
        joined.map_err(|_| anyhow!("the server panicked"))?.context("the server failed")
    }
}

/// In a runtime of its own, as a product's program would have.
fn serve(
    kind: Kind,
    app: App,
    listener: TcpListener,
    stopped: oneshot::Receiver<()>,
) -> JoinHandle<std::io::Result<()>> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shutdown = async {
            // Also when whoever started it is gone.
            let _ = stopped.await;
        };
        if kind == Kind::Actix {
            let routes = kernel_actix::configure(app.clone());
            return runtime.block_on(kernel_actix::serve(&app, listener, routes, shutdown));
        }
        let routes = kernel_axum::mount(Router::new(), app.clone());
        runtime.block_on(kernel_axum::serve(&app, listener, routes, shutdown))
    })
}

/// An owner, and a workspace with one of each thing in it.
async fn found(app: &App) -> Result<Person> {
    let mut client = Client::new(app);
    let account = json!({ "name": "Ada", "email": "ada@example.com", "password": "correct horse battery" });
    let session = make(&mut client, "/api/v1/auth/sign-up", &account).await?;
    make(&mut client, "/api/v1/workspaces", &json!({ "name": "Acme", "slug": WORKSPACE })).await?;
    let base = format!("/api/v1/w/{WORKSPACE}");
    let id = |made: &Value| made["id"].as_str().unwrap_or_default().to_owned();
    let project = json!({ "name": "Kernel", "key": "KRN" });
    let project = id(&make(&mut client, &format!("{base}/projects"), &project).await?);
    let issue = json!({ "title": "Write a manual" });
    let issue = id(&make(&mut client, &format!("{base}/projects/{project}/issues"), &issue).await?);
    make(&mut client, &format!("{base}/issues/{issue}/comments"), &json!({ "body": "At once." })).await?;
    make(&mut client, &format!("{base}/labels"), &json!({ "name": "docs", "colour": "blue" })).await?;
    let cookie = client.cookie().context("no cookie came")?.to_owned();
    Ok(Person { cookie, csrf: session["csrf_token"].as_str().unwrap_or_default().to_owned() })
}

async fn make(client: &mut Client, path: &str, what: &Value) -> Result<Value> {
    let answer = client.post(path, what).await;
    ensure!(answer.status == 201, "{path}: {}", answer.text());
    Ok(answer.json())
}
