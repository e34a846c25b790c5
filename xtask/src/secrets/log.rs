//! Everything that is logged by anybody in this process, as text and as JSON.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use kernel_core::Redaction;
use kernel_core::telemetry::log;
use kernel_core::telemetry::otlp::Spans;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;

/// What was logged until someone takes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// From now on, at the level TRACE, with the fields of spans when they begin and end. The spans of requests go to the
    /// collector.
    pub(super) fn start(redaction: &Redaction, spans: &Spans) -> Result<(Self, Self)> {
        let (text, json) = (Self::default(), Self::default());
        let for_people = log::text(redaction, text.clone()).with_ansi(false).with_span_events(FmtSpan::FULL);
        let mut for_machines = log::json(redaction, json.clone());
        for_machines.set_span_events(FmtSpan::FULL);
        let log = tracing_subscriber::registry().with(for_people).with(for_machines).with(spans.layer());
        tracing::subscriber::set_global_default(log).context("somebody else logs already")?;
        Ok((text, json))
    }

    pub(super) fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
