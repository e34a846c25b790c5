//! The spans of requests and jobs, and of what happens inside them, as the collector gets them.

use std::fmt;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc::Sender;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::app::Config;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::redaction::{Redaction, placeholder};
use crate::telemetry::Counter;
use crate::telemetry::vital::TRANSACTION;

/// How many attributes a span has at most, and how long each is.
const ATTRIBUTES_MAX: usize = 32;
const CHARS_MAX: usize = 256;
/// The line that ends every request; what it says about the answer belongs to the span.
const ACCESS: &str = "kernel::access";

/// A span that has ended.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) trace_id: u128,
    pub(super) id: u64,
    pub(super) parent_id: u64,
    pub(super) name: &'static str,
    /// It began with a request from outside.
    pub(super) serves: bool,
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    pub(super) attributes: Vec<(&'static str, String)>,
    pub(super) failed: bool,
}

/// Hands ended spans to the [`Exporter`](super::Exporter).
///
/// A span belongs to a trace if it is one of the kernel's requests or jobs that are traced, or inside such a one. Its
/// fields become attributes, 32 at most, of 256 characters each; those that the configuration's
/// [`Redaction`](crate::Redaction) hides, without their values. Events stay in the log.
#[derive(Debug, Clone)]
pub struct Spans {
    queue: Sender<Span>,
    dropped: Counter,
    clock: Clock,
    entropy: Entropy,
    redaction: Redaction,
}

struct Recording(Spans);

/// A span under way.
struct Open {
    span: Span,
    began: Instant,
}

impl Spans {
    /// The layer for the host's subscriber. It takes spans of the level INFO and the kernel's own, whatever other layers
    /// take.
    #[must_use]
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let taken = filter_fn(|metadata| {
            let own = metadata.target() == TRANSACTION || *metadata.level() <= Level::INFO;
            let telling = metadata.target() == ACCESS || *metadata.level() == Level::ERROR;
            if metadata.is_span() { own } else { telling }
        });
        Recording(self.clone()).with_filter(taken.with_max_level_hint(LevelFilter::DEBUG))
    }

    pub(super) fn new(queue: Sender<Span>, dropped: Counter, config: &Config) -> Self {
        let Config { clock, entropy, telemetry, .. } = config.clone();
        Self { queue, dropped, clock, entropy, redaction: telemetry.redaction }
    }

    /// What a span says, beginning with what it has said before.
    fn said(&self, attributes: Vec<(&'static str, String)>) -> Said<'_> {
        Said {
            redaction: &self.redaction,
            places: false,
            trace_id: None,
            span_id: None,
            parent_id: None,
            attributes,
        }
    }

    /// The span's place in a trace: as it says itself, or below the one around it.
    fn place(&self, said: &Said<'_>, around: Option<(u128, u64)>) -> Option<(u128, u64, u64)> {
        if let (Some(trace_id), Some(span_id)) = (said.trace_id, said.span_id) {
            return Some((trace_id, span_id, said.parent_id.unwrap_or_default()));
        }
        let (trace_id, parent_id) = around?;
        // Zero is no span.
        Some((trace_id, u64::from_be_bytes(self.entropy.bytes()).max(1), parent_id))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recording {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // Only the kernel's own spans say where they belong; a product's field of that name is a field.
        let places = span.metadata().target().starts_with("kernel_");
        let mut said = Said { places, ..self.0.said(Vec::new()) };
        attributes.record(&mut said);
        let around = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            let open = extensions.get::<Open>()?;
            Some((open.span.trace_id, open.span.id))
        });
        let Some((trace_id, span_id, parent_id)) = self.0.place(&said, around) else { return };
        let (name, start) = (span.name(), self.0.clock.now());
        let ended = Span {
            trace_id,
            id: span_id,
            parent_id,
            name,
            serves: said.places && name == "request",
            start,
            end: start,
            attributes: said.attributes,
            failed: false,
        };
        span.extensions_mut().insert(Open { span: ended, began: Instant::now() });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            let mut said = self.0.said(std::mem::take(&mut open.span.attributes));
            values.record(&mut said);
            open.span.attributes = said.attributes;
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let (failed, access) =
            (*event.metadata().level() == Level::ERROR, event.metadata().target() == ACCESS);
        if !failed && !access {
            return;
        }
        let Some(span) = context.event_span(event) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            open.span.failed |= failed;
            if access {
                let mut said = self.0.said(std::mem::take(&mut open.span.attributes));
                event.record(&mut said);
                open.span.attributes = said.attributes;
            }
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Open { span: mut ended, began }) = span.extensions_mut().remove() else { return };
        let took = TimeDelta::from_std(began.elapsed()).unwrap_or(TimeDelta::MAX);
        ended.end = ended.start.checked_add_signed(took).unwrap_or(ended.start);
        if self.0.queue.try_send(ended).is_err() {
            self.0.dropped.add(1);
        }
    }
}

/// What a span's fields say.
struct Said<'a> {
    redaction: &'a Redaction,
    places: bool,
    trace_id: Option<u128>,
    span_id: Option<u64>,
    parent_id: Option<u64>,
    attributes: Vec<(&'static str, String)>,
}

impl Said<'_> {
    fn note(&mut self, name: &'static str, value: String) {
        let hex = || u64::from_str_radix(&value, 16).ok();
        match name {
            "trace_id" if self.places => self.trace_id = u128::from_str_radix(&value, 16).ok(),
            "span_id" if self.places => self.span_id = hex(),
            "parent_id" if self.places => self.parent_id = hex(),
            "message" => {}
            _ => self.attribute(name, value),
        }
    }

    fn attribute(&mut self, name: &'static str, mut value: String) {
        if let Some(class) = self.redaction.class(name) {
            value = placeholder(class);
        }
        if let Some((end, _)) = value.char_indices().nth(CHARS_MAX) {
            value.truncate(end);
        }
        if let Some((_, old)) = self.attributes.iter_mut().find(|(known, _)| *known == name) {
            *old = value;
        } else if self.attributes.len() < ATTRIBUTES_MAX {
            self.attributes.push((name, value));
        }
    }
}

impl Visit for Said<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field.name(), format!("{value:?}"));
    }
}
