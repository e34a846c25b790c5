//! `cargo xtask bench`: measures what something costs against a stated goal, beside its peers and its floor.
//!
//! The measurements are programs of the workspace `benches/`, built for release; what peers depend on stays there.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::{cargo, postgres};

/// Every measurement: its name, and one line about it.
const BENCHES: &[(&str, &str)] = &[
    ("tenancy", "a tenant transaction against a plain one with a hand-written WHERE"),
    ("search", "a search under row-level security against the query that a superuser filters by hand"),
    ("audit", "an audited write against the same without its audit row, and how soon rows are sealed"),
    ("http", "a route behind the whole chain against the same handler behind tower-http"),
    ("telemetry", "what lines, metrics and spans cost a request, beside tower-http's trace"),
    ("limits", "counting a request, in each of three ways, against governor and a bare UPDATE"),
];

/// The command line of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Which measurement to run
    #[arg(required_unless_present_any = ["all", "list"])]
    name: Option<String>,
    /// Run all measurements
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// List the measurements
    #[arg(long)]
    list: bool,
    /// Fewer blocks; the interval is wider then
    #[arg(long)]
    short: bool,
}

/// Runs the command. Exit code 1 means that a goal was missed, 2 that the measurement could not be carried out.
///
/// # Errors
///
/// When there is no such measurement, and when it could not be built.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    if arguments.list {
        for (name, about) in BENCHES {
            println!("{name:14} {about}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = |name: &str| arguments.all || Some(name) == arguments.name.as_deref();
    let benches: Vec<_> = BENCHES.iter().filter(|(name, _)| wanted(name)).collect();
    if benches.is_empty() {
        let names: Vec<_> = BENCHES.iter().map(|(name, _)| *name).collect();
        let name = arguments.name.unwrap_or_default();
        bail!("there is no measurement «{name}»; there are: {}", names.join(", "));
    }
    // Writing must cost what it costs in production.
    let mut search = postgres::search("bench")?;
    search.durable = true;
    let server = postgres::find(&search).await?;
    let mut code = ExitCode::SUCCESS;
    for (name, _) in benches {
        let manifest = cargo::workspace_dir().join("benches/Cargo.toml");
        let mut command = cargo::cargo();
        command
            // Not quietly: the first build takes minutes.
            .args(["run", "--release", "--bin", name, "--manifest-path"])
            .arg(manifest)
            .arg("--");
        if arguments.short {
            command.arg("--short");
        }
        let status = command.env("KERNEL_PG_URL", server.url("postgres")).status().await;
        match status.context("cannot start cargo")?.code() {
            Some(0) => {}
            Some(1) if code == ExitCode::SUCCESS => code = ExitCode::from(1),
            _ => code = ExitCode::from(2),
        }
    }
    Ok(code)
}
