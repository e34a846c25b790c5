//! What the program tells about itself, and to whom: the log, a collector, Sentry.

use std::fmt::Display;
use std::sync::Arc;

use futures_util::FutureExt;
use kernel_core::telemetry::log;
use kernel_core::telemetry::otlp::{self, Exporter, OtlpOptions};
use kernel_core::telemetry::sentry::{self, SentryCourier, SentryOptions};
use tokio::sync::oneshot;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::options::unreadable;
use super::{Options, StartError};

/// Which lines are kept for looking at one request: every statement to the database is one.
const KEPT: &str = "info,sqlx::query=debug";

/// Whom the program tells besides the log. Nobody, unless the configuration names them.
#[derive(Debug, Clone, Default)]
pub struct Listeners {
    /// Gets traces and metrics.
    pub otlp: Option<OtlpOptions>,
    /// Gets reports of errors.
    pub sentry: Option<SentryOptions>,
}

/// What brings it to them.
#[derive(Debug)]
pub struct Telemetry {
    exporter: Option<Exporter>,
    courier: Option<SentryCourier>,
}

impl Options {
    /// Writes the log to standard error from now on, and has the app tell whom the configuration names.
    ///
    /// # Errors
    /// [`StartError::Configuration`] for a filter that is none.
    pub fn start_log(&mut self) -> Result<Telemetry, StartError> {
        let wrong = |error: &dyn Display| StartError::Configuration(vec![unreadable("LOG", error)]);
        let filter = EnvFilter::try_new(&self.log).map_err(|error| wrong(&error))?;
        let (redaction, stderr) = (&self.config.telemetry.redaction, std::io::stderr);
        let log = if self.log_json {
            log::json(redaction, stderr).boxed()
        } else {
            log::text(redaction, stderr).with_target(false).boxed()
        };
        // Whoever looks at one request wants more of it than all requests together should say.
        let kept = self.settings.log.as_ref().map(|kept| kept.layer().with_filter(EnvFilter::new(KEPT)));
        let Listeners { otlp, sentry } = self.listeners.clone();
        let (spans, exporter) = otlp.map(|options| otlp::exporter(options, &self.config)).unzip();
        let telemetry = &mut self.config.telemetry;
        let courier = sentry.map(|options| {
            let (reporter, courier) = sentry::reporter(options, &telemetry.metrics);
            telemetry.reporter = Some(Arc::new(reporter));
            courier
        });
        let spans = spans.as_ref().map(otlp::Spans::layer);
        let started = tracing_subscriber::registry().with(log.with_filter(filter)).with(kept).with(spans);
        started.try_init().map_err(|error| wrong(&error))?;
        Ok(Telemetry { exporter, courier })
    }
}

impl Telemetry {
    /// Runs `program`, and tells what it says until it has ended.
    pub async fn around<T>(self, program: impl Future<Output = T>) -> T {
        let (running, ended) = oneshot::channel::<()>();
        let ended = ended.map(drop).shared();
        let program = async {
            let outcome = program.await;
            drop(running);
            outcome
        };
        let export = async {
            if let Some(exporter) = self.exporter {
                exporter.run(ended.clone()).await;
            }
        };
        let report = async {
            if let Some(courier) = self.courier {
                courier.run(ended.clone()).await;
            }
        };
        tokio::join!(program, export, report).0
    }
}
