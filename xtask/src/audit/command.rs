//! `cargo xtask audit verify`: verification on a database of one's own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use kernel_core::audit::{Checkpoint, verify_database};
use kernel_core::secret::{EnvSecrets, ExposeSecret, FileSecrets, SecretSource, SecretSources, SecretString};
use kernel_core::{Db, DbConfig, LocalKeys, Reason, RoleNames};

/// The command line of `cargo xtask audit`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Find rows of the audit log that were changed, removed, inserted or forged after they were sealed
    ///
    /// Reads the variables of the product, secrets as files too: `OPERATOR_DATABASE_URL`, `DATABASE_ROLE_PREFIX`, `APP_KEY`, `APP_KEY_ID` and `APP_KEYS_OLDER`. Exit code 1 means that something was found, 2 that the log could not be verified.
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// Checkpoints that an earlier run saved: the chains must go through them
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Save the present checkpoints, one JSON object per line; keep the file away from the database
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Why, for the log itself
    #[arg(long, default_value = "verification of the audit log from the command line")]
    reason: String,
}

/// Runs the command.
///
/// # Errors
///
/// When a variable is missing, a file cannot be used, or the database refuses.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let Command::Verify(wanted) = arguments.command;
    let known = wanted.known.as_deref().map(read).transpose()?.unwrap_or_default();
    let reason = Reason::new(wanted.reason)?;
    let secrets = secrets();
    let (db, keys) = (database(&secrets).await?, keys(&secrets).await?);
    let mut lines = String::new();
    let mut unwritable = None;
    let mut seen = |checkpoint: Checkpoint| match serde_json::to_string(&checkpoint) {
        Ok(line) => lines.push_str(&(line + "\n")),
        Err(error) => unwritable = Some(error),
    };
    let report = verify_database(&db, keys, &reason, &known, &mut seen);
    let report = report.await.context("the log cannot be verified")?;
    for finding in &report.findings {
        println!("{finding}");
    }
    if let Some(file) = wanted.save.filter(|_| report.is_clean()) {
        if let Some(error) = unwritable {
            return Err(error).context("a checkpoint cannot be written");
        }
        std::fs::write(&file, lines).with_context(|| format!("cannot write {}", file.display()))?;
    }
    println!(
        "audit: workspaces={} sealed={} expired={} unsealed={} broken={}",
        report.workspaces, report.sealed, report.expired, report.unsealed, report.broken
    );
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn read(file: &Path) -> Result<Vec<Checkpoint>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            serde_json::from_str(line)
                .with_context(|| format!("{} holds no checkpoint: {line}", file.display()))
        })
        .collect()
}

/// Plain variables, files that `NAME_FILE` names, and files in the folder `SECRETS_DIR`.
fn secrets() -> SecretSources {
    let plain = SecretSources::new().with(EnvSecrets::new(var));
    match var("SECRETS_DIR") {
        Some(folder) => plain.with(FileSecrets::new(folder)),
        None => plain,
    }
}

/// The operator login is the only one that is used.
async fn database(secrets: &SecretSources) -> Result<Db> {
    let operator = needed(secrets, "OPERATOR_DATABASE_URL").await?.expose_secret().to_owned();
    let mut db = DbConfig::new(operator.clone());
    db.operator = Some(operator);
    if let Some(prefix) = var("DATABASE_ROLE_PREFIX") {
        db.roles = RoleNames::prefixed(&prefix);
    }
    Ok(Db::new(&db)?)
}

async fn keys(secrets: &SecretSources) -> Result<LocalKeys> {
    let key_id = var("APP_KEY_ID").unwrap_or_else(|| "1".to_owned());
    let key = needed(secrets, "APP_KEY").await?;
    let keys = LocalKeys::new(key_id, key.expose_secret()).context("APP_KEY cannot be read")?;
    let older = secrets.get("APP_KEYS_OLDER").await?.unwrap_or_default();
    keys.and_all_older(older.expose_secret()).context("APP_KEYS_OLDER cannot be read")
}

async fn needed(secrets: &SecretSources, name: &str) -> Result<SecretString> {
    secrets.get(name).await?.with_context(|| format!("{name} is not set"))
}

#[expect(clippy::disallowed_methods, reason = "a command of a host reads the host's environment")]
fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
