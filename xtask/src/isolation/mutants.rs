//! *Mutants*: one fault in one layer, while the other layer is off. Each must be noticed.

mod catalog;
mod equivalent;
mod statement;

use std::sync::Arc;

use anyhow::{Result, bail};

use super::plant::Plant;
use super::stage::Stage;
use super::trial::{self, Weakening};
use super::{Outcome, print};
use crate::wire::{Identity, SeenStatement};

use equivalent::Equivalents;

/// There must be at least so many of them, all told.
const LEAST: usize = 60;
/// How many are tried when time is short.
const SAMPLE: usize = 5;

/// How often the proof says how far it is.
const PROGRESS: usize = 25;

/// One fault.
#[derive(Debug, Clone)]
pub(super) struct Mutant {
    /// Which kind of fault: `statement`, `policy`, `setting`, `key`, `grant`.
    pub(super) class: &'static str,
    pub(super) name: String,
    /// What it is a fault of: the statement, or the table.
    pub(super) subject: String,
    /// How the drive meets it; `None` for what only the check at boot can see.
    pub(super) weakening: Option<Weakening>,
    /// What the check at boot would meet.
    pub(super) boot: Vec<String>,
}

/// Who noticed a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Boot,
    Drive,
    Survived,
}

/// Tries every mutant, or a sample of each class.
pub(super) async fn run(stage: &Stage, seen: &[SeenStatement], short: bool) -> Result<Outcome> {
    let equivalents = Equivalents::read()?;
    let mut all = statement::mutants(stage, seen).await?;
    all.extend(statement::settings(stage));
    all.extend(catalog::mutants(stage).await?);
    if stage.plant == Plant::Survivor {
        let harmless = Weakening { rewrite: Arc::new(Identity), statements: Vec::new() };
        let (name, subject) = ("nothing#1".to_owned(), "a mutant that changes nothing".to_owned());
        let weakening = Some(harmless);
        all.insert(0, Mutant { class: "setting", name, subject, weakening, boot: Vec::new() });
    }
    let made = all.len();
    let (left_out, all): (Vec<_>, Vec<_>) = all.into_iter().partition(|mutant| equivalents.names(mutant));
    let tried = if short { sample(all) } else { all };
    let count = tried.len();
    let verdicts = trial::each(&tried, async |place, mutant| {
        let verdict = judge(stage, mutant).await?;
        if (place + 1) % PROGRESS == 0 {
            eprintln!("  {} of {count} mutants", place + 1);
        }
        Ok(verdict)
    })?;
    let verdicts: Vec<_> = tried.into_iter().zip(verdicts).collect();
    let unknown = equivalents.stale(&left_out);
    let survivors: Vec<_> = verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Survived).collect();
    print("survived", survivors.iter().map(|(mutant, _)| text(mutant)));
    print("equivalent, but there is no such mutant", unknown.iter());
    let killed = verdicts.len() - survivors.len();
    let by_boot = verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Boot).count();
    Ok(Outcome::new()
        .value("mutants", format!("{killed}/{}", verdicts.len()))
        .value("mutants_made", made)
        .value("noticed_at_boot_only", by_boot)
        .value("equivalents", left_out.len())
        .require(survivors.is_empty(), format!("{} mutant(s) survived", survivors.len()))
        .require(unknown.is_empty(), "the list of equivalent mutants names some that are not there")
        .require(made - left_out.len() >= LEAST, format!("only {made} mutants could be made, not {LEAST}")))
}

async fn judge(stage: &Stage, mutant: &Mutant) -> Result<Verdict> {
    if let Some(weakening) = &mutant.weakening {
        let noticed = trial::run(stage, weakening, true).await?;
        if !noticed.findings.is_empty() {
            return Ok(Verdict::Drive);
        }
    }
    if !mutant.boot.is_empty() && trial::boot_refuses(stage, &mutant.boot).await?.is_some() {
        return Ok(Verdict::Boot);
    }
    if mutant.weakening.is_none() && mutant.boot.is_empty() {
        bail!("{} is not a mutant", text(mutant));
    }
    Ok(Verdict::Survived)
}

/// Some of each class, evenly spread.
fn sample(all: Vec<Mutant>) -> Vec<Mutant> {
    let step = all.len().div_ceil(SAMPLE).max(1);
    all.into_iter().step_by(step).collect()
}

fn text(mutant: &Mutant) -> String {
    let subject = mutant.subject.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{} {}: {subject}", mutant.class, mutant.name)
}
