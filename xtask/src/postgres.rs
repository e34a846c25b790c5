//! `cargo xtask postgres`: a PostgreSQL by hand, and the one that the other commands use.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use kernel_core::testkit::postgres::{Postgres, Search};
use sqlx::{Connection, PgConnection};

use crate::cargo;

/// The command line of `cargo xtask postgres`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Which cluster; `test` and `dev` are those of the commands with these names
    #[arg(long, default_value = "test")]
    cluster: String,
    /// Survive a crash of the machine, at the price of slower writes
    #[arg(long)]
    durable: bool,
    /// Where private clusters lie, instead of the build's target folder
    #[arg(long)]
    target_dir: Option<PathBuf>,
    /// A command to run with `KERNEL_PG_URL` set; without one, the server runs until this command is interrupted
    #[arg(last = true)]
    command: Vec<String>,
}

/// The variable that lets a command put the cluster of the tests into memory.
pub const MEMORY_VARIABLE: &str = "KERNEL_PG_MEMORY";
/// Where Linux offers a file system in memory.
pub const MEMORY: &str = "/dev/shm";

/// Runs the command.
///
/// # Errors
///
/// When there is no PostgreSQL, and when the command to run cannot be started.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut search = search(&arguments.cluster)?;
    search.durable = arguments.durable;
    if let Some(target_dir) = arguments.target_dir {
        search.target_dir = target_dir;
    }
    let postgres = find(&search).await?;
    let url = postgres.url("postgres");
    let Some((program, rest)) = arguments.command.split_first() else {
        println!("{url}");
        eprintln!("PostgreSQL {} runs; interrupt to stop it", postgres.major());
        // Nothing is left to do here: its supervisor stops the server when this process is gone.
        return std::future::pending().await;
    };
    let status = cargo::child(program).args(rest).env("KERNEL_PG_URL", url).status().await;
    let status = status.with_context(|| format!("cannot start {program}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// What the environment names, or else the private cluster of this name under the target folder.
///
/// # Errors
///
/// When the target folder cannot be told.
pub fn search(cluster: &str) -> Result<Search> {
    let mut search = Search::from_env(cargo::target_dir()?);
    if cluster != search.cluster {
        // What others hold is kept.
        search.memory_dir = None;
    }
    cluster.clone_into(&mut search.cluster);
    Ok(search)
}

/// The same for a run after which nothing of it is wanted: in memory, where the system offers a file system for that.
///
/// # Errors
///
/// When the target folder cannot be told.
pub fn passing(cluster: &str) -> Result<Search> {
    let mut search = search(cluster)?;
    search.memory_dir = Some(PathBuf::from(MEMORY));
    Ok(search)
}

/// Finds the server and tells on standard error what takes time.
///
/// # Errors
///
/// When there is none, and when a durable one is wanted but the one that the environment names is not.
pub async fn find(search: &Search) -> Result<Postgres> {
    let postgres = Postgres::find(search, &mut |line| eprintln!("{line}")).await?;
    if search.durable {
        let mut conn = PgConnection::connect_with(postgres.options()).await?;
        let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut conn).await?;
        ensure!(fsync == "on", "the named server does not survive a crash: its setting fsync is {fsync}");
    }
    Ok(postgres)
}
