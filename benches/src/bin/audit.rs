//! What auditing costs a busy workspace: the same write with and without its audit row, eight clients at once, while the
//! sealer is at work; and how long a row waits for its seal.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::ratio::{Ratio, median};
use benches::ticket;
use kernel_core::job::JobNoun;
use kernel_core::testkit::{TestKernel, config};
use kernel_core::{AuditEntry, Clock, DbError, Entropy, TenantTx, Tx, Workspace, audit};
use kernel_jobs::{Jobs, Runner, RunnerConfig};
use sqlx::PgConnection;
use tokio::task::JoinSet;
use xtask::outcome::Outcome;

const CLIENTS: usize = 8;
/// How long one turn lasts; a block has two of each kind.
const TURN: Duration = Duration::from_millis(500);
/// The audited rate is at least nine tenths of the other one: a write takes at most so many times as long.
const GOAL: f64 = 1.0 / 0.9;
/// How long a row may wait for its seal.
const WINDOW: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let blocks = if std::env::args().any(|argument| argument == "--short") { 20 } else { 40 };
    let mut config = config();
    (config.clock, config.entropy) = (Clock::system(), Entropy::system());
    let kernel = TestKernel::with(config, |app| app.with(Jobs::new()).with(ticket::pillar())).await;
    let kernel = Arc::new(kernel);
    let workspace = kernel.found_workspace().await;
    let runner = Runner::new(&kernel.app, RunnerConfig::default())?;
    let sealer = tokio::spawn(async move { runner.run(std::future::pending()).await });
    let lag = tokio::spawn(lag(kernel.admin().await));

    let (mut audited, mut plain, mut rows) = (Vec::new(), Vec::new(), 0);
    // The first two blocks fill caches.
    for block in 0..blocks + 2 {
        let mut spent = [0.0_f64; 2];
        // Whoever goes first changes from block to block, and who goes first within one goes last in it.
        let first = block % 2;
        for audits in [first, 1 - first, 1 - first, first] {
            let (each, writes) = turn(&kernel, &workspace, audits == 1).await?;
            spent[audits] += each;
            rows += if audits == 1 { writes } else { 0 };
        }
        if block >= 2 {
            plain.push(spent[0] / 2.0);
            audited.push(spent[1] / 2.0);
        }
    }
    let mut admin = kernel.admin().await;
    let caught_up = catch_up(&mut admin).await?;
    lag.abort();
    sealer.abort();
    let longest = LAG.lock().unwrap_or_else(std::sync::PoisonError::into_inner).to_owned();
    let ratio = Ratio::between(&audited, &plain);
    let rate = |each: &[f64]| CLIENTS as f64 * 1e6 / median(each);
    let outcome = Outcome::new()
        .value("clients", CLIENTS)
        .value("blocks", blocks)
        .value("audited_rows", rows)
        .value("writes_per_s", format!("{:.0}/{:.0}", rate(&audited), rate(&plain)))
        .value("of", "audited/plain")
        .value("lag_ms", longest.as_millis())
        .value("catch_up_ms", caught_up.as_millis())
        .value("ratio", ratio)
        .require(
            !ratio.misses(GOAL),
            format!("{ratio} times as long as without an audit row, goal {GOAL:.3}"),
        )
        .require(longest <= WINDOW, format!("a row waited {longest:?} for its seal"));
    Ok(outcome.report("audit"))
}

/// The longest that a row has waited for its seal so far.
static LAG: std::sync::Mutex<Duration> = std::sync::Mutex::new(Duration::ZERO);

async fn lag(mut admin: PgConnection) -> Result<()> {
    loop {
        let age: Option<f64> = sqlx::query_scalar(
            "SELECT extract(epoch FROM clock_timestamp() - min(a.created_at))::float8
             FROM kernel_core.audit_unsealed AS u JOIN kernel_core.audit_log AS a USING (workspace_id, id)",
        )
        .fetch_one(&mut admin)
        .await?;
        let age = Duration::from_secs_f64(age.unwrap_or_default().max(0.0));
        let mut longest = LAG.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *longest = age.max(*longest);
        drop(longest);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn catch_up(admin: &mut PgConnection) -> Result<Duration> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM kernel_core.audit_unsealed")
            .fetch_one(&mut *admin)
            .await?;
        if left == 0 {
            return Ok(started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the sealer does not catch up")
}

/// Writes for one turn; returns how many microseconds a write took, and how many there were.
async fn turn(kernel: &Arc<TestKernel>, workspace: &Workspace, audits: bool) -> Result<(f64, u64)> {
    let (mut clients, started) = (JoinSet::new(), Instant::now());
    for _ in 0..CLIENTS {
        clients.spawn(client(kernel.clone(), workspace.clone(), audits, started + TURN));
    }
    let mut writes = 0;
    while let Some(ended) = clients.join_next().await {
        writes += ended.context("a client broke down")??;
    }
    ensure!(writes > 0, "nothing was written");
    Ok((started.elapsed().as_secs_f64() * 1e6 * CLIENTS as f64 / writes as f64, writes))
}

async fn client(kernel: Arc<TestKernel>, workspace: Workspace, audits: bool, until: Instant) -> Result<u64> {
    let (ctx, mut writes) = (kernel.app.system("bench"), 0);
    while Instant::now() < until {
        let write = async |tx: &mut TenantTx| {
            let (workspace, id, now) = (tx.workspace_id(), tx.ctx().new_id::<JobNoun>(), tx.ctx().now());
            sqlx::query(
                "INSERT INTO bench.ticket (workspace_id, id, title, status, created_at) VALUES ($1, $2, $3, 'open', $4)",
            )
            .bind(workspace)
            .bind(id)
            .bind("A ticket")
            .bind(now)
            .execute(tx.conn())
            .await?;
            if audits {
                audit(tx, AuditEntry::new("bench.ticket.create").target("ticket", id)).await?;
            }
            Ok::<_, DbError>(())
        };
        kernel.app.db().tenant(&ctx, &workspace, write).await?;
        writes += 1;
    }
    Ok(writes)
}
