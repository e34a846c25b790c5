//! `cargo xtask bench`: measures what something costs against a stated goal.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::prove::Running;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Bench {
    /// The name on the command line.
    pub name: &'static str,
    /// One line for `--list`.
    pub about: &'static str,
    /// The measurement itself.
    pub run: fn(Options) -> Running,
}

/// What a measurement is asked for.
#[derive(Debug)]
pub struct Options {
    /// Fewer blocks; the interval is wider then.
    pub short: bool,
}

/// Every measurement.
pub const BENCHES: &[Bench] = &[];

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
    /// Fewer blocks
    #[arg(long)]
    short: bool,
}

/// Runs the command. Exit code 1 means that a goal was missed, 2 that the measurement could not be carried out.
///
/// # Errors
///
/// When there is no such measurement, and when it could not be carried out.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    if arguments.list {
        for bench in BENCHES {
            println!("{:14} {}", bench.name, bench.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = |bench: &&Bench| arguments.all || Some(bench.name) == arguments.name.as_deref();
    let benches: Vec<_> = BENCHES.iter().filter(wanted).collect();
    if benches.is_empty() && !arguments.all {
        let names: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        let name = arguments.name.unwrap_or_default();
        bail!("there is no measurement «{name}»; there are: {}", names.join(", "));
    }
    let mut code = ExitCode::SUCCESS;
    for bench in benches {
        let outcome = (bench.run)(Options { short: arguments.short }).await?;
        if outcome.report(bench.name) != ExitCode::SUCCESS {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
