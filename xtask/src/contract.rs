//! `cargo xtask prove contract`: schemathesis against the OpenAPI document of the example product, on both frameworks. The
//! API does what its document says, whatever comes in.
//!
//! It is asked twice on each: as the owner of a workspace, and by a stranger. `xtask/contract/schemathesis.toml` says which
//! checks there are, and why where one is not for every operation.

mod host;
mod plant;
mod tool;

use anyhow::Result;
use kernel_core::testkit::left_out;

use crate::outcome::Outcome;
use crate::prove::Options;

use self::host::{Host, Kind};
use self::plant::Fault;
use self::tool::{Figures, Tool, Wanted};

/// What the checks must notice when it is planted.
pub const FAULTS: &[&str] = plant::NAMES;

/// Fewer would not be the whole API, or not much of a trial.
const OPERATIONS_MIN: usize = 30;
const CASES_MIN: [usize; 2] = [1000, 10_000];

/// Every run asks the same; another number here asks something else.
const SEED: u64 = 20_270_104;

/// Runs the trial.
///
/// # Errors
///
/// When it could not be carried out.
pub async fn run(options: Options) -> Result<Outcome> {
    let tool = match Tool::find().await {
        Ok(tool) => tool,
        Err(error) => {
            left_out("prove contract", &format!("{error:#}"));
            return Ok(Outcome::new().value("left_out", 1));
        }
    };
    // Kept while the trial runs: the hosts' databases lie on it.
    let _postgres = kernel_core::testkit::server().await?;
    let fault = options.fault.and_then(Fault::named);
    let (axum, actix) = tokio::try_join!(
        trial(&tool, Kind::Axum, fault, options.short),
        trial(&tool, Kind::Actix, fault, options.short)
    )?;
    println!("seed {SEED}");
    let outcome = Outcome::new().value("seed", SEED);
    Ok([("axum", axum), ("actix", actix)]
        .into_iter()
        .fold(outcome, |outcome, (name, heard)| judge(outcome, name, &heard, fault, options.short)))
}

fn judge(
    outcome: Outcome,
    host: &'static str,
    heard: &[Figures],
    fault: Option<Fault>,
    short: bool,
) -> Outcome {
    let cases: usize = heard.iter().map(|figures| figures.cases).sum();
    let findings: usize = heard.iter().map(Figures::findings).sum();
    let operations = heard.iter().map(|figures| figures.operations).min().unwrap_or_default();
    let mut outcome =
        outcome.value(host, format!("operations={operations} cases={cases} findings={findings}"));
    let failures = heard.iter().flat_map(|figures| &figures.failures);
    for (check, count) in failures.filter(|(check, _)| fault.is_none_or(|f| check.starts_with(f.check()))) {
        outcome = outcome.require(false, format!("{host}: {check}: {count}"));
    }
    if fault.is_some() {
        return outcome;
    }
    for why in heard.iter().filter_map(|figures| figures.broken.as_ref()) {
        outcome = outcome.require(false, format!("{host}: {why}"));
    }
    let cases_min = CASES_MIN[usize::from(!short)];
    outcome
        .require(
            operations >= OPERATIONS_MIN,
            format!("{host}: {operations} operations, fewer than {OPERATIONS_MIN}"),
        )
        .require(cases >= cases_min, format!("{host}: {cases} cases, fewer than {cases_min}"))
}

/// Asks one host, first as the owner and then as a stranger, who finds nothing that the owner has broken.
async fn trial(tool: &Tool, kind: Kind, fault: Option<Fault>, short: bool) -> Result<Vec<Figures>> {
    let host = Host::start(kind, fault).await?;
    let mut heard = Vec::new();
    // What a stranger gets, the owner's run also looks at: it sends each sound request again without a session.
    let askers: &[&str] = if fault.is_some() || short { &["owner"] } else { &["owner", "stranger"] };
    for who in askers {
        let wanted = Wanted {
            name: format!("{}-{who}", kind.name()),
            url: host.url(),
            owner: (*who == "owner").then_some(&host.owner),
            seed: SEED,
            short,
            planted: fault,
        };
        heard.push(tool.ask(&wanted).await?);
    }
    host.stop().await?;
    Ok(heard)
}
