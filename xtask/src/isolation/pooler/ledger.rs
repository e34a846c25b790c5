//! What the clients were told, what they saw, and whether the database agrees.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use super::product::{Found, Sight};
use crate::outcome::Outcome;

/// What must have become of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The client was told that it is there.
    Kept,
    /// The client was never told; the commit may have happened, whole or not at all.
    Open,
    /// Its transaction ended before its commit was asked for.
    Undone,
}

/// Shared by all clients of a trial.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Mutex<HashMap<Uuid, Fate>>,
    /// What was wrong, the first few of each kind.
    examples: Mutex<Vec<String>>,
    /// What clients were told instead of an answer, and how often.
    refusals: Mutex<BTreeMap<String, u64>>,
    sights: AtomicU64,
    foreign: AtomicU64,
    leaks: AtomicU64,
    cuts: AtomicU64,
    kills: AtomicU64,
    lost: AtomicU64,
    ghosts: AtomicU64,
    halves: AtomicU64,
}

const EXAMPLES: usize = 5;

impl Ledger {
    pub(super) fn note(&self, entry: Uuid, fate: Fate) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(entry, fate);
    }

    /// A transaction of a workspace sees this; it must see its own workspace and nothing else.
    pub(super) fn inside(&self, seen: &Sight, expected: &Sight) {
        self.sights.fetch_add(1, Ordering::Relaxed);
        if seen != expected {
            self.wrong(&self.foreign, || format!("a transaction that must see {expected:?} sees {seen:?}"));
        }
    }

    /// A connection outside any workspace sees this; it must see nothing.
    pub(super) fn outside(&self, whose: &str, is_clean: bool, seen: impl std::fmt::Debug) {
        self.sights.fetch_add(1, Ordering::Relaxed);
        if !is_clean {
            self.wrong(&self.leaks, || format!("{whose}, outside any workspace, sees {seen:?}"));
        }
    }

    pub(super) fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn kill(&self) {
        self.kills.fetch_add(1, Ordering::Relaxed);
    }

    /// A client was refused.
    pub(super) fn refused(&self, error: &dyn Error) {
        let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry(reason).or_default() += 1;
    }

    /// The most frequent refusals.
    fn refusals(&self) -> (u64, String) {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = refusals.iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let most: Vec<_> =
            all.iter().take(EXAMPLES).map(|(reason, count)| format!("{count} × {reason}")).collect();
        (refusals.values().sum(), most.join(", "))
    }

    fn wrong(&self, count: &AtomicU64, what: impl FnOnce() -> String) {
        if count.fetch_add(1, Ordering::Relaxed) < EXAMPLES as u64 {
            self.examples.lock().unwrap_or_else(PoisonError::into_inner).push(what());
        }
    }

    /// Compares with what the administrator finds.
    pub(super) fn compare(&self, found: &[Found]) {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let found: HashMap<_, _> = found.iter().map(|found| (found.id, found)).collect();
        for (id, found) in &found {
            if found.parts != 2 {
                self.wrong(&self.halves, || format!("{} of 2 parts of {id} are there", found.parts));
            }
            if !found.at_home {
                self.wrong(&self.foreign, || format!("{id} is not where it was meant to be"));
            }
            if entries.get(id).is_none_or(|fate| *fate == Fate::Undone) {
                self.wrong(&self.ghosts, || {
                    format!("{id} is there, but its transaction was never committed")
                });
            }
        }
        for (id, _) in entries.iter().filter(|(_, fate)| **fate == Fate::Kept) {
            if !found.contains_key(id) {
                self.wrong(&self.lost, || format!("{id} was acknowledged and is not there"));
            }
        }
    }

    /// The figures, and the goals that were missed.
    pub(super) fn outcome(&self, transactions: u64) -> Outcome {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |fate| entries.values().filter(|other| **other == fate).count();
        let (kept, open, undone) = (count(Fate::Kept), count(Fate::Open), count(Fate::Undone));
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let faults = [
            ("pooler_foreign", read(&self.foreign)),
            ("pooler_leaks", read(&self.leaks)),
            ("pooler_lost", read(&self.lost)),
            ("pooler_ghosts", read(&self.ghosts)),
            ("pooler_halves", read(&self.halves)),
        ];
        let (refused, reasons) = self.refusals();
        let enough = kept as u64 * 3 >= transactions && undone > 0 && read(&self.sights) > transactions;
        let outcome = Outcome::new()
            .value("pooler_transactions", transactions)
            .value("pooler_kept", kept)
            .value("pooler_undone", undone)
            .value("pooler_open", open)
            .value("pooler_refused", refused)
            .value("pooler_cuts", read(&self.cuts))
            .value("pooler_kills", read(&self.kills))
            .value("pooler_sights", read(&self.sights))
            .require(enough, format!("pooler: too little was done to show anything; refused: {reasons}"))
            .require(
                faults.iter().all(|(_, count)| *count == 0),
                format!(
                    "pooler: {}",
                    self.examples.lock().unwrap_or_else(PoisonError::into_inner).join("; ")
                ),
            );
        faults.into_iter().fold(outcome, |outcome, (name, count)| outcome.value(name, count))
    }
}
