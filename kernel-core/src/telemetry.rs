//! What a running app tells about itself: metrics, traces, reports of errors. `docs/telemetry.md` is the guide.
//!
//! Nothing here is global, nothing starts a task by itself, and nothing that is told waits for whoever listens: what
//! cannot be delivered is dropped and counted.

#[cfg(feature = "delivery")]
mod delivery;
#[cfg(feature = "log")]
pub mod log;
pub mod metric;
#[cfg(feature = "otlp")]
pub mod otlp;
mod process;
pub mod report;
#[cfg(feature = "sentry")]
pub mod sentry;
mod text;
mod trace;
pub(crate) mod vital;

use std::fmt;
use std::sync::Arc;

pub use metric::{Counter, Counters, Gauge, Gauges, Histogram, Histograms, Labels, Metrics};
pub use report::{ErrorReporter, Incident, Report};
pub use trace::Trace;

use crate::redaction::Redaction;

pub(crate) use process::resident_bytes;
pub(crate) use report::Reports;
pub(crate) use trace::{Upstream, hex};

/// What an app tells about itself, and to whom.
#[derive(Clone)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// Where numbers are kept. A product registers its own in a clone of it.
    pub metrics: Metrics,
    /// Who hears of panics, of failures that are ours, and of work that failed for good. Nobody unless said.
    pub reporter: Option<Arc<dyn ErrorReporter>>,
    /// Which part of all requests is traced, from 0 to 1; all of them unless said. What a trusted proxy traces is traced
    /// in any case; what a stranger claims to trace is not looked at.
    pub traced: f64,
    /// What neither the log, nor spans, nor the audit log show. A clone of it belongs into the layers of the log.
    pub redaction: Redaction,
    /// The version of the product, said here and nowhere else: `shop@1.4.0`. Reports of errors carry it as their release,
    /// traces and metrics as `service.version`, and `kernel_build_info` shows it; `unknown` unless said.
    pub release: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        let (metrics, redaction) = (Metrics::new(), Redaction::default());
        Self { metrics, reporter: None, traced: 1.0, redaction, release: "unknown".to_owned() }
    }
}

impl fmt::Debug for TelemetryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryConfig")
            .field("traced", &self.traced)
            .field("release", &self.release)
            .finish_non_exhaustive()
    }
}
