//! `cargo xtask dev`: the example product on a PostgreSQL of its own.

use std::process::ExitCode;

use anyhow::Result;

use crate::postgres;

/// The command line of `cargo xtask dev`.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the command.
///
/// # Errors
///
/// When there is no PostgreSQL.
pub async fn run(_: Arguments) -> Result<ExitCode> {
    let postgres = postgres::find(&postgres::search("dev")?).await?;
    println!("PostgreSQL {}: {}", postgres.major(), postgres.url("postgres"));
    println!("tracker-axum, the product to start on it, does not serve yet; interrupt to stop the server");
    std::future::pending().await
}
