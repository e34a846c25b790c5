//! What the programs `tracker-axum` and `tracker-actix` have in common: everything but the framework.

mod options;
mod telemetry;

use std::future::pending;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use futures_util::FutureExt;
use kernel_core::secret::ExposeSecret;
use kernel_core::{App, Db};
use kernel_jobs::{Runner, RunnerConfig};
use sqlx::{Connection, PgConnection};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::tracker::app;
use options::listed;

pub use options::{ConfigError, Options};
pub use telemetry::{Listeners, Telemetry};

/// The command line of both programs.
#[derive(Debug, clap::Parser)]
pub struct Arguments {
    /// Write the SQL that an administrator runs once, before the first migration, and serve nothing
    #[arg(long, value_name = "DATABASE", conflicts_with_all = ["migrate", "examine"])]
    pub bootstrap: Option<String>,
    /// Bring the schema up to date and serve nothing; takes the login in `MIGRATE_DATABASE_URL`
    #[arg(long, conflicts_with = "examine")]
    pub migrate: bool,
    /// Examine the installation, say what to mend, and serve nothing; exits with 1 if something is to be mended
    #[arg(long)]
    pub examine: bool,
    /// Stop when standard input ends, as if asked by a signal: whoever started the program has gone then
    #[arg(long)]
    pub stop_with_stdin: bool,
}

/// Why a program does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is not usable, for every reason at once. None of them shows a secret.
    #[error("the configuration cannot be used:{}", listed(.0))]
    Configuration(Vec<ConfigError>),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] kernel_core::DbError),
    /// The schema could not be brought up to date.
    #[error("the schema could not be brought up to date")]
    Migration(#[from] kernel_core::migration::MigrationError),
    /// The app is not fit to be served.
    #[error(transparent)]
    Problems(#[from] kernel_core::Problems),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The product, ready to be served.
#[derive(Debug)]
pub struct Program {
    /// The app.
    pub app: App,
    /// Where it is to be served.
    pub listener: TcpListener,
    /// Where Prometheus asks for its metrics, if it does.
    pub metrics: Option<TcpListener>,
    /// Runs its jobs; none without the worker login.
    pub worker: Option<Runner>,
}

impl Program {
    /// Checks the app and opens its port.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options { listen, metrics, db, config, settings, .. } = options;
        let (runs_jobs, db) = (db.worker.is_some(), Db::new(&db)?);
        let app = app(db, config, &settings).build().await?;
        let worker = runs_jobs.then(|| Runner::new(&app, RunnerConfig::default())).transpose()?;
        let bind = |address: SocketAddr| {
            TcpListener::bind(address).map_err(|source| StartError::Listen { address, source })
        };
        let listener = bind(listen)?;
        let metrics = metrics.map(bind).transpose()?;
        tracing::info!(address = %listen, worker = worker.is_some(), "ready");
        Ok(Self { app, listener, metrics, worker })
    }
}

impl Options {
    /// The SQL that makes the roles, and lets the one that migrates work in the database of this name.
    ///
    /// # Errors
    /// [`StartError::Database`] for logins of which no pool can be made.
    pub fn bootstrap(self, database: &str) -> Result<String, StartError> {
        let Self { db, config, settings, .. } = self;
        Ok(app(Db::new(&db)?, config, &settings).plan().bootstrap(database))
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// [`StartError::Configuration`] without the login that owns the schema, [`StartError::Database`] when it cannot log
    /// in, [`StartError::Migration`].
    pub async fn migrate(self) -> Result<(), StartError> {
        let Self { db, migrate, config, settings, .. } = self;
        let missing = || StartError::Configuration(vec![ConfigError::Missing("MIGRATE_DATABASE_URL")]);
        let url = migrate.ok_or_else(missing)?;
        let mut owner =
            PgConnection::connect(url.expose_secret()).await.map_err(kernel_core::DbError::from)?;
        app(Db::new(&db)?, config, &settings).plan().run(&mut owner).await?;
        tracing::info!("the schema is up to date");
        Ok(())
    }

    /// Examines the installation that these options are about, and writes each finding to standard output.
    ///
    /// # Errors
    /// [`StartError::Database`] for logins of which no pool can be made.
    pub async fn examine(self) -> Result<ExitCode, StartError> {
        let Self { db, migrate, config, settings, .. } = self;
        let builder = app(Db::new(&db)?, config, &settings);
        let report = builder.examine(migrate.as_ref().map(ExposeSecret::expose_secret)).await;
        let mut out = std::io::stdout().lock();
        // Whoever closed the pipe has seen enough.
        let _ = report.diagnoses.iter().try_for_each(|diagnosis| writeln!(out, "{diagnosis}"));
        Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Ready once the program is to stop: at SIGINT or SIGTERM, or at the end of standard input if asked for. Clones are
/// ready together.
///
/// # Errors
/// When the system lets nobody listen for signals.
pub fn stopped(with_stdin: bool) -> std::io::Result<impl Future<Output = ()> + Clone + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stopped = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stdin_ended(), if with_stdin => {}
        }
        tracing::info!("stopping");
    };
    Ok(stopped.boxed().shared())
}

/// Runs `program`, and shortens its stop when somebody asks a second time: the listener closes without further notice.
pub async fn hurried<T>(app: &App, stopped: impl Future<Output = ()>, program: impl Future<Output = T>) -> T {
    let hurry = async {
        stopped.await;
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else { return };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping at once");
        app.shutdown().begin();
    };
    let never = async {
        hurry.await;
        pending().await
    };
    tokio::select! {
        done = program => done,
        never = never => never,
    }
}

async fn stdin_ended() {
    let mut stdin = tokio::io::stdin();
    let mut nothing = [0; 64];
    while stdin.read(&mut nothing).await.is_ok_and(|count| count > 0) {}
}

/// Runs the worker, if there is one, until `shutdown` is ready.
pub async fn work(worker: Option<Runner>, shutdown: impl Future<Output = ()> + Send) {
    match worker {
        Some(worker) => worker.run(shutdown).await,
        None => shutdown.await,
    }
}
