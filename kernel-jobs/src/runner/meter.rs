//! The metrics of the queue. Kinds of jobs and chores are those of the app, so series are bounded.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use kernel_core::telemetry::metric::SECONDS;
use kernel_core::telemetry::{Counter, Counters, Gauge, Gauges, Histogram, Labels};
use kernel_core::{App, Chore};

use super::attempt::Outcome;
use crate::store::backlog::Backlog;
use crate::store::lease::Waiting;

const OUTCOMES: [&str; 4] = ["done", "failed", "dead", "lost"];
const STATES: [&str; 3] = ["available", "running", "dead"];
const ROUNDS: [&str; 2] = ["done", "failed"];

#[derive(Debug)]
pub(super) struct Meter {
    kinds: HashMap<&'static str, KindMeter>,
    running: Gauge,
    pub(super) published: Counter,
    chores: Counters,
    jobs: Gauges,
    due: Gauges,
    events: Gauge,
    event_lag: Gauge,
    audit_rows: Gauge,
    audit_lag: Gauge,
    audit_misplaced: Gauge,
}

#[derive(Debug)]
struct KindMeter {
    ended: [Counter; 4],
    seconds: Histogram,
}

impl Meter {
    pub(super) fn new(app: &App, kinds: &[&'static str], slots: usize) -> Self {
        let metrics = app.metrics();
        // The same order in every runner of the process, which then share their series.
        let kinds: BTreeSet<_> = kinds.iter().copied().collect();
        let each = || Labels::of("kind", kinds.iter().copied());
        let attempts = metrics.counter(
            "kernel_job_attempts_total",
            "Attempts at jobs, by kind and end: done, failed and tried again, failed for good, lease lost.",
            each().and("outcome", OUTCOMES),
        );
        let seconds = metrics.histogram(
            "kernel_job_seconds",
            "How long attempts at jobs take, in seconds.",
            each(),
            SECONDS,
        );
        let gauge = |name, help| metrics.gauge(name, help, Labels::none()).of([]);
        let width = gauge("kernel_job_slots", "How many jobs this process runs at once, at most.");
        width.set(f64::from(u32::try_from(slots).unwrap_or(u32::MAX)));
        let published = metrics.counter(
            "kernel_outbox_published_total",
            "Events that this process has relayed.",
            Labels::none(),
        );
        let chores = metrics.counter(
            "kernel_chore_rounds_total",
            "Rounds of chores, by how they ended.",
            Labels::of("chore", app.chores().iter().map(Chore::name)).and("outcome", ROUNDS),
        );
        let meter = |kind| KindMeter {
            ended: OUTCOMES.map(|outcome| attempts.of([kind, outcome])),
            seconds: seconds.of([kind]),
        };
        Self {
            running: gauge("kernel_job_running", "How many jobs this process runs right now."),
            published: published.of([]),
            chores,
            jobs: metrics.gauge(
                "kernel_job_queue",
                "Jobs in the queue, by kind and state: a count of the whole installation.",
                each().and("state", STATES),
            ),
            due: metrics.gauge(
                "kernel_job_due_seconds",
                "For how long the longest due job of a kind has been waiting, in seconds.",
                each(),
            ),
            events: gauge("kernel_outbox_waiting", "Events that wait for the relay; 10000 stands for more."),
            event_lag: gauge(
                "kernel_outbox_lag_seconds",
                "For how long the oldest of them has been waiting, in seconds.",
            ),
            audit_rows: gauge("kernel_audit_unsealed", "Audit rows without a seal; 10000 stands for more."),
            audit_lag: gauge(
                "kernel_audit_lag_seconds",
                "For how long the oldest of them has been waiting, in seconds.",
            ),
            audit_misplaced: gauge(
                "kernel_audit_misplaced",
                "Audit rows that lie in no month's partition; 1000 stands for more.",
            ),
            kinds: kinds.iter().map(|kind| (*kind, meter(kind))).collect(),
        }
    }

    /// An attempt at a job of this kind begins.
    pub(super) fn begun(&self, kind: &str) -> Attempt<'_> {
        self.running.add(1.0);
        let kind = self.kinds.get(kind);
        Attempt { running: &self.running, kind, since: Instant::now(), outcome: Outcome::Lost }
    }

    pub(super) fn chore(&self, chore: &Chore, done: bool) {
        self.chores.of([chore.name(), ROUNDS[usize::from(!done)]]).add(1);
    }

    /// Shows what waits. A kind that only other workers know is `other`.
    pub(super) fn surveyed(&self, queue: &[Waiting], core: &Backlog) {
        for gauge in self.jobs.iter().chain(self.due.iter()) {
            gauge.set(0.0);
        }
        for waiting in queue {
            let kind = self.kinds.get_key_value(waiting.kind.as_str()).map_or("", |(kind, _)| kind);
            self.jobs.of([kind, waiting.state.as_str()]).add(count(waiting.jobs));
            let due = self.due.of([kind]);
            due.set(due.value().max(waiting.due_seconds));
        }
        self.events.set(count(core.events));
        self.event_lag.set(core.event_seconds);
        self.audit_rows.set(count(core.audit_rows));
        self.audit_lag.set(core.audit_seconds);
        self.audit_misplaced.set(count(core.audit_misplaced));
    }
}

/// An attempt under way. Dropped before its end, it was cut off, and its lease decides.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    running: &'a Gauge,
    kind: Option<&'a KindMeter>,
    since: Instant,
    outcome: Outcome,
}

impl Attempt<'_> {
    pub(super) fn ended(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.running.add(-1.0);
        let Some(kind) = self.kind else { return };
        let index = match self.outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Dead => 2,
            Outcome::Lost => 3,
        };
        kind.ended[index].add(1);
        kind.seconds.record_duration(self.since.elapsed());
    }
}

/// Counts are exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "what reads metrics has no other numbers")]
fn count(number: i64) -> f64 {
    number as f64
}
