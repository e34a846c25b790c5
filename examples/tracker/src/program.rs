//! What the programs `tracker-axum` and `tracker-actix` have in common: everything but the framework.

use std::net::{SocketAddr, TcpListener};

use futures_util::FutureExt;
use kernel_core::http::Environment;
use kernel_core::{App, Config, Db, DbConfig, Keyring, RoleNames};
use kernel_jobs::{Runner, RunnerConfig};
use sqlx::{Connection, PgConnection};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::log::RequestLog;
use crate::tracker::{Settings, app};

/// Which lines are kept for looking at one request: every statement to the database is one.
const KEPT: &str = "info,sqlx::query=debug";

/// The command line of both programs.
#[derive(Debug, clap::Parser)]
pub struct Arguments {
    /// Bring the schema up to date before serving; takes the login in `MIGRATE_DATABASE_URL`
    #[arg(long)]
    pub migrate: bool,
    /// Stop when standard input ends, as if asked by a signal: whoever started the program has gone then
    #[arg(long)]
    pub stop_with_stdin: bool,
}

/// Why a program does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A variable is missing.
    #[error("{0} is not set; .env.example tells what it is for")]
    Missing(&'static str),
    /// A variable cannot be read.
    #[error("{name} cannot be read: {reason}")]
    Unreadable {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
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

/// How the program is configured, read from the variables that `.env.example` describes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which lines the log holds: `info`, `warn,kernel=debug`.
    pub log: String,
    /// Whether each of them is a JSON object.
    pub log_json: bool,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The database's logins.
    pub db: DbConfig,
    /// The login that owns the schema, if the program is to migrate.
    pub migrate: Option<String>,
    /// The configuration of the app.
    pub config: Config,
    /// The settings of the product.
    pub settings: Settings,
}

impl Options {
    /// Reads the variables that `var` knows.
    ///
    /// # Errors
    /// [`StartError::Missing`], [`StartError::Unreadable`].
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        let var = |name| var(name).filter(|value| !value.is_empty());
        let needed = |name| var(name).ok_or(StartError::Missing(name));
        let environment = match var("APP_ENV").as_deref() {
            None | Some("development") => Environment::Development,
            Some("production") => Environment::Production,
            Some(other) => {
                return Err(unreadable(
                    "APP_ENV",
                    format!("{other:?} is neither development nor production"),
                ));
            }
        };
        let listen = var("LISTEN").unwrap_or_else(|| "127.0.0.1:3000".to_owned());
        let listen = listen.parse().map_err(|error| unreadable("LISTEN", error))?;

        let mut db = DbConfig::new(needed("APP_DATABASE_URL")?);
        db.worker = var("WORKER_DATABASE_URL");
        db.operator = var("OPERATOR_DATABASE_URL");
        if let Some(prefix) = var("DATABASE_ROLE_PREFIX") {
            db.roles = RoleNames::prefixed(&prefix);
        }
        let key_id = var("APP_KEY_ID").unwrap_or_else(|| "1".to_owned());
        let keyring =
            Keyring::new(key_id, &needed("APP_KEY")?).map_err(|error| unreadable("APP_KEY", error))?;
        let mut config = Config::new(keyring);
        config.http.public_origin = var("PUBLIC_ORIGIN");
        for proxy in var("TRUSTED_PROXIES").unwrap_or_default().split(',').filter(|part| !part.is_empty()) {
            let network = proxy.trim().parse().map_err(|error| unreadable("TRUSTED_PROXIES", error))?;
            config.http.trusted_proxies.push(network);
        }
        let log = (environment == Environment::Development).then(RequestLog::default);
        let settings = Settings { environment, log, ..Settings::default() };
        let lines = var("LOG").unwrap_or_else(|| "info".to_owned());
        let log_json = match var("LOG_FORMAT").as_deref() {
            None => environment == Environment::Production,
            Some("json") => true,
            Some("text") => false,
            Some(other) => {
                return Err(unreadable("LOG_FORMAT", format!("{other:?} is neither text nor json")));
            }
        };
        Ok(Self { log: lines, log_json, listen, db, migrate: var("MIGRATE_DATABASE_URL"), config, settings })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "errors and literals read better without an ampersand")]
fn unreadable(name: &'static str, reason: impl ToString) -> StartError {
    StartError::Unreadable { name, reason: reason.to_string() }
}

/// The product, ready to be served.
#[derive(Debug)]
pub struct Program {
    /// The app.
    pub app: App,
    /// Where it is to be served.
    pub listener: TcpListener,
    /// Runs its jobs; none without the worker login.
    pub worker: Option<Runner>,
}

impl Program {
    /// Migrates if asked, checks the app and opens its port.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(options: Options, migrate: bool) -> Result<Self, StartError> {
        let Options { listen, db, migrate: owner, config, settings, .. } = options;
        let (runs_jobs, db) = (db.worker.is_some(), Db::new(&db)?);
        let builder = app(db, config, &settings);
        if migrate {
            let url = owner.ok_or(StartError::Missing("MIGRATE_DATABASE_URL"))?;
            let mut conn = PgConnection::connect(&url).await.map_err(kernel_core::DbError::from)?;
            builder.plan().run(&mut conn).await?;
        }
        let app = builder.build().await?;
        let worker = runs_jobs.then(|| Runner::new(&app, RunnerConfig::default())).transpose()?;
        let listener =
            TcpListener::bind(listen).map_err(|source| StartError::Listen { address: listen, source })?;
        tracing::info!(address = %listen, worker = worker.is_some(), "ready");
        Ok(Self { app, listener, worker })
    }
}

impl Options {
    /// Writes the log to standard error from now on.
    ///
    /// # Errors
    /// [`StartError::Unreadable`] for a filter that is none.
    pub fn start_log(&self) -> Result<(), StartError> {
        let filter = EnvFilter::try_new(&self.log).map_err(|error| unreadable("LOG", error))?;
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let log = if self.log_json { log.json().boxed() } else { log.with_target(false).boxed() };
        // Whoever looks at one request wants more of it than all requests together should say.
        let kept = self.settings.log.as_ref().map(|kept| kept.layer().with_filter(EnvFilter::new(KEPT)));
        let started = tracing_subscriber::registry().with(log.with_filter(filter)).with(kept).try_init();
        started.map_err(|error| unreadable("LOG", error))
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
