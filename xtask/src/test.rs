//! `cargo xtask test`: everything that must hold before a change goes in.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::{cargo, postgres, prove};

mod tally;

use tally::Tally;

/// The command line of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Leave out a step: fmt, clippy, tests, doctests, doc, package or prove
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
}

/// Runs every step, also after one that failed, and closes with a line `N passed, N failed`.
///
/// # Errors
///
/// When there is no PostgreSQL, and when a step cannot be started.
#[expect(clippy::disallowed_methods, reason = "the environment says whether something may be left out")]
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let requires_all = std::env::var("KERNEL_REQUIRE_ALL").is_ok_and(|value| value == "1");
    // The build replaces this program, so ask before it does.
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let server = postgres::find(&postgres::passing("test")?).await?;
    eprintln!("PostgreSQL {}", server.major());
    let left_out = LeftOut::new()?;

    let mut ended = Vec::new();
    for step in steps(&program, &server.url("postgres"), &left_out.file).await {
        if arguments.skip.iter().any(|skipped| step.is(skipped)) {
            continue;
        }
        eprintln!("\n== {}", step.name);
        let began = Instant::now();
        let tally = tally::run(step.command).await.with_context(|| format!("cannot start {}", step.name))?;
        ended.push(Ended { name: step.name, tally, took: began.elapsed() });
    }
    drop(server);
    Ok(report(&ended, &left_out.lines()?, requires_all))
}

struct Step {
    name: String,
    command: Command,
}

impl Step {
    fn new(name: impl Into<String>, command: Command) -> Self {
        Self { name: name.into(), command }
    }

    /// Whether `skipped` means this step: all proofs go by the one name.
    fn is(&self, skipped: &str) -> bool {
        self.name.split(' ').next() == Some(skipped)
    }
}

struct Ended {
    name: String,
    tally: Tally,
    took: Duration,
}

async fn steps(program: &Path, url: &str, left_out: &Path) -> Vec<Step> {
    let tests = |arguments: &[&str]| {
        let mut command = cargo(arguments);
        command.env("KERNEL_PG_URL", url).env("KERNEL_LEFT_OUT", left_out);
        command
    };
    let mut steps = vec![
        Step::new("fmt", cargo(&["fmt", "--all", "--check", "--", "-l"])),
        Step::new(
            "clippy",
            cargo(&["clippy", "--workspace", "--all-features", "--all-targets", "--", "-D", "warnings"]),
        ),
        Step::new(
            "tests",
            if has_nextest().await {
                tests(&["nextest", "run", "--workspace", "--all-features", "--no-fail-fast"])
            } else {
                tests(&["test", "--workspace", "--all-features", "--all-targets", "--no-fail-fast"])
            },
        ),
        Step::new("doctests", tests(&["test", "--workspace", "--all-features", "--doc", "--no-fail-fast"])),
    ];
    let mut doc = cargo(&["doc", "--workspace", "--all-features", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    steps.push(Step::new("doc", doc));
    let mut package = cargo::child(program);
    package.arg("package");
    steps.push(Step::new("package", package));
    for proof in prove::PROOFS {
        let mut command = cargo::child(program);
        command.args(["prove", proof.name, "--short"]).env("KERNEL_LEFT_OUT", left_out);
        command.env(postgres::MEMORY_VARIABLE, postgres::MEMORY);
        steps.push(Step::new(format!("prove {}", proof.name), command));
    }
    steps
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = cargo::cargo();
    command.args(arguments).current_dir(cargo::workspace_dir());
    command
}

async fn has_nextest() -> bool {
    let out = cargo(&["nextest", "--version"]).output().await;
    out.is_ok_and(|out| out.status.success())
}

/// The list that tests add to when they cannot do all of their work here.
struct LeftOut {
    file: PathBuf,
}

impl LeftOut {
    fn new() -> Result<Self> {
        let file = cargo::target_dir()?.join(format!("left-out-{}", std::process::id()));
        std::fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Self { file })
    }

    fn lines(&self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(&self.file).context("cannot read what was left out")?;
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines.dedup();
        Ok(lines)
    }
}

impl Drop for LeftOut {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Prints the summary; nothing left out counts as a failure unless all is required.
fn report(ended: &[Ended], left_out: &[String], requires_all: bool) -> ExitCode {
    println!();
    for Ended { name, tally, took } in ended {
        let verdict = if tally.is_good() { "ok" } else { "FAIL" };
        let tests = if tally.counted() { tally.to_string() } else { String::new() };
        println!("{verdict:>4}  {name:20} {:>7.1} s  {tests}", took.as_secs_f64());
    }
    for line in left_out {
        println!("LEFT OUT  {line}");
    }
    let mut sum: Tally = ended.iter().map(|ended| ended.tally).sum();
    if requires_all {
        sum.failed += left_out.len();
    }
    println!("{sum}");
    if sum.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
