//! `cargo xtask prove secrets`: secrets and what is private get nowhere but where they belong, keys change while everybody works, and a
//! ciphertext opens in its place only.

use anyhow::Result;

use crate::outcome::{Outcome, Stopwatch};
use crate::prove::Options;

mod canary;
mod leak;
mod log;
mod private;
mod product;
mod rotation;
mod start;
mod traffic;
mod transplant;

use product::Fault;

/// The faults that the proof can plant.
pub const FAULTS: &[&str] = &[
    "no-context",
    "logged-secret",
    "clear-column",
    "told-secret",
    "no-classes",
    "logged-name",
    "early-key",
    "lost-update",
];

/// Looks for secrets wherever they could have got, turns keys under traffic, and moves ciphertexts about.
///
/// # Errors
///
/// When there is no PostgreSQL, or the product does not do what it is asked.
pub async fn run(options: Options) -> Result<Outcome> {
    let (product, rotation) = match options.fault {
        Some("no-context") => (Some(Fault::NoContext), None),
        Some("logged-secret") => (Some(Fault::LoggedSecret), None),
        Some("clear-column") => (Some(Fault::ClearColumn), None),
        Some("told-secret") => (Some(Fault::ToldSecret), None),
        Some("no-classes") => (Some(Fault::NoClasses), None),
        Some("logged-name") => (Some(Fault::LoggedName), None),
        Some("early-key") => (None, Some(rotation::Fault::EarlyKey)),
        Some("lost-update") => (None, Some(rotation::Fault::LostUpdate)),
        _ => (None, None),
    };
    let mut clock = Stopwatch::start();
    // Held so that the server that the test kit finds is the one that the command line asks for.
    let _server = options.postgres().await?;
    let leak = Box::pin(leak::run(options.short, product)).await?;
    clock.done("secrets looked for");
    let transplant = transplant::run(product).await?;
    clock.done("ciphertexts moved");
    let rotation = rotation::run(options.short, rotation).await?;
    clock.done("keys turned");
    Ok(leak.join(transplant).join(rotation))
}
