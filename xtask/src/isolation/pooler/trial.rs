//! One PgBouncer, many clients, and what befalls both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kernel_core::testkit::pgbouncer::PgBouncer;
use kernel_core::testkit::{TestKernel, roles};
use kernel_core::{Ctx, Entropy, Workspace};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Row};
use tokio::task::JoinSet;

use super::client::Client;
use super::deed::{Deed, Mishap, at_most, below};
use super::ledger::Ledger;
use super::link::Link;

/// How many clients write at once.
const WRITERS: u64 = 12;
/// How many connections they share, each of which PgBouncer puts on one of fewer.
pub(super) const CONNECTIONS: u32 = 8;
/// How long the writers may be stuck before the trial is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the tasks of a trial share.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) client: Client,
    pub(super) link: Link,
    pub(super) ledger: Arc<Ledger>,
    pub(super) workspaces: Vec<Workspace>,
    pub(super) ctx: Ctx,
    /// How many transactions are still to be done.
    pub(super) left: AtomicU64,
}

impl Trial {
    /// Runs the clients until all is done, with somebody watching and somebody doing harm.
    pub(super) async fn run(self, kernel: &TestKernel, bouncer: &PgBouncer, seed: u64) -> Result<()> {
        let trial = Arc::new(self);
        let direct = bouncer.options(&roles().app).context("PgBouncer does not know the app's login")?;
        let mut others = JoinSet::new();
        for _ in 0..2 {
            others.spawn(watch(direct.clone(), trial.ledger.clone()));
        }
        others.spawn(harm(trial.clone(), kernel.database.logins().admin(), Entropy::seeded(seed)));
        let mut writers = JoinSet::new();
        for writer in 1..=WRITERS {
            writers.spawn(trial.clone().write(Entropy::seeded(seed + writer)));
        }
        let mut before = u64::MAX;
        while !writers.is_empty() {
            match tokio::time::timeout(PATIENCE, writers.join_next()).await {
                Ok(Some(ended)) => ended.context("a writer broke down")?,
                Ok(None) => break,
                Err(_) => {
                    let left = trial.left.load(Ordering::Relaxed);
                    ensure!(left < before, "the writers are stuck");
                    before = left;
                }
            }
        }
        others.shutdown().await;
        let closed = tokio::time::timeout(PATIENCE, trial.client.close()).await;
        closed.context("connections do not come back")?;
        settled(kernel).await
    }

    async fn write(self: Arc<Self>, entropy: Entropy) {
        while self.take() {
            let which = usize::try_from(below(&entropy, self.workspaces.len() as u64)).unwrap_or(0);
            let workspace = &self.workspaces[which];
            let id = entropy.uuid(self.ctx.now());
            let deed = Deed::new(id, workspace.id(), Mishap::draw(&entropy), &self.ledger);
            self.client.transact(&self.ctx, workspace, &deed).await;
            match below(&entropy, 8) {
                0..2 => self.client.look_up(&self.ledger).await,
                2 => {
                    let polls = 1 + u32::try_from(below(&entropy, 6)).unwrap_or(0);
                    let _ = at_most(polls, self.client.look_up(&self.ledger)).await;
                }
                3 => self.client.look_globally(&self.ctx, &self.ledger).await,
                _ => {}
            }
        }
    }

    fn take(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// A client of another kind, on the same PgBouncer: it names no workspace and must never find one named.
async fn watch(options: PgConnectOptions, ledger: Arc<Ledger>) {
    loop {
        // Connections end all the time here; the next one goes on.
        if let Ok(mut conn) = options.connect().await {
            while observe(&mut conn, &ledger).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn observe(conn: &mut PgConnection, ledger: &Ledger) -> Result<(), sqlx::Error> {
    let row = conn
        .fetch_one(
            "SELECT coalesce(current_setting('app.workspace_id', true), '') AS setting,
                    (SELECT count(*) FROM pooled.mark) AS marks,
                    now() = statement_timestamp() AS fresh",
        )
        .await?;
    let seen: (String, i64, bool) = (row.try_get("setting")?, row.try_get("marks")?, row.try_get("fresh")?);
    ledger.outside("another client", seen.0.is_empty() && seen.1 == 0 && seen.2, &seen);
    Ok(())
}

/// Cuts connections of clients and terminates the server's processes.
async fn harm(trial: Arc<Trial>, admin: String, entropy: Entropy) {
    let mut conn = None;
    loop {
        tokio::time::sleep(Duration::from_millis(5 + below(&entropy, 40))).await;
        let choice = below(&entropy, 1 << 32);
        if choice.is_multiple_of(2) {
            if trial.link.cut(usize::try_from(choice / 2).unwrap_or(0)) {
                trial.ledger.cut();
            }
            continue;
        }
        if conn.is_none() {
            conn = PgConnection::connect(&admin).await.ok();
        }
        if let Some(conn) = &mut conn
            && kill(conn).await.unwrap_or(false)
        {
            trial.ledger.kill();
        }
    }
}

async fn kill(admin: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce(bool_or(pg_terminate_backend(pid)), false)
         FROM (SELECT pid FROM pg_stat_activity
               WHERE usename = $1 AND datname = current_database() ORDER BY random() LIMIT 1) AS one",
    )
    .bind(roles().app)
    .fetch_one(admin)
    .await
}

/// Waits until the server has ended every transaction.
async fn settled(kernel: &TestKernel) -> Result<()> {
    let mut admin = kernel.admin().await;
    for _ in 0..200 {
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE usename = $1 AND datname = current_database() AND xact_start IS NOT NULL",
        )
        .bind(roles().app)
        .fetch_one(&mut admin)
        .await?;
        if open == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("transactions stay open although every client is gone")
}
