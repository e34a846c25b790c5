//! `cargo xtask doctor`: examines the development installation of the example product, and says what to mend.

use std::process::ExitCode;

use anyhow::Result;
use kernel_core::doctor::Verdict;
use kernel_core::{Config, Db, RoleNames};
use tracker::Settings;

use crate::dev::{self, DATABASE};
use crate::outcome::Outcome;

/// The command line of `cargo xtask doctor`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print what is sound, too
    #[arg(long)]
    all: bool,
}

/// Runs the command. Exit code 1 means that something is to be mended.
///
/// # Errors
///
/// When there is no PostgreSQL, or a database that is not there yet cannot be made.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    // The server stops when this is dropped.
    let (_server, logins) = dev::as_it_is().await?;
    let builder = tracker::app(Db::new(&logins.config())?, Config::new(logins.keys()), &Settings::default());
    let migrate = logins.of(&RoleNames::prefixed(DATABASE).migrate);
    let report = builder.examine(Some(&migrate)).await;
    let count = |is: fn(&Verdict) -> bool| report.diagnoses.iter().filter(|d| is(&d.verdict)).count();
    for diagnosis in report.diagnoses.iter().filter(|d| arguments.all || d.verdict != Verdict::Sound) {
        println!("{diagnosis}");
    }
    Ok(Outcome::new()
        .value("checks", report.diagnoses.len())
        .value("sound", count(|verdict| matches!(verdict, Verdict::Sound)))
        .value("advice", count(|verdict| matches!(verdict, Verdict::Advice { .. })))
        .value("skipped", count(|verdict| matches!(verdict, Verdict::Skipped(_))))
        .value("faults", count(|verdict| matches!(verdict, Verdict::Fault { .. })))
        .require(report.is_sound(), "something is to be mended")
        .report("doctor"))
}
