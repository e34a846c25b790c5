//! `cargo xtask prove audit`: every audit row is sealed though the sealer is killed, whatever is changed afterwards is
//! found, nobody can change it by the logins, and no privileged route stays silent. `cargo xtask audit verify`: the same
//! verification on a database of one's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kernel_core::audit::{AuditFault, Checkpoint, Report};
use kernel_core::testkit::{self, TestKernel};
use kernel_core::{Clock, Config, Entropy, Reason, WorkspaceId};
use kernel_jobs::Jobs;
use sqlx::{Executor, PgConnection};

use crate::isolation;
use crate::outcome::{Outcome, Stopwatch};
use crate::prove::Options;

mod attack;
mod command;
pub mod host;
mod process;
mod rights;
mod write;

pub use command::{Arguments, run as command};

use attack::Attacks;
use process::Host;
use write::Writers;

/// The sealer goes by ids and skips rows that commit after later ones.
const SKIP_LATE_ROWS: &str = "skip-late-rows";
/// A hash does not cover the one before it.
const NO_CHAIN: &str = "no-chain";
/// Nobody looks at the codes of heads.
const UNSIGNED_CHECKPOINT: &str = "unsigned-checkpoint";
/// The app's login may change rows.
const WRITABLE_LOG: &str = "writable-log";
/// A privileged route writes no audit row.
const SILENT_ROUTE: &str = "silent-route";

/// The faults that the proof can plant.
pub const FAULTS: &[&str] = &[SKIP_LATE_ROWS, NO_CHAIN, UNSIGNED_CHECKPOINT, WRITABLE_LOG, SILENT_ROUTE];

/// After so long an audit row is sealed.
const WINDOW: Duration = Duration::from_secs(5);
/// How long the last sealer may take over what the killed ones have left.
const PATIENCE: Duration = Duration::from_secs(15);

/// Seals under kills, attacks what was sealed, and calls every privileged route.
///
/// # Errors
///
/// When a part could not be carried out.
pub async fn run(options: Options) -> Result<Outcome> {
    let mut clock = Stopwatch::start();
    let mut outcome = Outcome::new();
    if !options.plants(SILENT_ROUTE) {
        outcome = outcome.join(sealing(&options, &mut clock).await?);
    }
    if options.fault.is_none() || options.plants(SILENT_ROUTE) {
        let server = Arc::new(options.postgres().await?);
        let tripwire = isolation::silent_routes(&server, options.plants(SILENT_ROUTE)).await?;
        clock.done("privileged routes");
        let silent = tripwire.silent.join(", ");
        outcome = outcome
            .value("privileged_routes", tripwire.routes)
            .value("silent", tripwire.silent.len())
            .require(tripwire.routes >= 5, "hardly any privileged route was called")
            .require(tripwire.open.is_empty(), format!("could not be called: {}", tripwire.open.join(", ")))
            .require(tripwire.silent.is_empty(), format!("no audit row of {silent}"));
    }
    Ok(outcome)
}

/// The configuration of the writers and of every sealer: the same key, the system's clock.
fn config(fault: Option<&str>) -> Config {
    let mut config = testkit::config();
    (config.clock, config.entropy) = (Clock::system(), Entropy::system());
    match fault {
        Some(NO_CHAIN) => testkit::audit::weaken(&mut config, AuditFault::Unchained),
        Some(UNSIGNED_CHECKPOINT) => testkit::audit::weaken(&mut config, AuditFault::Unsigned),
        _ => {}
    }
    config
}

