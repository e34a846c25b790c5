//! The example product as a child process.

use std::env;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kernel_core::testkit::Logins;
use tokio::process::{Child, ChildStdin};
use tokio::signal::unix::{SignalKind, signal};

use super::DATABASE;
use crate::cargo;

/// Where the search for a free port begins, and how many are tried.
const FIRST_PORT: u16 = 3000;
const PORTS: u16 = 100;
/// How long the product may take to answer, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// One of the two programs.
#[derive(Debug)]
pub(crate) struct Product {
    package: String,
}

/// The program while it runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) url: String,
    /// Where its metrics are.
    pub(crate) metrics: String,
    child: Child,
    /// While this is open, the program runs: it ends with this process, however that ends.
    stdin: Option<ChildStdin>,
    _ports: [Port; 2],
}

impl Product {
    pub(crate) fn of(framework: &str) -> Self {
        Self { package: format!("tracker-{framework}") }
    }

    /// Builds the program; cargo tells on standard error how far it is. Asked for together with this very program, it
    /// shares everything that is built already; alone, with fewer features, its dependencies would be built once more.
    pub(crate) async fn build(&self) -> Result<()> {
        let mut command = cargo::cargo();
        command
            .args(["build", "--package", &self.package, "--package", env!("CARGO_PKG_NAME")])
            .current_dir(cargo::workspace_dir());
        let status = command.status().await.context("cargo cannot be started")?;
        ensure!(status.success(), "{} does not build", self.package);
        Ok(())
    }

    fn program(&self) -> Result<PathBuf> {
        Ok(cargo::target_dir()?.join("debug").join(&self.package))
    }

    /// Starts the program with all logins of the database, and waits until it answers.
    pub(crate) async fn start(&self, logins: &Logins, port: Option<u16>, log: &str) -> Result<Running> {
        let (port, scraped) = (Port::find(port)?, Port::find(None)?);
        let metrics = SocketAddr::from((Ipv4Addr::LOCALHOST, scraped.number));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number));
        let url = format!("http://localhost:{}", address.port());
        let db = logins.config();
        let mut command = cargo::child(self.program()?);
        command
            .arg("--stop-with-stdin")
            .stdin(Stdio::piped())
            .env("APP_ENV", "development")
            .env("APP_KEY", logins.app_key())
            .env("APP_KEY_ID", "development")
            .env("APP_DATABASE_URL", &db.app)
            .env("WORKER_DATABASE_URL", db.worker.unwrap_or_default())
            .env("OPERATOR_DATABASE_URL", db.operator.unwrap_or_default())
            .env("DATABASE_ROLE_PREFIX", DATABASE)
            .env("LISTEN", address.to_string())
            .env("METRICS_ADDR", metrics.to_string())
            .env("LOG", log)
            .env("PUBLIC_ORIGIN", &url);
        let mut child = command.spawn().with_context(|| format!("{} cannot be started", self.package))?;
        let stdin = child.stdin.take();
        let metrics = format!("http://{metrics}/metrics");
        let mut running = Running { url, metrics, child, stdin, _ports: [port, scraped] };
        running.until_it_answers(address).await?;
        Ok(running)
    }
}

/// A port that nobody listens on, and that no other run of this program will choose until this is dropped.
#[derive(Debug)]
struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// The port wished for, or else the first free one.
    fn find(wished: Option<u16>) -> Result<Self> {
        match wished {
            Some(number) => Self::take(number).with_context(|| {
                format!("port {number} is taken; leave --port out, and a free one is found")
            }),
            None => (FIRST_PORT..FIRST_PORT + PORTS)
                .find_map(Self::take)
                .with_context(|| format!("no port from {FIRST_PORT} to {} is free", FIRST_PORT + PORTS - 1)),
        }
    }

    fn take(number: u16) -> Option<Self> {
        // Between this look and the moment the product listens, only a lock keeps a second run away.
        let lock = File::create(env::temp_dir().join(format!("{DATABASE}-port-{number}.lock"))).ok()?;
        lock.try_lock().ok()?;
        // Whoever listens on all addresses, or on the other family's, would answer in our place for a browser that asks
        // for `localhost`.
        let taken =
            ["127.0.0.1", "[::1]"].iter().any(|host| TcpStream::connect(format!("{host}:{number}")).is_ok());
        let free = !taken && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
        free.then_some(Self { number, _lock: lock })
    }
}

impl Running {
    async fn until_it_answers(&mut self, address: SocketAddr) -> Result<()> {
        let answers = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        tokio::select! {
            answered = tokio::time::timeout(PATIENCE, answers) => answered.context("the product does not answer"),
            ended = self.child.wait() => bail!("the product ended at once: {}", ended?),
        }
    }

    /// Waits for an interrupt, or for the program to end by itself, and leaves nothing running.
    pub(crate) async fn until_stopped(&mut self) -> Result<ExitCode> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            ended = self.child.wait() => bail!("the product ended by itself: {}", ended?),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("  stopping");
        self.stdin = None;
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(ended) => ensure!(ended?.success(), "the product did not stop cleanly"),
            Err(_) => bail!("the product does not stop and is killed"),
        }
        Ok(ExitCode::SUCCESS)
    }
}
