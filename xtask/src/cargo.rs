//! Child processes, cargo among them.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::process::Command;

/// The folder that cargo builds into: this program lies in it.
///
/// # Errors
///
/// When the system does not tell where this program is.
pub fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    Ok(target.map_or_else(|| PathBuf::from("target"), PathBuf::from))
}

/// The folder of the workspace.
#[must_use]
pub fn workspace_dir() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or_else(|| own.clone(), PathBuf::from)
}

/// `cargo` itself, the one that runs this program.
#[expect(clippy::disallowed_methods, reason = "cargo tells its children so where it is")]
#[must_use]
pub fn cargo() -> Command {
    child(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program that sees the environment as it was before `cargo run` added the package's own variables: some build
/// scripts look at them and would be run, and all that depends on them built, with each change of the caller.
#[expect(clippy::disallowed_methods, reason = "the variables to remove are those that are there")]
pub fn child(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars() {
        let is_of_the_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        if is_of_the_package.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.kill_on_drop(true);
    command
}
