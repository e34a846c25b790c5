//! What operators are told of a process, on a listener that nobody else reaches.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tracing::Instrument;

use super::{Found, MEMORY, SHUTDOWN, memory};
use crate::app::App;
use crate::id::WorkspaceId;

/// How something is; the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Healthy,
    /// It serves, but somebody should look.
    Warning,
    Unhealthy,
}

/// How one part of the process is.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Part {
    pub(super) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// How long it took to find out, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latency_ms: Option<f64>,
}

/// How the process is: as badly as the worst of its parts.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    status: Status,
    version: String,
    uptime_seconds: i64,
    checks: BTreeMap<&'static str, Part>,
}

impl Detail {
    pub(crate) fn is_unhealthy(&self) -> bool {
        self.status == Status::Unhealthy
    }
}

impl App {
    /// What comes of every check of `/readyz`.
    pub(crate) async fn checked(&self) -> Arc<[Found]> {
        let (shared, ctx) = (&self.shared, self.system("health"));
        shared.checks.ask(&ctx, &shared.db).instrument(ctx.host_span(WorkspaceId::SYSTEM)).await
    }

    /// What every check says, memory, and whether the process is about to stop.
    pub(crate) async fn health(&self) -> Detail {
        let (shared, found) = (&self.shared, self.checked().await);
        let mut checks: BTreeMap<_, _> = found.iter().map(|found| (found.name, found.part())).collect();
        checks.extend(memory::part().map(|part| (MEMORY, part)));
        if self.shutdown().is_announced() {
            let message = Some("the process is about to stop".to_owned());
            checks.insert(SHUTDOWN, Part { status: Status::Warning, message, latency_ms: None });
        }
        Detail {
            status: checks.values().map(|part| part.status).max().unwrap_or(Status::Healthy),
            version: shared.config.telemetry.release.clone(),
            uptime_seconds: (shared.config.clock.now() - shared.vitals.started).num_seconds(),
            checks,
        }
    }
}

impl Found {
    fn part(&self) -> Part {
        let status = if self.trouble.is_none() { Status::Healthy } else { Status::Unhealthy };
        // Two digits behind the point: a ping takes less than a millisecond.
        let latency = (self.took.as_secs_f64() * 100_000.0).round() / 100.0;
        Part { status, message: self.trouble.clone(), latency_ms: Some(latency) }
    }
}
