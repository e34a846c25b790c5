//! Rate limits: GCRA over a bounded number of subjects, for all nodes together or for each by itself.

mod ledger;
mod purse;
mod rate;
mod standing;
mod subjects;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, ErrorKind};
use crate::http::config::{Counting, HttpConfig, Quota};
use crate::telemetry::{Counter, Labels, Metrics};

use ledger::{Ledger, Ticks};
use purse::{Step, Terms};
use rate::{Rate, Verdict};
use subjects::Subjects;

pub(crate) use standing::Standing;
pub(super) use subjects::Subject;

/// Where a subject stands after a request, and whether the request may go on.
pub(super) type Spent = (Standing, Result<(), Error>);

const QUOTAS: [&str; 7] = ["anonymous", "address", "auth", "actor", "workspace", "heavy", "probe"];

/// Everything that an app counts requests by.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(super) anonymous: Limit,
    pub(super) address: Limit,
    pub(super) auth: Limit,
    pub(super) actor: Limit,
    pub(super) workspace: Limit,
    pub(super) heavy: Limit,
    pub(super) probe: Limit,
    clock: Clock,
}

impl Limits {
    pub(crate) fn new(config: &HttpConfig, clock: &Clock, db: &Db, metrics: &Metrics) -> Self {
        let quotas = &config.quotas;
        let ledger = Arc::new(Ledger::new(db, clock));
        let counting = match quotas.counting {
            Counting::Leased => Way::Leased(ledger),
            Counting::Database => Way::Database(ledger),
            Counting::Process => Way::Process,
        };
        let refused = metrics.counter(
            "kernel_limit_refused_total",
            "Requests that a rate limit refused, by quota.",
            Labels::of("quota", QUOTAS),
        );
        let limit = |name, quota| Limit {
            refused: refused.of([name]),
            ..Limit::new(name, quota, quotas.subjects, &counting, clock)
        };
        Self {
            anonymous: limit("anonymous", quotas.anonymous),
            address: limit("address", quotas.address),
            auth: limit("auth", quotas.auth),
            actor: limit("actor", quotas.actor),
            workspace: limit("workspace", quotas.workspace),
            heavy: limit("heavy", quotas.heavy),
            // A probe of life needs no database, and asks one node only.
            probe: Limit { way: Way::Process, ..limit("probe", quotas.probe) },
            clock: clock.clone(),
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Spends one request of a stranger's address.
    #[cfg(feature = "testkit")]
    pub(crate) async fn admits(&self, address: std::net::IpAddr) -> bool {
        self.anonymous.spend(&Subject::address(address)).await.1.is_ok()
    }
}

/// Where a limit counts; [`Counting`] says what each promises.
#[derive(Debug, Clone)]
enum Way {
    Process,
    Database(Arc<Ledger>),
    Leased(Arc<Ledger>),
}

/// One quota and what is left of it for each subject.
#[derive(Debug)]
pub(super) struct Limit {
    name: &'static str,
    quota: Quota,
    rate: Rate,
    terms: Terms,
    way: Way,
    ticks: Ticks,
    subjects: Subjects,
    refused: Counter,
}

impl Limit {
    fn new(name: &'static str, quota: Quota, subjects: usize, way: &Way, clock: &Clock) -> Self {
        Self {
            name,
            quota,
            rate: Rate::of(quota),
            terms: Terms::of(quota),
            way: way.clone(),
            ticks: Ticks::new(clock),
            subjects: Subjects::new(subjects),
            refused: Counter::default(),
        }
    }

    /// Spends one request of the subject's quota, and says where the subject then stands.
    pub(super) async fn spend(&self, subject: &Subject) -> Spent {
        let verdict = match &self.way {
            Way::Process => self.spend_alone(subject),
            Way::Database(ledger) => self.spend_there(ledger, subject).await,
            Way::Leased(ledger) => self.spend_leased(ledger, subject).await,
        };
        self.told(&verdict)
    }

    /// The same out of what this node holds: asks nobody, and so waits for nothing.
    pub(super) fn spend_here(&self, subject: &Subject) -> Spent {
        let now = self.ticks.now();
        let verdict = self.subjects.with(subject, |purse| match purse.spend(self.terms, now) {
            Step::Done(verdict) => verdict,
            Step::Ask(..) => purse.spend_alone(self.rate, now),
        });
        self.told(&verdict)
    }

    fn told(&self, verdict: &Verdict) -> Spent {
        if verdict.wait.is_some() {
            self.refused.add(1);
        }
        let outcome =
            match verdict.wait {
                None => Ok(()),
                Some(wait) => Err(Error::new(ErrorKind::RateLimited, "rate_limited")
                    .retry_after(Duration::from_micros(wait))),
            };
        (Standing::new(self.name, self.quota, verdict), outcome)
    }

    fn spend_alone(&self, subject: &Subject) -> Verdict {
        let now = self.ticks.now();
        self.subjects.with(subject, |purse| purse.spend_alone(self.rate, now))
    }

    async fn spend_there(&self, ledger: &Ledger, subject: &Subject) -> Verdict {
        let Some(taken) = ledger.take(subject.id(self.name), 1, self.rate).await else {
            return self.spend_alone(subject);
        };
        match taken.requests {
            0 => Rate::refused(taken.whole, 0, self.rate.wait(taken.whole)),
            _ => self.rate.admitted(taken.whole, 0),
        }
    }

    async fn spend_leased(&self, ledger: &Ledger, subject: &Subject) -> Verdict {
        let spend = || {
            let now = self.ticks.now();
            self.subjects.with(subject, |purse| purse.spend(self.terms, now))
        };
        let turn = match spend() {
            Step::Done(verdict) => return verdict,
            Step::Ask(turn, _) => turn,
        };
        // A caller that leaves while it asks lets the next one ask.
        let _turn = turn.lock().await;
        let wanted = match spend() {
            // Whoever was first has asked for all.
            Step::Done(verdict) => return verdict,
            Step::Ask(_, wanted) => wanted,
        };
        let sent = self.ticks.now();
        match ledger.take(subject.id(self.name), wanted, self.rate).await {
            Some(taken) => {
                let heard = self.ticks.now();
                self.subjects.with(subject, |purse| purse.settle(self.terms, &taken, sent, heard))
            }
            None => self.spend_alone(subject),
        }
    }
}

#[cfg(test)]
mod tests;
