//! `cargo xtask prove`: shows a property by trying to break it, and that the trial would notice.

use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use kernel_core::testkit::postgres::{Postgres, Search};

use crate::outcome::Outcome;
use crate::{
    atomicity, audit, browser, cargo, client, contract, import, isolation, leaks, limits, parity, postgres,
    search, secrets, statements, telemetry,
};

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

impl Options {
    /// Whether this fault is to be planted.
    #[must_use]
    pub fn plants(&self, fault: &str) -> bool {
        self.fault == Some(fault)
    }

    /// A server that is fast and would not survive a crash of the machine; hold on to it while the trial runs.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn postgres(&self) -> Result<Postgres> {
        postgres::find(&self.search()?).await
    }

    /// A server that survives a crash, as in production.
    ///
    /// # Errors
    ///
    /// When there is none, or the one that the environment names would not survive.
    pub async fn durable_postgres(&self) -> Result<Postgres> {
        let mut search = self.search()?;
        search.durable = true;
        postgres::find(&search).await
    }

    /// Where servers are looked for, for those that go before a PostgreSQL.
    ///
    /// # Errors
    ///
    /// When the target folder cannot be told.
    pub fn search(&self) -> Result<Search> {
        postgres::search("test")
    }
}

/// Every proof, in the order in which `--all` runs them: `Proof { name, about, faults, run: |options|
/// Box::pin(isolation::run(options)) }`.
pub const PROOFS: &[Proof] = &[
    Proof {
        name: "isolation",
        about: "no tenant reaches another, whatever the product's author forgets",
        faults: isolation::FAULTS,
        run: |options| Box::pin(isolation::run(options)),
    },
    Proof {
        name: "parity",
        about: "axum, actix-web and the app in memory answer alike, whatever comes in",
        faults: parity::FAULTS,
        run: |options| Box::pin(parity::run(options)),
    },
    Proof {
        name: "contract",
        about: "the API does what its OpenAPI document says, whatever comes in",
        faults: contract::FAULTS,
        run: |options| Box::pin(contract::run(options)),
    },
    Proof {
        name: "atomicity",
        about: "a request has all of its effects or none, once, however often the host is killed",
        faults: atomicity::FAULTS,
        run: |options| Box::pin(atomicity::run(options)),
    },
    Proof {
        name: "import",
        about: "a large file is imported in little memory, whole or not at all, however it is sent",
        faults: import::FAULTS,
        run: |options| Box::pin(import::run(options)),
    },
    Proof {
        name: "search",
        about: "a search under row-level security finds what a superuser finds, by the same plan",
        faults: search::FAULTS,
        run: |options| Box::pin(search::run(options)),
    },
    Proof {
        name: "statements",
        about: "no page of a large workspace asks the database for much, and none asks once per row",
        faults: statements::FAULTS,
        run: |options| Box::pin(statements::run(options)),
    },
    Proof {
        name: "limits",
        about: "however many nodes there are, nobody gets more than a quota's bound, and a flood stays outside",
        faults: limits::FAULTS,
        run: |options| Box::pin(limits::run(options)),
    },
    Proof {
        name: "audit",
        about: "every audit row is sealed, and whatever is changed afterwards is found",
        faults: audit::FAULTS,
        run: |options| Box::pin(audit::run(options)),
    },
    Proof {
        name: "secrets",
        about: "secrets and private values leave no trace, keys turn under traffic, a ciphertext opens in its place only",
        faults: secrets::FAULTS,
        run: |options| Box::pin(secrets::run(options)),
    },
    Proof {
        name: "client",
        about: "a TypeScript client made of the OpenAPI document compiles strictly and works",
        faults: client::FAULTS,
        run: |options| Box::pin(client::run(options)),
    },
    Proof {
        name: "leaks",
        about: "no secret is in the working tree or in any commit",
        faults: leaks::FAULTS,
        run: |options| Box::pin(leaks::run(options)),
    },
    Proof {
        name: "telemetry",
        about: "lines name their request, traces reach the jobs, strangers make no series, deaf listeners do no harm",
        faults: telemetry::FAULTS,
        run: |options| Box::pin(telemetry::run(options)),
    },
    Proof {
        name: "browser",
        about: "a person walks through the example product by keyboard, and finds no barrier",
        faults: browser::FAULTS,
        run: |options| Box::pin(browser::run(options)),
    },
];

/// The command line of `cargo xtask prove`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Arguments {
    /// Which proof to run
    #[arg(required_unless_present_any = ["all", "list"])]
    name: Option<String>,
    /// Run all proofs, then each of them with each of its faults, which must then be noticed
    #[arg(long, conflicts_with_all = ["name", "faults", "plant"])]
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
    #[arg(long, value_name = "FAULT")]
    plant: Option<String>,
}

/// Runs the command. Exit code 1 means that a goal was missed, 2 that the trial could not be carried out.
///
/// # Errors
///
/// When there is no such proof or fault, and when the trial could not be carried out.
#[expect(clippy::future_not_send, reason = "awaited in main, on the thread that made it")]
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    if arguments.list {
        for proof in PROOFS {
            println!("{:14} {}", proof.name, proof.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.all {
        return run_all(arguments.short).await;
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

/// Runs each trial as a process of its own, so that none sees what another has left behind.
async fn run_all(short: bool) -> Result<ExitCode> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let (mut passed, mut failures) = (0, Vec::new());
    for proof in PROOFS {
        for fault in std::iter::once(None).chain(proof.faults.iter().copied().map(Some)) {
            let name = fault
                .map_or_else(|| proof.name.to_owned(), |fault| format!("{} --plant {fault}", proof.name));
            eprintln!("\n== prove {name}");
            let wanted = i32::from(fault.is_some());
            match trial(&program, proof, fault, short).await? {
                Some(code) if code == wanted => passed += 1,
                Some(0) => failures.push(format!("{name}: the fault was not noticed")),
                Some(1) => failures.push(format!("{name}: a goal was missed")),
                code => failures.push(format!("{name}: could not be carried out (exit code {code:?})")),
            }
        }
    }
    for failure in &failures {
        println!("{failure}");
    }
    println!("prove: passed={passed} failed={}", failures.len());
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn trial(program: &Path, proof: &Proof, fault: Option<&str>, short: bool) -> Result<Option<i32>> {
    let mut command = cargo::child(program);
    command.args(["prove", proof.name]);
    if short {
        command.arg("--short").env(postgres::MEMORY_VARIABLE, postgres::MEMORY);
    }
    if let Some(fault) = fault {
        command.args(["--plant", fault]);
    }
    Ok(command.status().await.context("cannot start the trial")?.code())
}
