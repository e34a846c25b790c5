//! `cargo xtask prove audit`: every audit row is sealed though the sealer is killed, whatever is changed afterwards is
//! found, nobody can change it by the logins, and no privileged route stays silent. `cargo xtask audit verify`: the same
//! verification on a database of one's own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kernel_core::audit::{AuditFault, Checkpoint, Report};
use kernel_core::testkit::{self, TestKernel};
use kernel_core::{Config, Entropy, LocalKeys, Reason, WorkspaceId};
use kernel_jobs::Jobs;
use sqlx::{Executor, PgConnection};

use crate::outcome::{Outcome, Stopwatch};
use crate::prove::Options;
use crate::{cargo, isolation};

mod attack;
mod command;
pub mod host;
mod process;
mod rights;
mod write;

pub use command::{Arguments, run as command};

use attack::Attacks;
use isolation::{SILENT_ROUTE, UNDECLARED_DEED};
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

/// The faults that the proof can plant.
pub const FAULTS: &[&str] =
    &[SKIP_LATE_ROWS, NO_CHAIN, UNSIGNED_CHECKPOINT, WRITABLE_LOG, SILENT_ROUTE, UNDECLARED_DEED];

/// A key that protects nothing.
const KEY: &str = "dGVzdCBrZXksIHByb3RlY3RzIG5vdGhpbmcgYXQgYWw=";
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
    let of_routes = options.plants(SILENT_ROUTE) || options.plants(UNDECLARED_DEED);
    if !of_routes {
        outcome = outcome.join(sealing(&options, &mut clock).await?);
    }
    if options.fault.is_none() || of_routes {
        let server = Arc::new(options.postgres().await?);
        let tripwire = isolation::silent_routes(&server, options.fault).await?;
        clock.done("privileged routes");
        let (silent, undeclared) = (tripwire.silent.join(", "), tripwire.undeclared.join(", "));
        outcome = outcome
            .value("privileged_routes", tripwire.routes)
            .value("silent", tripwire.silent.len())
            .value("undeclared", tripwire.undeclared.len())
            .require(tripwire.routes >= 5, "hardly any privileged route was called")
            .require(tripwire.open.is_empty(), format!("could not be called: {}", tripwire.open.join(", ")))
            .require(tripwire.silent.is_empty(), format!("no audit row of {silent}"))
            .require(tripwire.undeclared.is_empty(), format!("no pillar declares {undeclared}"));
    }
    Ok(outcome)
}

/// The configuration of the writers and of every sealer: the same key, the system's clock.
fn config(fault: Option<&str>) -> Config {
    let mut config = Config::new(LocalKeys::new("audit", KEY).expect("the text is 32 bytes in base64"));
    match fault {
        Some(NO_CHAIN) => testkit::audit::weaken(&mut config, AuditFault::Unchained),
        Some(UNSIGNED_CHECKPOINT) => testkit::audit::weaken(&mut config, AuditFault::Unsigned),
        _ => {}
    }
    config
}

async fn sealing(options: &Options, clock: &mut Stopwatch) -> Result<Outcome> {
    let kernel = Arc::new(TestKernel::with(config(options.fault), |app| app.with(Jobs::new())).await);
    let mut admin = kernel.admin().await;
    if options.plants(SKIP_LATE_ROWS) {
        admin.execute(attack::SKIPPING).await?;
    }
    let written = Written::under_kills(&kernel, &mut admin, options).await?;
    let sealed = sealed(&mut admin).await?;
    let (report, _) = verify(&kernel).await?;
    clock.done("sealed under kills and verified");
    let workspaces = written.committed.keys().copied().collect();
    let found = Attacks::new(&mut admin, &kernel.app, workspaces).await?.run().await?;
    clock.done("attacked");
    if options.plants(WRITABLE_LOG) {
        // Not before: no app starts on such a database.
        kernel.admin().await.execute(rights::WRITABLE).await?;
    }
    let (tried, allowed) = rights::tried(&kernel).await?;
    let codes = by_command(&kernel, &mut admin).await?;
    clock.done("verified from the command line");
    Ok(written
        .outcome(&sealed)
        .value("findings", report.broken)
        .value("attacks", found.tried)
        .value("unnoticed", found.unnoticed.len())
        .value("refused", tried - allowed.len())
        .value("command", format!("{},{}", codes[0], codes[1]))
        .require(report.is_clean(), format!("an untouched log does not verify: {}", few(&report)))
        .require(found.tried >= 40, "hardly any attack was made")
        .require(found.unnoticed.is_empty(), format!("unnoticed: {}", found.unnoticed.join("; ")))
        .require(codes == [0, 1], "the command does not tell a sound log from a changed one")
        .require(allowed.is_empty(), format!("allowed: {}", allowed.join("; "))))
}

/// What was written while sealers were killed, and how the last one coped.
struct Written {
    committed: BTreeMap<WorkspaceId, i64>,
    kills: u32,
    late: u64,
    lag: Duration,
    catch_up: Duration,
    left: i64,
}

