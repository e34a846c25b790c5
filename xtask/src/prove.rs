//! `cargo xtask prove`: shows a property by trying to break it, and that the trial would notice.

use std::pin::Pin;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::outcome::Outcome;

/// One property that can be shown on demand.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// The name on the command line.
    pub name: &'static str,
    /// One line for `--list`.
    pub about: &'static str,
    /// The faults it can plant; each must make it miss a goal.
    pub faults: &'static [&'static str],
    /// The trial itself.
    pub run: fn(Options) -> Running,
}

/// A trial under way.
pub type Running = Pin<Box<dyn Future<Output = Result<Outcome>>>>;

/// What a trial is asked for.
#[derive(Debug)]
pub struct Options {
    /// Fewer rounds, for `cargo xtask test`; the same goals.
    pub short: bool,
    /// The fault to plant, one of [`Proof::faults`].
    pub fault: Option<&'static str>,
}

/// Every proof, in the order in which `--all` runs them: `Proof { name, about, faults, run: |options|
/// Box::pin(isolation::run(options)) }`.
pub const PROOFS: &[Proof] = &[];

/// The command line of `cargo xtask prove`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Which proof to run
    name: Option<String>,
    /// Run all proofs
    #[arg(long)]
    all: bool,
    /// List the proofs
    #[arg(long)]
    list: bool,
    /// Fewer rounds
    #[arg(long)]
    short: bool,
    /// List the faults that the proof can plant
    #[arg(long)]
    faults: bool,
    /// Plant this fault; the proof must then exit with code 1
    #[arg(long)]
    plant: Option<String>,
}

/// Runs the command.
///
/// # Errors
///
/// When there is no such proof or fault, and when the trial could not be carried out.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    if arguments.list || arguments.all {
        for proof in PROOFS {
            println!("{:14} {}", proof.name, proof.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let proof = find(arguments.name.as_deref().unwrap_or_default())?;
    if arguments.faults {
        for fault in proof.faults {
            println!("{fault}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let fault = arguments.plant.as_deref().map(|fault| find_fault(proof, fault)).transpose()?;
    let outcome = (proof.run)(Options { short: arguments.short, fault }).await?;
    Ok(outcome.report(proof.name))
}

fn find(name: &str) -> Result<&'static Proof> {
    let Some(proof) = PROOFS.iter().find(|proof| proof.name == name) else {
        let names: Vec<_> = PROOFS.iter().map(|proof| proof.name).collect();
        bail!("there is no proof «{name}»; there are: {}", names.join(", "));
    };
    Ok(proof)
}

fn find_fault(proof: &'static Proof, name: &str) -> Result<&'static str> {
    match proof.faults.iter().find(|fault| **fault == name) {
        Some(fault) => Ok(fault),
        None => bail!("{} cannot plant «{name}»; it can plant: {}", proof.name, proof.faults.join(", ")),
    }
}
