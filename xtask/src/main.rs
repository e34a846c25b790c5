//! `cargo xtask …`: parses the command line and hands over to the module of the same name.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development commands of the kernel crates.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the example product on a PostgreSQL of its own, with seeded data
    Dev(xtask::dev::Arguments),
    /// List the columns of the example product with their data classes
    DataClasses(xtask::data_classes::Arguments),
    /// Examine the development installation, and say what to mend
    Doctor(xtask::doctor::Arguments),
    /// Check format and lints, then run all tests and the short proofs
    Test(xtask::test::Arguments),
    /// Run a proof; `prove --list` names them
    Prove(xtask::prove::Arguments),
    /// Run a measurement; `bench --list` names them
    Bench(xtask::bench::Arguments),
    /// Pack every crate, look into the packages, and build a product of them
    Package(xtask::package::Arguments),
    /// Count what each crate depends on, and how long it builds from nothing
    Cost(xtask::cost::Arguments),
    /// Look for input that breaks a parser; `fuzz --list` names the targets
    Fuzz(xtask::fuzz::Arguments),
    /// Write the dashboard and the alert rules of docs/telemetry anew, from their declarations
    Telemetry,
    /// Verify the audit log of a database
    Audit(xtask::audit::Arguments),
    /// What the proof of the audit log kills; it starts this itself
    #[command(hide = true)]
    AuditHost,
    /// What the proof of atomicity kills; it starts this itself
    #[command(hide = true)]
    AtomicityHost,
    /// Bring a PostgreSQL up and keep it until interrupted, or run a command with it
    Postgres(xtask::postgres::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Dev(arguments) => xtask::dev::run(arguments).await,
        Command::DataClasses(arguments) => xtask::data_classes::run(&arguments),
        Command::Doctor(arguments) => xtask::doctor::run(arguments).await,
        Command::Test(arguments) => xtask::test::run(arguments).await,
        Command::Prove(arguments) => xtask::prove::run(arguments).await,
        Command::Bench(arguments) => xtask::bench::run(arguments).await,
        Command::Package(arguments) => xtask::package::run(arguments).await,
        Command::Cost(arguments) => xtask::cost::run(arguments).await,
        Command::Fuzz(arguments) => xtask::fuzz::run(arguments).await,
        Command::Telemetry => xtask::telemetry::write(),
        Command::Audit(arguments) => xtask::audit::command(arguments).await,
        Command::AuditHost => Box::pin(xtask::audit::host::run()).await,
        Command::AtomicityHost => Box::pin(xtask::atomicity::host::run()).await,
        Command::Postgres(arguments) => xtask::postgres::run(arguments).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