impl Written {
    async fn under_kills(
        kernel: &Arc<TestKernel>,
        admin: &mut PgConnection,
        options: &Options,
    ) -> Result<Self> {
        let writers = Writers::start(kernel, if options.short { 6 } else { 16 }).await;
        let kills = if options.short { 5 } else { 60 };
        let order = host::Order::of(kernel, options.fault);
        for _ in 0..kills {
            let host = Host::start(&order).await?;
            let [life] = Entropy::system().bytes();
            tokio::time::sleep(Duration::from_millis(50 + u64::from(life) * 2)).await;
            host.kill().await?;
        }
        let last = Host::start(&order).await?;
        attack::keep(admin).await?;
        writers.hold_no_more();
        // What waited for this sealer is no measure of the window.
        quiesce(admin, Duration::from_secs(1)).await?;
        let lag = lag(admin, Duration::from_secs(if options.short { 2 } else { 30 })).await?;
        let (late, committed) = (writers.late(), writers.stop().await?);
        let quiet = Instant::now();
        let left = quiesce(admin, Duration::ZERO).await?;
        let catch_up = quiet.elapsed();
        last.kill().await?;
        Ok(Self { committed, kills, late, lag, catch_up, left })
    }

    fn outcome(&self, sealed: &BTreeMap<WorkspaceId, i64>) -> Outcome {
        let Self { committed, kills, late, lag, catch_up, left } = self;
        let missed: Vec<_> =
            committed.iter().filter(|(workspace, rows)| sealed.get(workspace) != Some(rows)).collect();
        let rows: i64 = committed.values().sum();
        Outcome::new()
            .value("workspaces", committed.len())
            .value("rows", rows)
            .value("kills", kills)
            .value("late", late)
            .value("lag_ms", lag.as_millis())
            .value("catch_up_ms", catch_up.as_millis())
            .value("unsealed", left)
            .require(rows > 100, "hardly anything was written")
            .require(*late > 5, "hardly any row committed late")
            .require(*left == 0, format!("{left} row(s) are never sealed"))
            .require(missed.is_empty(), format!("not sealed as they were written: {missed:?}"))
            .require(*lag <= WINDOW, format!("a row waited {lag:?} for its seal"))
    }
}

fn few(report: &Report) -> String {
    report.findings.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Waits until no row older than `age` is unsealed, and says how many are when patience ends.
async fn quiesce(admin: &mut PgConnection, age: Duration) -> Result<i64> {
    let until = Instant::now() + PATIENCE;
    loop {
        let left: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM kernel_core.audit_unsealed AS a
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
             FROM kernel_core.audit_unsealed AS a",
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

/// The exit codes of `cargo xtask audit verify` before and after a row is changed for good.
async fn by_command(kernel: &TestKernel, admin: &mut PgConnection) -> Result<[i32; 2]> {
    let kept = std::env::temp_dir().join(format!("kernel_audit_{}.jsonl", std::process::id()));
    let sound = command_line(kernel, "--save", &kept).await?;
    admin.execute("SET session_replication_role = replica").await?;
    let changed = admin
        .execute(
            "UPDATE kernel_core.audit_log AS a SET action = 'forged' FROM kernel_core.audit_seal AS s
             WHERE s.workspace_id = a.workspace_id AND s.id = a.id AND s.seq = 3",
        )
        .await?;
    ensure!(changed.rows_affected() > 0, "there is no row to change");
    let forged = command_line(kernel, "--known", &kept).await?;
    // It is not there when the first run found fault with a log that a fault was planted in.
    drop(std::fs::remove_file(&kept));
    Ok([sound, forged])
}

async fn command_line(kernel: &TestKernel, option: &str, file: &Path) -> Result<i32> {
    let (logins, roles) = (kernel.database.logins(), testkit::roles());
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let mut verify = cargo::child(program);
    verify.args(["audit", "verify", option]).arg(file).stdout(Stdio::null()).stderr(Stdio::null());
    verify
        .env("OPERATOR_DATABASE_URL", logins.of(&roles.operator))
        .env("DATABASE_ROLE_PREFIX", "kernel_test");
    verify.env("APP_KEY_ID", "audit").env("APP_KEY", KEY);
    let status = verify.status().await.context("cannot start the verification")?;
    Ok(status.code().unwrap_or(-1))
}

/// Verifies under the operator login, as staff would.
async fn verify(kernel: &TestKernel) -> Result<(Report, Vec<Checkpoint>)> {
    let reason = Reason::new("the proof of the audit log").context("a reason")?;
    let (ctx, mut seen) = (kernel.app.system("proof"), Vec::new());
    let report =
        kernel_core::audit::verify(&kernel.app, &ctx, &reason, &[], &mut |one| seen.push(one)).await?;
    ensure!(report.workspaces > 0, "there is nothing to verify");
    Ok((report, seen))
}
