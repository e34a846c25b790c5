//! One database with one app on it, and steps done there.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use kernel_core::{App, Clock, Db, Entropy};
use kernel_jobs::{Runner, RunnerConfig};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tracing::instrument::WithSubscriber;
use tracing_subscriber::fmt::MakeWriter;

use super::exchange::{Answer, Ask};
use super::host::Host;
use super::plant::Plant;
use super::product::{self, Crew};
use super::scratch::Scratch;
use super::step::{Action, Reference, Step};
use crate::wire::Proxy;

/// So much time passes before each step: enough for every rate limit to let the next request in.
const TICK: TimeDelta = TimeDelta::seconds(4);

/// Whose steps are done: each party draws its ids from a stream of its own, and lives at a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    /// What every world begins with.
    Prelude,
    /// The tenants beside.
    Beside,
    /// The tenant that drives.
    Driver,
}

impl Party {
    fn seed(self, step: usize) -> u64 {
        ((self as u64 + 1) << 32) + step as u64
    }

    /// Others were there before; all within the time in which sessions do not slide.
    fn starts(self) -> TimeDelta {
        TimeDelta::minutes(match self {
            Self::Prelude => 0,
            Self::Beside => 10,
            Self::Driver => 60,
        })
    }
}

/// Why the app does not start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub(super) String);

/// The log lines of one world, until someone takes them.
#[derive(Debug, Clone, Default)]
pub(super) struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub(super) fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// An app on a database.
#[derive(Debug)]
pub(super) struct World {
    pub(super) app: App,
    pub(super) logs: Logs,
    host: Host,
    app_url: String,
    clock: Clock,
    entropy: Entropy,
    crew: Crew,
    party: Party,
    log: tracing::Dispatch,
}

impl World {
    /// Builds the app on the database, which also checks it; through the proxy, if there is one.
    pub(super) async fn open(
        scratch: &Scratch,
        party: Party,
        plant: Plant,
        proxy: Option<&Proxy>,
    ) -> Result<Self> {
        let (config, crew) = (product::config(), Crew::default());
        let (clock, entropy) = (config.clock.clone(), config.entropy.clone());
        clock.advance(party.starts());
        let mut db = scratch.logins().config();
        db.max_connections = 4;
        if let Some(proxy) = proxy {
            db.app = proxy.url(&db.app)?;
            db.worker = db.worker.map(|url| proxy.url(&url)).transpose()?;
            db.operator = None;
        }
        let app = product::builder(Db::new(&db)?, config, &crew, plant).build().await;
        let app = app.map_err(|problems| Refused(problems.to_string()))?;
        let logs = Logs::default();
        let log = tracing_subscriber::fmt()
            .with_writer(logs.clone())
            .with_max_level(tracing::Level::INFO)
            .with_ansi(false)
            .finish()
            .into();
        let app_url = scratch.logins().of(&product::roles().app);
        Ok(Self { host: Host::memory(&app), app, logs, app_url, clock, entropy, crew, party, log })
    }

    /// Answers over sockets from now on.
    pub(super) fn served_by(self, host: Host) -> Self {
        Self { host, ..self }
    }

    /// Does the step with this number. What it draws at random depends on the number alone, so that one step that
    /// goes another way does not change those after it.
    pub(super) async fn perform(&self, number: usize, step: &Step) -> Result<Answer> {
        self.clock.advance(TICK);
        self.entropy.reseed(self.party.seed(number));
        match &step.action {
            Action::Crew(members) => {
                self.crew.set(members.clone());
                Ok(Answer::note(""))
            }
            Action::Drain => self.drain().await,
            Action::Refer(reference) => self.refer(reference).await,
            Action::Send(ask) => self.send(ask).await,
        }
    }

    /// Sends a request outside of any script.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Answer> {
        self.host.send(ask).with_subscriber(self.log.clone()).await
    }

    async fn drain(&self) -> Result<Answer> {
        let config = RunnerConfig { concurrency: 1, ..RunnerConfig::default() };
        let drained = Runner::new(&self.app, config)?.drain().with_subscriber(self.log.clone()).await;
        // A refusal is an outcome like any other: some mutants lead to one.
        Ok(Answer::note(match drained {
            Ok(drained) => format!("{drained:?}"),
            Err(error) => format!("refused: {error:?}"),
        }))
    }

    async fn refer(&self, reference: &Reference) -> Result<Answer> {
        let mut conn = PgConnection::connect(&self.app_url).await.context("connecting as the app")?;
        conn.execute(AssertSqlSafe(reference.begin.clone())).await?;
        let outcome = conn.execute(AssertSqlSafe(reference.update.clone())).await;
        let text = match outcome {
            Ok(done) => format!("{} row(s) now refer to it", done.rows_affected()),
            Err(error) => match error.as_database_error() {
                Some(error) => format!("{:?} {:?}", error.code(), error.constraint()),
                None => error.to_string(),
            },
        };
        // Whatever happened is not kept.
        conn.execute("ROLLBACK").await?;
        conn.close().await?;
        Ok(Answer::note(text))
    }

    /// Lets go of the database.
    pub(super) async fn close(self) {
        self.app.shutdown().begin();
        self.host.stop().await;
        self.app.db().close().await;
    }
}