async fn sealing(options: &Options, clock: &mut Stopwatch) -> Result<Outcome> {
    let config = config(options.fault);
    let kernel = Arc::new(TestKernel::with(config.clone(), |app| app.with(Jobs::new())).await);
    let mut admin = kernel.admin().await;
    if options.plants(SKIP_LATE_ROWS) {
        admin.execute(attack::SKIPPING).await?;
    }
    let writers = Writers::start(&kernel, if options.short { 6 } else { 16 }).await;
    let kills = if options.short { 5 } else { 60 };
    let order = host::Order::of(&kernel, options.fault);
    for _ in 0..kills {
        let host = Host::start(&order).await?;
        let [life] = Entropy::system().bytes();
        tokio::time::sleep(Duration::from_millis(50 + u64::from(life) * 2)).await;
        host.kill().await?;
    }
    let last = Host::start(&order).await?;
    clock.done("sealers killed");
    let kept = attack::keep(&mut admin).await?;
    writers.hold_no_more();
    // What waited for this sealer is no measure of the window.
    quiesce(&mut admin, Duration::from_secs(1)).await?;
    let lag = lag(&mut admin, Duration::from_secs(if options.short { 2 } else { 30 })).await?;
    let (late, committed) = (writers.late(), writers.stop().await?);
    let quiet = Instant::now();
    let left = quiesce(&mut admin, Duration::ZERO).await?;
    let (catch_up, sealed) = (quiet.elapsed(), sealed(&mut admin).await?);
    last.kill().await?;
    let (report, _) = verify(&kernel, &[]).await?;
    clock.done("sealed and verified");

    let found =
        Attacks::new(&mut admin, &config, kept, committed.keys().copied().collect()).await?.run().await?;
    clock.done("attacked");
    if options.plants(WRITABLE_LOG) {
        // Not before: no app starts on such a database.
        kernel.admin().await.execute(rights::WRITABLE).await?;
    }
    let (tried, allowed) = rights::tried(&kernel).await?;
    let missed: Vec<_> =
        committed.iter().filter(|(workspace, rows)| sealed.get(workspace) != Some(rows)).collect();
    let rows: i64 = committed.values().sum();
    Ok(Outcome::new()
        .value("workspaces", committed.len())
        .value("rows", rows)
        .value("kills", kills)
        .value("late", late)
        .value("lag_ms", lag.as_millis())
        .value("catch_up_ms", catch_up.as_millis())
        .value("unsealed", left)
        .value("findings", report.broken)
        .value("attacks", found.tried)
        .value("unnoticed", found.unnoticed.len())
        .value("refused", tried - allowed.len())
        .require(rows > 100, "hardly anything was written")
        .require(late > 5, "hardly any row committed late")
        .require(left == 0, format!("{left} row(s) are never sealed"))
        .require(missed.is_empty(), format!("not sealed as they were written: {missed:?}"))
        .require(report.is_clean(), format!("an untouched log does not verify: {}", few(&report)))
        .require(lag <= WINDOW, format!("a row waited {lag:?} for its seal"))
        .require(found.tried >= 40, "hardly any attack was made")
        .require(found.unnoticed.is_empty(), format!("unnoticed: {}", found.unnoticed.join("; ")))
        .require(allowed.is_empty(), format!("allowed: {}", allowed.join("; "))))
}

fn few(report: &Report) -> String {
    report.findings.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Waits until no row older than `age` is unsealed, and says how many are when patience ends.
async fn quiesce(admin: &mut PgConnection, age: Duration) -> Result<i64> {
    let until = Instant::now() + PATIENCE;
    loop {
        let left: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM kernel_core.audit_unsealed AS u JOIN kernel_core.audit_log AS a USING (workspace_id, id)
             WHERE a.created_at <= clock_timestamp() - $1 * interval '1 second'",
        )
        .bind(age.as_secs_f64())
        .fetch_one(&mut *admin)
        .await?;
        if left == 0 || Instant::now() > until {
            return Ok(left);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How old the oldest unsealed row became in so long.
async fn lag(admin: &mut PgConnection, span: Duration) -> Result<Duration> {
    let (until, mut longest) = (Instant::now() + span, 0.0_f64);
    while Instant::now() < until {
        let age: Option<f64> = sqlx::query_scalar(
            "SELECT extract(epoch FROM clock_timestamp() - min(a.created_at))::float8
             FROM kernel_core.audit_unsealed AS u JOIN kernel_core.audit_log AS a USING (workspace_id, id)",
        )
        .fetch_one(&mut *admin)
        .await?;
        longest = longest.max(age.unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(Duration::from_secs_f64(longest))
}

/// How many rows of each workspace are sealed, where they are numbered from 1 without gaps.
async fn sealed(admin: &mut PgConnection) -> Result<BTreeMap<WorkspaceId, i64>> {
    let rows: Vec<(WorkspaceId, i64)> = sqlx::query_as(
        "SELECT workspace_id, count(*) FROM kernel_core.audit_seal
         GROUP BY workspace_id
         HAVING min(seq) = 1 AND max(seq) = count(*) AND count(DISTINCT id) = count(*)",
    )
    .fetch_all(admin)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Verifies under the operator login, as staff would.
async fn verify(kernel: &TestKernel, known: &[Checkpoint]) -> Result<(Report, Vec<Checkpoint>)> {
    let reason = Reason::new("the proof of the audit log").context("a reason")?;
    let (ctx, mut seen) = (kernel.app.system("proof"), Vec::new());
    let report =
        kernel_core::audit::verify(&kernel.app, &ctx, &reason, known, &mut |one| seen.push(one)).await?;
    ensure!(report.workspaces > 0, "there is nothing to verify");
    Ok((report, seen))
}
