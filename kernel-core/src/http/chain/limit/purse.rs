//! What one node holds of one subject's quota.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::ledger::Taken;
use super::rate::{Rate, Verdict};
use crate::http::config::Quota;

/// How a quota is leased.
///
/// Whatever is spent was taken at most `life` before: in any time, all nodes together spend no more than can be taken in
/// that time and `life`, however many there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    rate: Rate,
    /// How many requests are taken at once, at most. It bounds what a node that stops takes with it.
    batch: u32,
    /// How long they may be spent, in microseconds.
    life: u64,
    /// How long a refused subject is refused without asking, at least. What comes back meanwhile is not lost, and a flood
    /// asks no more often than this.
    hold: u64,
}

/// In parts of the quota.
const BATCH: u32 = 20;
const BATCH_MAX: u32 = 1000;
/// In parts of the window.
const LIFE: u64 = 10;
const LIFE_MAX: u64 = 10_000_000;
const HOLD: u64 = 100;
const HOLD_MAX: u64 = 1_000_000;

impl Terms {
    pub(super) fn of(quota: Quota) -> Self {
        let rate = Rate::of(quota);
        Self {
            rate,
            batch: (quota.requests.get() / BATCH).clamp(1, BATCH_MAX),
            life: (rate.most / LIFE).min(LIFE_MAX),
            hold: (rate.most / HOLD).min(HOLD_MAX),
        }
    }
}

/// A subject's lease and standing. Times are microseconds on this node's clock.
#[derive(Debug, Default)]
pub(super) struct Purse {
    /// When the quota is whole again, as last heard; what is leased counts as spent.
    pub(super) whole_at: u64,
    /// How many requests the last lease was of, and how many of them are left.
    size: u32,
    left: u32,
    ends_at: u64,
    refused_until: u64,
    /// Held by the one request that asks the ledger for all.
    turn: Option<Arc<Mutex<()>>>,
}

/// What a request has to do.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing: it is decided.
    Done(Verdict),
    /// Ask the ledger for so many, when it is its turn.
    Ask(Arc<Mutex<()>>, u32),
}

impl Purse {
    /// Spends one request of the quota as if this node were the only one.
    pub(super) fn spend_alone(&mut self, rate: Rate, now: u64) -> Verdict {
        match rate.spend(self.whole_at, now) {
            Ok(whole_at) => {
                self.whole_at = whole_at;
                rate.admitted(whole_at, now)
            }
            Err(wait) => Rate::refused(self.whole_at, now, wait),
        }
    }

    /// Spends one request of the lease, or says what is missing.
    pub(super) fn spend(&mut self, terms: Terms, now: u64) -> Step {
        if now < self.refused_until {
            return Step::Done(Rate::refused(self.whole_at, now, self.refused_until - now));
        }
        if self.left > 0 && now < self.ends_at {
            self.left -= 1;
            return Step::Done(self.admitted(terms, now));
        }
        let demand = self.demand(now);
        let turn = self.turn.get_or_insert_default();
        // All but the purse's own are requests that wait for their turn.
        let waiting = u32::try_from(Arc::strong_count(turn) - 1).unwrap_or(u32::MAX);
        Step::Ask(turn.clone(), demand.max(waiting).clamp(1, terms.batch))
    }

    /// What the next lease should be of: twice the last one if that was too small, what was spent of it if it lapsed.
    fn demand(&self, now: u64) -> u32 {
        match self.left {
            0 if now < self.ends_at => self.size.saturating_mul(2),
            left => self.size - left,
        }
    }

    /// Puts in what the ledger gave to a request that was `sent` then and `heard` of it now, and spends one.
    pub(super) fn settle(&mut self, terms: Terms, taken: &Taken, sent: u64, heard: u64) -> Verdict {
        self.whole_at = heard.saturating_add(taken.whole);
        if taken.requests == 0 {
            let wait = terms.rate.wait(taken.whole).max(terms.hold);
            self.refused_until = heard.saturating_add(wait);
            return Rate::refused(self.whole_at, heard, wait);
        }
        // From before it was sent: by then nothing had been taken yet.
        self.ends_at = sent.saturating_add(terms.life);
        (self.size, self.left) = (taken.requests, taken.requests - 1);
        self.admitted(terms, heard)
    }

    fn admitted(&self, terms: Terms, now: u64) -> Verdict {
        let rate = terms.rate;
        let unspent = if now < self.ends_at { u64::from(self.left) * rate.each } else { 0 };
        // One has just been spent, whatever has come back since the lease.
        rate.admitted(self.whole_at.saturating_sub(unspent).max(now + rate.each), now)
    }
}
