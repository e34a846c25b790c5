//! The log lines of the latest requests, kept in memory for whoever develops. Production keeps none.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel_core::Redaction;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// How many lines are kept: the latest.
const LINES_MAX: usize = 5000;
/// How much of a line is kept.
const CHARS_MAX: usize = 2000;

/// Keeps the latest lines of requests. Cheap to clone; clones share their lines.
#[derive(Debug, Clone, Default)]
pub struct RequestLog {
    lines: Arc<Mutex<VecDeque<Line>>>,
    redaction: Redaction,
}

/// One line of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    request: String,
    workspace: Option<String>,
    pub(crate) at: String,
    pub(crate) level: &'static str,
    pub(crate) target: String,
    pub(crate) text: String,
}

/// What the span of a request says about it.
#[derive(Debug, Clone, Default)]
struct Subject {
    request: Option<String>,
    workspace: Option<String>,
}

impl RequestLog {
    /// One without what `redaction` hides.
    #[must_use]
    pub fn new(redaction: &Redaction) -> Self {
        Self { redaction: redaction.clone(), ..Self::default() }
    }

    /// The layer that fills it.
    #[must_use]
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        Keeping(self.clone())
    }

    /// The lines of a request, as far as they are kept. Only those of requests to this workspace: others are not there.
    pub(crate) fn lines(&self, request: &str, workspace: &str) -> Vec<Line> {
        let lines: Vec<_> = self.lock().iter().filter(|line| line.request == request).cloned().collect();
        let is_here = lines.iter().any(|line| line.workspace.as_deref() == Some(workspace));
        if is_here { lines } else { Vec::new() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Line) {
        let mut lines = self.lock();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

struct Keeping(RequestLog);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Keeping {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut subject = Subject::default();
        attributes.record(&mut subject);
        if let Some(span) = context.span(id).filter(|_| subject.request.is_some()) {
            span.extensions_mut().insert(subject);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(subject) = span.extensions_mut().get_mut::<Subject>() {
            values.record(subject);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut subject = Subject::default();
        event.record(&mut subject);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Subject>() {
                subject.request = subject.request.or_else(|| around.request.clone());
                subject.workspace = subject.workspace.or_else(|| around.workspace.clone());
            }
        }
        let Some(request) = subject.request else { return };
        let mut text = Text { text: String::new(), redaction: &self.0.redaction };
        event.record(&mut text);
        let mut at = String::new();
        // A line without its time is still a line.
        let _ = SystemTime.format_time(&mut Writer::new(&mut at));
        self.0.push(Line {
            request,
            workspace: subject.workspace,
            at,
            level: event.metadata().level().as_str(),
            target: event.metadata().target().to_owned(),
            text: text.text.chars().take(CHARS_MAX).collect(),
        });
    }
}

impl Visit for Subject {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "request_id" => self.request = Some(format!("{value:?}")),
            "workspace_id" => self.workspace = Some(format!("{value:?}")),
            _ => {}
        }
    }
}

/// The message, then the fields.
struct Text<'a> {
    text: String,
    redaction: &'a Redaction,
}

impl Visit for Text<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Self { text, redaction } = self;
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => {
                let rest = std::mem::take(text);
                write!(text, "{value:?}{rest}")
            }
            name => match redaction.class(name) {
                Some(class) => write!(text, " {name}=[{}]", class.name()),
                None => write!(text, " {name}={value:?}"),
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn lines_belong_to_their_request_and_its_workspace_and_are_bounded() {
        let log = RequestLog::default();
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(log.layer()));
        tracing::info!("of no request");
        let span =
            tracing::info_span!("request", request_id = %"req_1", workspace_id = tracing::field::Empty);
        span.in_scope(|| tracing::info!(rows = 3, "looked"));
        span.record("workspace_id", tracing::field::display("ws_1"));
        span.in_scope(|| tracing::info_span!("inner").in_scope(|| tracing::warn!("slow")));
        tracing::info!(request_id = %"req_2", workspace_id = %"ws_2", "answered");

        let texts = |request, workspace| -> Vec<String> {
            log.lines(request, workspace).into_iter().map(|line| line.text).collect()
        };
        assert_eq!(texts("req_1", "ws_1"), ["looked rows=3", "slow"]);
        assert_eq!(texts("req_2", "ws_2").len(), 1);
        assert_eq!(texts("req_2", "ws_1"), [""; 0]);
        for _ in 0..LINES_MAX {
            span.in_scope(|| tracing::info!("{}", "x".repeat(CHARS_MAX + 1)));
        }
        assert_eq!(log.lock().len(), LINES_MAX);
        assert!(texts("req_2", "ws_2").is_empty(), "the oldest lines go first");
        assert_eq!(texts("req_1", "ws_1")[0].len(), CHARS_MAX);
    }
}
