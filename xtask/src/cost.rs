//! `cargo xtask cost`: what each crate costs whoever depends on it: crates to fetch, and time to build from nothing.

use std::collections::BTreeSet;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::cargo;

/// The command line of `cargo xtask cost`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Count only, and build nothing
    #[arg(long)]
    count: bool,
    /// Build each alone, with the least features and with all, and take a warning for an error
    #[arg(long, conflicts_with = "count")]
    check: bool,
    /// Only these crates
    #[arg(value_name = "CRATE")]
    only: Vec<String>,
}

/// The crates, in the order in which they build on one another.
pub const CRATES: &[&str] = &[
    "kernel-core",
    "kernel-jobs",
    "kernel-auth",
    "kernel-tenancy",
    "kernel-axum",
    "kernel-actix",
    "kernel-billing",
    "kernel-notify",
    "kernel-files",
];

/// Prints the table of `docs/cost.md`.
///
/// # Errors
///
/// When cargo cannot be started, or a crate does not build.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    if arguments.check {
        return check(&arguments.only).await;
    }
    println!("| crate | dependencies | with all features | build, s | processor, s |");
    println!("|---|---|---|---|---|");
    for name in CRATES {
        if !is_wanted(&arguments.only, name) {
            continue;
        }
        let (least, most) = (dependencies(name, false).await?, dependencies(name, true).await?);
        let (wall, processor) =
            if arguments.count { ("–".to_owned(), "–".to_owned()) } else { built(name).await? };
        println!("| `{name}` | {least} | {most} | {wall} | {processor} |");
    }
    Ok(ExitCode::SUCCESS)
}

fn is_wanted(only: &[String], name: &str) -> bool {
    only.is_empty() || only.iter().any(|only| only == name)
}

/// Whoever depends on one crate gets no other one's features.
async fn check(only: &[String]) -> Result<ExitCode> {
    let folder = cargo::target_dir()?.join("alone");
    for name in CRATES.iter().filter(|name| is_wanted(only, name)) {
        for features in ["--no-default-features", "--all-features"] {
            let mut command = cargo::cargo();
            command.args(["check", "--package", name, features, "--offline", "--quiet", "--target-dir"]);
            command.arg(&folder).env("RUSTFLAGS", "-D warnings").stdin(Stdio::null());
            let status = command.current_dir(cargo::workspace_dir()).status().await;
            ensure!(status.context("cargo cannot be started")?.success(), "{name} {features} does not build");
            println!("{name} {features}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How many other crates it needs to be built, the kernel's own and build scripts' included.
async fn dependencies(name: &str, all_features: bool) -> Result<usize> {
    let mut command = cargo::cargo();
    command.args(["tree", "--package", name, "--edges", "normal,build", "--prefix", "none"]);
    command.args(["--format", "{p}", "--offline"]).args(all_features.then_some("--all-features"));
    let output =
        command.current_dir(cargo::workspace_dir()).output().await.context("cargo cannot be started")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    // A crate is listed wherever it is needed, after the first time with a mark behind it.
    let crates: BTreeSet<_> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    Ok(crates.len().saturating_sub(1))
}

/// Builds it from nothing, and tells how long that took on the clock and on the processors.
async fn built(name: &str) -> Result<(String, String)> {
    let folder = cargo::target_dir()?.join("cost");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let (before, started) = (children_ticks(), Instant::now());
    let mut command = cargo::cargo();
    command.args(["build", "--package", name, "--offline", "--quiet", "--target-dir"]).arg(&folder);
    let status =
        command.env("CARGO_INCREMENTAL", "0").stdin(Stdio::null()).current_dir(cargo::workspace_dir());
    let status = status.status().await.context("cargo cannot be started")?;
    ensure!(status.success(), "{name} does not build");
    let wall = started.elapsed().as_secs_f64();
    let processor = before.zip(children_ticks()).map(|(before, after)| (after - before) / TICKS);
    std::fs::remove_dir_all(&folder)?;
    let seconds = |seconds: f64| format!("{seconds:.0}");
    Ok((seconds(wall), processor.map_or_else(|| "–".to_owned(), seconds)))
}

/// What Linux counts a second of a processor's time in, whatever the machine.
const TICKS: f64 = 100.0;

/// The processor time of all children that have ended, and of theirs; only Linux tells.
fn children_ticks() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything but ends with the last parenthesis, come the state and then numbers.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(ticks(13)? + ticks(14)?)
}
