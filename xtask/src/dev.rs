//! `cargo xtask dev`: the example product on a PostgreSQL of its own.

use std::process::ExitCode;

use anyhow::{Result, bail};

/// The command line of `cargo xtask dev`.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the command.
///
/// # Errors
///
/// Until the product exists.
#[expect(clippy::unused_async, reason = "the product's start is awaited here once it exists")]
pub async fn run(_: Arguments) -> Result<ExitCode> {
    bail!("the example product is not there yet")
}
