//! Numbers that a running app keeps: counters, gauges, histograms.
//!
//! Every series is declared before the app is built: a metric names its labels and all values that they take. What a
//! stranger sends can therefore never make a new series, and telling a number is one atomic operation without a look-up.
//!
//! ```
//! use kernel_core::telemetry::{Labels, Metrics};
//!
//! let metrics = Metrics::new();
//! let rows = metrics.counter("shop_rows_total", "Rows of imported files.", Labels::of("outcome", ["kept", "refused"]));
//! let kept = rows.of(["kept"]);
//! kept.add(3);
//! assert!(metrics.text().contains("shop_rows_total{outcome=\"kept\"} 3\n"));
//! ```

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The value of every label in the series that counts what was not declared.
const OTHER: &str = "other";
/// How many metrics there may be: code that makes a new one for each of something runs into this.
const FAMILIES_MAX: usize = 500;
/// How many series one metric may have.
const SERIES_MAX: usize = 5000;
/// Labels whose values nobody can list, or that say who somebody is.
const UNBOUNDED: &[&str] =
    &["tenant", "tenant_id", "workspace", "workspace_id", "user", "user_id", "path", "ip", "request_id"];

/// Bounds for durations in seconds, from 1 ms to 10 s: what a request or a transaction takes.
pub const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The labels of a metric, and every combination of values that is told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    names: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Labels {
    /// No labels: one series.
    #[must_use]
    pub fn none() -> Self {
        Self { names: Vec::new(), rows: vec![Vec::new()] }
    }

    /// One label and its values.
    #[must_use]
    pub fn of<V: Into<String>>(name: &'static str, values: impl IntoIterator<Item = V>) -> Self {
        Self::none().and(name, values)
    }

    /// These combinations of values and no others.
    #[must_use]
    pub fn listed<const N: usize>(
        names: [&'static str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Self {
        Self { names: names.to_vec(), rows: rows.into_iter().map(Vec::from).collect() }
    }

    /// One label more: every combination so far with each of its values.
    #[must_use]
    pub fn and<V: Into<String>>(mut self, name: &'static str, values: impl IntoIterator<Item = V>) -> Self {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        self.names.push(name);
        let with = |row: &Vec<String>, value: &String| row.iter().chain([value]).cloned().collect();
        self.rows =
            self.rows.iter().flat_map(|row| values.iter().map(move |value| with(row, value))).collect();
        self
    }

    /// The series of these values; the last one, of what was not declared, if there is no such combination.
    fn index(&self, values: &[&str]) -> usize {
        let found = self.rows.iter().position(|row| row.iter().eq(values));
        found.unwrap_or(self.rows.len().saturating_sub(usize::from(!self.names.is_empty())))
    }

    fn with_other(mut self) -> Self {
        if !self.names.is_empty() {
            self.rows.push(vec![OTHER.to_owned(); self.names.len()]);
        }
        self
    }
}

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The numbers of an app. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    families: Vec<Family>,
    problems: Vec<String>,
}

/// Gives the present values of a metric, one per combination of its labels.
type Observe = Arc<dyn Fn() -> Vec<f64> + Send + Sync>;

#[derive(Clone)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    labels: Labels,
    cells: Cells,
}

#[derive(Clone)]
enum Cells {
    Counters(Vec<Counter>),
    Gauges(Vec<Gauge>),
    Histograms(Arc<[f64]>, Vec<Histogram>),
    Observed(Observe),
}

/// One metric as it is at a moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
    pub(crate) points: Vec<Point>,
}

/// One series of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    /// How many fell into each bucket, of which there is one more than bounds, and their sum.
    Buckets {
        bounds: Arc<[f64]>,
        counts: Vec<u64>,
        sum: f64,
    },
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lock().families.iter().map(|family| family.name)).finish()
    }
}

impl Metrics {
    /// No numbers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A metric that counts up; its name begins with the product's and ends with `_total`. Asked for twice, it is the same
    /// one.
    ///
    /// What cannot be registered (a name that is none, a label whose values nobody can list, the same name with other
    /// labels, more than 5000 series, more than 500 metrics) counts into nothing, and [`build`](crate::AppBuilder::build) refuses the app.
    #[must_use]
    pub fn counter(&self, name: &'static str, help: &'static str, labels: Labels) -> Counters {
        let cells = |count| Cells::Counters((0..count).map(|_| Counter::default()).collect());
        let family = self.register(name, help, Kind::Counter, labels, cells);
        let Cells::Counters(cells) = family.cells else { unreachable!("registered under its own kind") };
        Counters { labels: family.labels, cells }
    }

