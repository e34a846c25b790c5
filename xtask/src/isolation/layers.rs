//! *Layers*: each of the two defences holds alone.

use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::plant::Plant;
use super::stage::Stage;
use super::state::tables;
use super::trial::{self, Noticed, Weakening, without_policies};
use super::{Outcome, print};
use crate::wire::{Identity, SeenStatement, StripTenantPredicate};

/// How many findings are printed.
const PRINTED: usize = 12;
/// Fewer statements than this would mean that the filters were not there to be taken out.
const FILTERS_MIN: usize = 10;

/// What the layers part leaves for the mutants: the statements of the product.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) figures: Outcome,
    pub(super) seen: Vec<SeenStatement>,
}

/// Takes out the explicit filters, then the policies, then both: the last must leak, or the drive is blind. Where it is
/// to be short, the first leak is enough.
pub(super) async fn run(stage: &Stage, short: bool) -> Result<Layers> {
    let off = without_policies(&stage.beside).await?;
    let filters_off = match stage.plant {
        Plant::NoWhere => off.clone(),
        Plant::PolicyTrue => policies_true(stage).await?,
        _ => Vec::new(),
    };
    let filters_off = Weakening { rewrite: Arc::new(StripTenantPredicate), statements: filters_off };
    let policies_off = Weakening { rewrite: Arc::new(Identity), statements: off.clone() };
    let both_off = Weakening { rewrite: Arc::new(StripTenantPredicate), statements: off };
    let trials = [(&filters_off, false), (&policies_off, false), (&both_off, short)];
    let noticed = trial::each(&trials, async |_, (weakening, first_only)| {
        trial::run(stage, weakening, *first_only).await
    })?;
    let [by_policies, by_filters, control] =
        <[_; 3]>::try_from(noticed).map_err(|_| anyhow!("a trial is missing"))?;

    print("row-level security alone", by_policies.findings.iter().take(PRINTED));
    print("explicit filters alone", by_filters.findings.iter().take(PRINTED));
    let unread = unread(&[&by_policies, &by_filters]);
    print("not readable on the wire", unread.iter());
    let stripped = by_policies.seen.iter().filter(|statement| statement.rewritten.is_some()).count();
    let leaks = by_policies.findings.len() + by_filters.findings.len();
    let figures = Outcome::new()
        .value("layers_statements", by_filters.seen.len())
        .value("layers_stripped", stripped)
        .value("layers_leaks", leaks)
        .value("both_off_leaks", control.findings.len())
        .require(
            by_policies.findings.is_empty(),
            format!("row-level security alone: {} leak(s)", by_policies.findings.len()),
        )
        .require(
            by_filters.findings.is_empty(),
            format!("the filters alone: {} leak(s)", by_filters.findings.len()),
        )
        .require(stripped >= FILTERS_MIN, format!("only {stripped} statements had a filter to take out"))
        .require(unread.is_empty(), format!("{} statement(s) could not be read on the wire", unread.len()))
        .require(!control.findings.is_empty(), "without both layers nothing leaked, so the drive is blind");
    Ok(Layers { figures, seen: by_filters.seen })
}

/// Statements that may filter by tenant and that the proxy could not read.
fn unread(trials: &[&Noticed]) -> Vec<String> {
    let all = trials.iter().flat_map(|trial| &trial.unparsed).filter(|statement| statement.mentions_tenant);
    let mut all: Vec<_> = all.map(|statement| format!("{} ({})", statement.sql, statement.reason)).collect();
    all.sort();
    all.dedup();
    all
}

async fn policies_true(stage: &Stage) -> Result<Vec<String>> {
    let tables = tables(&mut stage.beside.admin().await?).await?;
    let tenants = tables.into_iter().filter(|table| table.is_tenant);
    Ok(tenants.map(|table| format!("ALTER POLICY tenant ON {} USING (true)", table.name)).collect())
}
