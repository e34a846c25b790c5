//! `cargo xtask prove telemetry`: every line names its request, a trace goes from the request through the outbox to the
//! job, strangers make no series, and whoever is told, or is not there, holds nobody up. `cargo xtask telemetry` writes the
//! dashboard and the alert rules, whose every query the proof looks up among the metrics of a running product.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cargo;
use crate::outcome::{Outcome, Stopwatch};
use crate::prove::Options;

pub mod alert;
pub mod dashboard;
mod flood;
mod line;
mod product;
pub mod query;
mod rule;
mod trace;
mod trouble;

#[cfg(doctest)]
#[doc = include_str!("../../docs/telemetry.md")]
mod guide {}

/// A line of a request that is logged outside its span.
const BARE_LINE: &str = "bare-line";
/// The relay forgets whose trace an event belongs to.
const LOST_TRACE: &str = "lost-trace";
/// A series for each path that somebody asks for.
const SERIES_PER_PATH: &str = "series-per-path";
/// The reporter waits until it is heard.
const WAITING_REPORTER: &str = "waiting-reporter";
/// The reporter keeps what was said of the workspace before.
const STICKY_SCOPE: &str = "sticky-scope";
/// A diagram asks for a metric that nobody keeps.
const UNKNOWN_METRIC: &str = "unknown-metric";

/// The faults that the proof can plant.
pub const FAULTS: &[&str] =
    &[BARE_LINE, LOST_TRACE, SERIES_PER_PATH, WAITING_REPORTER, STICKY_SCOPE, UNKNOWN_METRIC];

/// The files that are made of declarations, and what is in them.
#[must_use]
pub fn files() -> [(PathBuf, String); 2] {
    let folder = cargo::workspace_dir().join("docs/telemetry");
    let text = |value: &Value| format!("{value:#}\n");
    [
        (folder.join("alerts.json"), text(&alert::rules())),
        (folder.join("dashboard.json"), text(&dashboard::dashboard())),
    ]
}

/// Writes the files anew.
///
/// # Errors
///
/// When they cannot be written.
pub fn write() -> Result<ExitCode> {
    for (path, text) in files() {
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the product and looks at everything that it tells.
///
/// # Errors
///
/// When a part could not be carried out.
pub async fn run(options: Options) -> Result<Outcome> {
    let mut clock = Stopwatch::start();
    let told = line::told(&options).await?;
    clock.done("a day of the product told");
    let flood = flood::flooded(&options).await?;
    clock.done("flooded");
    let trouble = trouble::endured(&options).await?;
    clock.done("deaf listeners endured");
    let mut outcome = told.outcome().join(flood).join(trouble);
    outcome = outcome.join(rule::held(&options, &told.metrics).await?);
    clock.done("dashboard and alerts looked up");
    Ok(outcome)
}
