//! `cargo xtask fuzz`: libFuzzer against every parser of outside bytes, on the stable toolchain.
//!
//! The program is built from the workspace `fuzz/` with the compiler's own counters of coverage, which need no nightly;
//! only the address sanitizer would, and the kernel's crates have no `unsafe`. What is found on the way is kept in the
//! target folder; what breaks something is written there too, and its bytes are printed.

pub mod target;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo;
use target::{TARGETS, Target};

/// What the compiler is told, so that libFuzzer sees which way the code went. All of it is stable.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// No input is longer: the parsers' own limits lie below, but for files.
const LENGTH_MAX: &str = "-max_len=8192";
/// One input may take this long, in seconds, and the program this much memory, in MiB.
const LIMITS: [&str; 2] = ["-timeout=5", "-rss_limit_mb=1024"];

/// The command line of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Which target to fuzz
    #[arg(required_unless_present_any = ["all", "list"])]
    target: Option<String>,
    /// Fuzz all targets, one after the other
    #[arg(long, conflicts_with = "target")]
    all: bool,
    /// List the targets
    #[arg(long)]
    list: bool,
    /// For how long, each
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
}

/// Runs the command. Exit code 1 means that something was broken.
///
/// # Errors
///
/// When there is no such target, and when the program does not build or start.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    if arguments.list {
        for target in TARGETS {
            println!("{}", target.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = |target: &&Target| arguments.all || arguments.target.as_deref() == Some(target.name);
    let targets: Vec<_> = TARGETS.iter().filter(wanted).collect();
    if targets.is_empty() {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        let name = arguments.target.unwrap_or_default();
        bail!("there is no target «{name}»; there are: {}", names.join(", "));
    }
    let program = build().await?;
    let mut code = ExitCode::SUCCESS;
    for target in targets {
        if !fuzz(&program, target, arguments.minutes).await? {
            code = ExitCode::from(1);
        }
    }
    Ok(code)
}

async fn build() -> Result<PathBuf> {
    let host = host().await?;
    let folder = cargo::target_dir()?.join("fuzz");
    let mut command = cargo::cargo();
    command
        // With a target named, build scripts and macros are built without the counters.
        .args(["build", "--release", "--target", &host, "--manifest-path"])
        .arg(cargo::workspace_dir().join("fuzz/Cargo.toml"))
        .env("CARGO_TARGET_DIR", &folder)
        .env("CARGO_INCREMENTAL", "0")
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let status = command.status().await.context("cargo cannot be started")?;
    ensure!(status.success(), "the fuzzing program does not build");
    Ok(folder.join(host).join("release/fuzz"))
}

/// The machine's own target.
async fn host() -> Result<String> {
    let output = cargo::child("rustc").arg("-vV").output().await.context("rustc cannot be started")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say for which machine it is")
}

/// Fuzzes one target, and says whether all held.
async fn fuzz(program: &Path, target: &Target, minutes: f64) -> Result<bool> {
    let folder = cargo::target_dir()?.join("fuzz/found").join(target.name);
    let (grown, broken) = (folder.join("corpus"), folder.join("broken"));
    std::fs::create_dir_all(&grown)?;
    std::fs::create_dir_all(&broken)?;
    let seconds = (minutes * 60.0).ceil();
    let began = Instant::now();
    let mut command = cargo::child(program);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", broken.display()))
        .args(LIMITS)
        .args([LENGTH_MAX, "-print_final_stats=1", "-use_value_profile=1"])
        .arg(&grown)
        // The first folder is written to, the others are only read.
        .arg(seeds(target.name))
        .env("FUZZ_TARGET", target.name)
        .stderr(Stdio::piped());
    let output = command.spawn().context("the fuzzing program cannot be started")?.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    let clean = output.status.success();
    if !clean {
        eprintln!("{}", tail(&said));
    }
    println!(
        "fuzz: target={} runs={} cov={} minutes={:.1} broken={}",
        target.name,
        figure(&said, "stat::number_of_executed_units:").unwrap_or("?"),
        figure(&said, " cov:").unwrap_or("?"),
        began.elapsed().as_secs_f64() / 60.0,
        u8::from(!clean),
    );
    Ok(clean)
}

/// The inputs that are kept with the sources: where fuzzing starts, and what broke something once.
#[must_use]
pub fn seeds(target: &str) -> PathBuf {
    cargo::workspace_dir().join("fuzz/corpus").join(target)
}

/// The word after the last `label`.
fn figure<'s>(said: &'s str, label: &str) -> Option<&'s str> {
    said.rsplit_once(label)?.1.split_whitespace().next()
}

fn tail(said: &str) -> String {
    let lines: Vec<_> = said.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