    /// A metric that goes up and down; otherwise as [`Metrics::counter`].
    #[must_use]
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: Labels) -> Gauges {
        let cells = |count| Cells::Gauges((0..count).map(|_| Gauge::default()).collect());
        let family = self.register(name, help, Kind::Gauge, labels, cells);
        let Cells::Gauges(cells) = family.cells else { unreachable!("registered under its own kind") };
        Gauges { labels: family.labels, cells }
    }

    /// A metric that sorts values into buckets up to each of the bounds, which ascend; otherwise as
    /// [`Metrics::counter`].
    #[must_use]
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels,
        bounds: &[f64],
    ) -> Histograms {
        if bounds.is_empty() || !bounds.is_sorted_by(|a, b| a < b) {
            self.refuse(format!("the bounds of {name} do not ascend"));
        }
        let bounds: Arc<[f64]> = bounds.into();
        let cells = |count| {
            let cells = (0..count).map(|_| Histogram::new(bounds.clone())).collect();
            Cells::Histograms(bounds.clone(), cells)
        };
        let family = self.register(name, help, Kind::Histogram, labels, cells);
        let Cells::Histograms(_, cells) = family.cells else { unreachable!("registered under its own kind") };
        Histograms { labels: family.labels, cells }
    }

    /// Values that are asked for when somebody looks, in the order of the combinations. The last registration counts.
    pub(crate) fn observe(
        &self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        labels: Labels,
        observe: impl Fn() -> Vec<f64> + Send + Sync + 'static,
    ) {
        let cells = Cells::Observed(Arc::new(observe));
        let mut registry = self.lock();
        registry.families.retain(|family| family.name != name);
        registry.families.push(Family { name, help, kind, labels, cells });
    }

    /// Why the app cannot be built with what was registered.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.lock().problems.clone()
    }

    pub(crate) fn snapshot(&self) -> Vec<Snapshot> {
        // Observers are asked outside the lock: they may register.
        let mut families = self.lock().families.clone();
        families.sort_by_key(|family| family.name);
        families.iter().map(Family::snapshot).collect()
    }

    fn register(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        labels: Labels,
        cells: impl FnOnce(usize) -> Cells,
    ) -> Family {
        let labels = labels.with_other();
        let unsound = unsound(name, kind, &labels);
        let mut registry = self.lock();
        if is_own(name) {
            // Apps that share their numbers may differ in routes and jobs; those of the last one are shown.
            registry
                .families
                .retain(|known| known.name != name || known.kind == kind && known.labels == labels);
        }
        let known = registry.families.iter().find(|family| family.name == name);
        if let Some(known) = known.filter(|known| known.kind == kind && known.labels == labels) {
            return known.clone();
        }
        let twice = known.map(|_| format!("the metric {name} is registered twice, in different ways"));
        let family = Family { name, help, kind, cells: cells(labels.rows.len()), labels };
        let many =
            (registry.families.len() >= FAMILIES_MAX).then(|| format!("{name} is one metric too many"));
        match twice.or(unsound).or(many) {
            Some(_) if registry.problems.len() >= FAMILIES_MAX => {}
            Some(problem) => registry.problems.push(problem),
            None => registry.families.push(family.clone()),
        }
        family
    }

    fn refuse(&self, problem: String) {
        self.lock().problems.push(problem);
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the kernel's crates name it; products begin with a name of their own.
fn is_own(name: &str) -> bool {
    name.starts_with("kernel_") || name.starts_with("http_")
}

/// Why a metric cannot be registered.
fn unsound(name: &str, kind: Kind, labels: &Labels) -> Option<String> {
    let word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    if !word(name) || (kind == Kind::Counter) != name.ends_with("_total") {
        return Some(format!("the metric {name} is named unlike others: shop_orders_total, shop_carts"));
    }
    let mut names = labels.names.iter();
    if let Some(label) = names.find(|label| !word(label) || **label == "le" || UNBOUNDED.contains(label)) {
        return Some(format!("the metric {name} has the label {label}, whose values nobody can list"));
    }
    let series = labels.rows.len();
    (series > SERIES_MAX && !is_own(name))
        .then(|| format!("the metric {name} has {series} series; {SERIES_MAX} are allowed"))
}

impl Family {
    fn snapshot(&self) -> Snapshot {
        let values: Vec<_> = match &self.cells {
            Cells::Counters(cells) => cells.iter().map(|cell| Value::Number(precise(cell.value()))).collect(),
            Cells::Gauges(cells) => cells.iter().map(|cell| Value::Number(cell.value())).collect(),
            Cells::Histograms(bounds, cells) => cells.iter().map(|cell| cell.value(bounds)).collect(),
            Cells::Observed(observe) => observe().into_iter().map(Value::Number).collect(),
        };
        let named = |row: &Vec<String>| self.labels.names.iter().copied().zip(row.iter().cloned()).collect();
        let points = self.labels.rows.iter().zip(values);
        let points = points.map(|(row, value)| Point { labels: named(row), value }).collect();
        Snapshot { name: self.name, help: self.help, kind: self.kind, points }
    }
}

/// Counters of one metric, by the values of its labels.
#[derive(Debug, Clone)]
pub struct Counters {
    labels: Labels,
    cells: Vec<Counter>,
}

impl Counters {
    /// The counter of these values, in the order of the labels; of `other` if they were not declared. Keep it: finding
    /// it costs more than counting.
    #[must_use]
    pub fn of<const N: usize>(&self, values: [&str; N]) -> Counter {
        self.cells.get(self.labels.index(&values)).cloned().unwrap_or_default()
    }
}

/// A number that counts up. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Counts `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How many there are so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Gauges of one metric, by the values of its labels.
#[derive(Debug, Clone)]
pub struct Gauges {
    labels: Labels,
    cells: Vec<Gauge>,
}

impl Gauges {
    /// The gauge of these values, as [`Counters::of`].
    #[must_use]
    pub fn of<const N: usize>(&self, values: [&str; N]) -> Gauge {
        self.cells.get(self.labels.index(&values)).cloned().unwrap_or_default()
    }

    /// Every gauge.
    pub fn iter(&self) -> impl Iterator<Item = &Gauge> {
        self.cells.iter()
    }
}

/// A number that goes up and down. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// It is `value` now.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// It is so much more now, or less.
    pub fn add(&self, change: f64) {
        add(&self.0, change);
    }

    /// What it is.
    #[must_use]
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// Histograms of one metric, by the values of its labels.
#[derive(Debug, Clone)]
pub struct Histograms {
    labels: Labels,
    cells: Vec<Histogram>,
}

impl Histograms {
    /// The histogram of these values, as [`Counters::of`].
    #[must_use]
    pub fn of<const N: usize>(&self, values: [&str; N]) -> Histogram {
        let found = self.cells.get(self.labels.index(&values)).cloned();
        found.unwrap_or_else(|| Histogram::new(Arc::from([])))
    }
}

/// Values sorted into buckets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: Arc<[f64]>,
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: Arc<[f64]>) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::default()).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::default() }))
    }

    /// Adds a value.
    pub fn record(&self, value: f64) {
        let Buckets { bounds, counts, sum } = &*self.0;
        counts[bounds.partition_point(|bound| *bound < value)].fetch_add(1, Ordering::Relaxed);
        add(sum, value);
    }

    /// Adds a duration, in seconds.
    pub fn record_duration(&self, duration: Duration) {
        self.record(duration.as_secs_f64());
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn value(&self, bounds: &Arc<[f64]>) -> Value {
        let counts = self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Value::Buckets {
            bounds: bounds.clone(),
            counts,
            sum: f64::from_bits(self.0.sum.load(Ordering::Relaxed)),
        }
    }
}

fn add(bits: &AtomicU64, change: f64) {
    let more = |bits| Some((f64::from_bits(bits) + change).to_bits());
    // The closure always gives a value, so there is no failure.
    let _ = bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
}

/// Counts are exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "what reads metrics has no other numbers")]
pub(crate) fn precise(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
