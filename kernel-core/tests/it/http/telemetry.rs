//! What an app tells about itself while it serves: metrics, traces, reports of errors.

mod metric;
mod otlp;
mod report;
mod sentry;
mod slow;
