//! `cargo xtask prove parity`: one suite against axum, against actix-web and against the app in memory. They answer the
//! same, byte for byte, whatever comes in.
//!
//! What a framework's own parser turns away never reaches the app; those cases are named, and all that is asked of them is
//! an error in the 400s, or a hang-up, and that no handler ran.

mod ask;
mod case;
mod cases;
mod document;
mod fault;
mod host;
mod pillar;
mod size;
mod transcript;
mod world;

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::outcome::Outcome;
use crate::prove::Options;

use self::case::Case;
use self::fault::Fault;
use self::host::{Host, Kind};
use self::transcript::Transcript;
use self::world::World;

/// The faults that the proof can plant, all of them around the axum adapter.
pub const FAULTS: &[&str] = fault::NAMES;

/// Fewer would not be a suite.
const CASES_MIN: usize = 150;
/// What an adapter may have, blank lines, comments and the extractors for the host's own handlers included.
const LINES_MAX: usize = 420;

/// Runs the trial.
///
/// # Errors
///
/// When it could not be carried out.
pub async fn run(options: Options) -> Result<Outcome> {
    let fault = options.fault.and_then(Fault::named);
    // Kept while the trial runs: the hosts' databases lie on it.
    let _postgres = kernel_core::testkit::server().await?;
    silence_panics();
    let (axum, actix, memory) = tokio::try_join!(
        Host::start(Kind::Axum, fault),
        Host::start(Kind::Actix, None),
        Host::start(Kind::Memory, None)
    )?;
    if axum.seed != actix.seed || axum.seed != memory.seed {
        bail!("the hosts do not start from the same state");
    }
    let cases = cases::all();
    let mut outcome = named_once(&cases, Outcome::new());
    let (mut differences, mut refused, mut in_memory) = (0, 0, 0);
    for (number, case) in cases.iter().enumerate() {
        let (one, two, three) = tokio::try_join!(
            case.play(number, &axum),
            case.play(number, &actix),
            case.play(number, &memory)
        )?;
        let heard = [(Kind::Axum, one), (Kind::Actix, two), (Kind::Memory, three)];
        in_memory += usize::from(heard[2].1.is_some());
        if !case.refused_by.is_empty() {
            refused += 1;
            println!("refused by {}: {}", names(case.refused_by), case.name);
        }
        for problem in problems(case, &heard) {
            differences += 1;
            outcome = outcome.require(false, format!("«{}»: {problem}", case.name));
        }
    }
    let document =
        document::compare([axum.app(World::Path), actix.app(World::Path), memory.app(World::Path)]).await?;
    let stopped = axum.stop().await? && actix.stop().await? && memory.stop().await?;
    let lines = [size::of("kernel-axum")?, size::of("kernel-actix")?];
    println!("request-level cases, asked in memory too: {in_memory}");
    Ok(outcome
        .require(cases.len() >= CASES_MIN, format!("{} cases, fewer than {CASES_MIN}", cases.len()))
        .require(document.same, "the hosts' OpenAPI documents differ")
        .require(document.invalid.is_none(), document.invalid.as_deref().unwrap_or_default())
        .require(stopped, "a server did not stop in time")
        .require(
            lines.iter().all(|lines| *lines <= LINES_MAX),
            format!("an adapter has more than {LINES_MAX} lines"),
        )
        .value("cases", cases.len())
        .value("hosts", heard_by())
        .value("differences", differences)
        .value("refused_by_parser", refused)
        .value("openapi", document.hash)
        .value("axum_lines", lines[0])
        .value("actix_lines", lines[1]))
}

fn heard_by() -> usize {
    [Kind::Axum, Kind::Actix, Kind::Memory].len()
}

/// What is wrong with a case: not what was wanted, or not the same on every host that the app answered on.
fn problems(case: &Case, heard: &[(Kind, Option<Transcript>)]) -> Vec<String> {
    let mut problems = Vec::new();
    let played = || heard.iter().filter_map(|(kind, transcript)| Some((*kind, transcript.as_ref()?)));
    for (kind, transcript) in played() {
        let problem = case.problem(kind, transcript);
        problems.extend(problem.map(|problem| format!("{}: {problem}", kind.name())));
    }
    let mut answered = played().filter(|(kind, _)| !case.refused_by.contains(kind));
    if let Some((first, reference)) = answered.next() {
        for (other, transcript) in answered {
            let difference = reference.difference(transcript);
            problems.extend(difference.map(|text| format!("{} / {}: {text}", first.name(), other.name())));
        }
    }
    problems
}

/// A case that two share a name with could go missing unseen.
fn named_once(cases: &[Case], outcome: Outcome) -> Outcome {
    let mut seen = BTreeSet::new();
    cases.iter().fold(outcome, |outcome, case| {
        outcome.require(seen.insert(case.name), format!("two cases are called «{}»", case.name))
    })
}

fn names(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" and ")
}

/// Panics that belong to the trial need no telling.
fn silence_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let on_purpose = panic.payload_as_str().is_some_and(|text| text == pillar::ON_PURPOSE);
        if !on_purpose {
            usual(panic);
        }
    }));
}
