//! `cargo xtask dev`: the example product on a PostgreSQL of its own.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::postgres;

/// The command line of `cargo xtask dev`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Do no more than this, and end
    #[arg(long, value_name = "STEP")]
    only: Option<Step>,
}

/// A part of starting the product that can be had alone.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Step {
    /// Bring the schema up to date
    Migrate,
    /// Put the example data in
    Seed,
}

/// Runs the command.
///
/// # Errors
///
/// When there is no PostgreSQL.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    if let Some(step) = arguments.only {
        bail!("tracker-axum, the product to {step:?}, is not there yet");
    }
    let postgres = postgres::find(&postgres::search("dev")?).await?;
    println!("PostgreSQL {}: {}", postgres.major(), postgres.url("postgres"));
    println!("tracker-axum, the product to start on it, does not serve yet; interrupt to stop the server");
    std::future::pending().await
}
