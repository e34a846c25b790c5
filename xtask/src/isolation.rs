//! `cargo xtask prove isolation`: no tenant reaches another, whatever the product's author forgets.
//!
//! - *two worlds*: a tenant alone and the same tenant beside others; every route of the product, every position in its
//!   requests, own, foreign, missing and malformed values. What they see and do must be equal.
//! - *layers*: the same with every explicit filter taken out on the wire, and with row-level security switched off.
//! - *mutants*: one fault at a time in one layer while the other is off. Each must be noticed.
//! - *types*: misuse of the handles does not compile.
//! - *roles*: an app does not start with a login that could see past its tenant.
//! - *pooler*: behind a pooler nothing of one transaction reaches another, however it ends.
//!
//! The product's routes and tables are found, not listed: nothing in here names one of the example's.

mod beside;
mod change;
mod drive;
mod exchange;
mod host;
mod input;
mod layers;
mod mask;
mod mutants;
mod operation;
mod own;
mod plant;
mod pool;
pub mod pooler;
mod product;
mod reference;
mod replay;
pub mod roles;
mod scratch;
mod stage;
mod state;
mod step;
mod trial;
mod tripwire;
mod twin;
pub mod types;
mod unique;
mod value;
mod vary;
mod world;
mod worlds;

use std::fmt::Display;
use std::sync::Arc;

use anyhow::Result;

use crate::outcome::{Outcome, Stopwatch};
use crate::postgres;
use crate::prove::Options;

use self::host::Framework;
use self::plant::Plant;
use self::stage::Stage;

pub use self::plant::{SILENT_ROUTE, UNDECLARED_DEED};
pub use self::tripwire::{Tripwire, silent_routes};

/// The faults that the proof can plant.
pub const FAULTS: &[&str] = &[
    "no-where",
    "policy-true",
    "shared-cursor",
    "mask-everything",
    "route-without-own-case",
    "survivor",
    types::TWIN_FOR_MISUSE,
    types::OTHER_REASON,
    roles::SOUND_FOR_BAD,
    roles::BAD_FOR_SOUND,
    pooler::PLAIN_BEGIN,
    pooler::SESSION_SET,
];

/// Runs all parts; with a planted fault, the one that must notice it.
///
/// # Errors
///
/// When a part could not be carried out.
pub async fn run(options: Options) -> Result<Outcome> {
    if options.fault.is_some_and(|fault| types::FAULTS.contains(&fault)) {
        return types::run(&options).await;
    }
    if options.fault.is_some_and(|fault| roles::FAULTS.contains(&fault)) {
        return roles::run(&options).await;
    }
    if options.fault.is_some_and(|fault| pooler::FAULTS.contains(&fault)) {
        return pooler::run(&options).await;
    }
    let plant = Plant::of(options.fault);
    // A database is copied for every mutant.
    let server = Arc::new(postgres::find(&postgres::passing("test")?).await?);
    let mut clock = Stopwatch::start();
    let stage = match Stage::build(&server, plant).await {
        Ok(stage) => stage,
        // A list of masks that hides too much ends the proof before it begins.
        Err(error) if plant == Plant::MaskEverything => {
            return Ok(Outcome::new().require(false, format!("{error:#}")));
        }
        Err(error) => return Err(error),
    };
    clock.done("the worlds are built");
    let frameworks: &[Framework] = if options.short { &[] } else { &[Framework::Axum, Framework::Actix] };
    match plant {
        Plant::NoWhere | Plant::PolicyTrue => return Ok(layers::run(&stage, true).await?.figures),
        Plant::RouteWithoutOwnCase | Plant::SharedCursor => return worlds::run(&stage, &[]).await,
        Plant::Survivor => {
            let layers = layers::run(&stage, true).await?;
            return mutants::run(&stage, &layers.seen, true).await;
        }
        Plant::None | Plant::MaskEverything | Plant::SilentRoute | Plant::UndeclaredDeed => {}
    }
    let worlds = worlds::run(&stage, frameworks).await?;
    clock.done("two worlds");
    let layers = layers::run(&stage, options.short).await?;
    clock.done("layers");
    let mutants = mutants::run(&stage, &layers.seen, options.short).await?;
    clock.done("mutants");
    let all = worlds.join(layers.figures).join(mutants).join(roles::run(&options).await?);
    clock.done("roles");
    let all = all.join(pooler::run(&options).await?);
    clock.done("pooler");
    if options.short {
        return Ok(all);
    }
    let all = all.join(types::run(&options).await?);
    clock.done("types");
    Ok(all)
}

/// Prints what a part has to say, each line with its name.
fn print(part: &str, lines: impl Iterator<Item = impl Display>) {
    lines.for_each(|line| println!("{part}: {line}"));
}
