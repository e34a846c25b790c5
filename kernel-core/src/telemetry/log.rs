//! Layers for the host's subscriber that write the log without what tables declare as private: a field that is named like
//! such a column, of a line or of a span around it, shows `[private]` instead of its value.
//!
//! ```
//! use kernel_core::telemetry::log;
//! use kernel_core::{Redaction, Table};
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! let redaction = Redaction::default(); // a clone of `config.telemetry.redaction`, which `build` teaches
//! # redaction.learn(&[Table::global("auth", "account").private(&["email"])]);
//! # let (lines, written) = std::io::pipe().unwrap();
//! # let writer = std::sync::Mutex::new(written);
//! let log = tracing_subscriber::registry().with(log::json(&redaction, writer));
//! tracing::subscriber::with_default(log, || tracing::info!(email = "ada@example.com", "a letter is sent"));
//! # let line = std::io::read_to_string(lines).unwrap();
//! assert!(line.contains(r#""email":"[private]""#));
//! ```

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::format::{DefaultVisitor, Format, JsonVisitor, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::redaction::{Redaction, placeholder};

/// Lines for people.
#[must_use]
pub fn text<S, W>(redaction: &Redaction, writer: W) -> Layer<S, TextFields, Format, W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + 'static,
{
    tracing_subscriber::fmt::layer().with_writer(writer).fmt_fields(TextFields(redaction.clone()))
}

/// Lines that are JSON objects, in the form of `tracing_subscriber::fmt`.
#[must_use]
pub fn json<S, W>(redaction: &Redaction, writer: W) -> Layer<S, JsonFields, JsonLines, W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + 'static,
{
    let layer = tracing_subscriber::fmt::layer().fmt_fields(JsonFields(redaction.clone()));
    layer.event_format(JsonLines(redaction.clone())).with_writer(writer)
}

/// How fields look in lines for people.
#[derive(Debug, Clone)]
pub struct TextFields(Redaction);

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Hiding { visitor: DefaultVisitor::new(writer, true), redaction: &self.0 };
        fields.record(&mut visitor);
        visitor.visitor.finish()
    }
}

/// How the fields of spans are kept for lines that are JSON.
#[derive(Debug, Clone)]
pub struct JsonFields(Redaction);

impl<'w> FormatFields<'w> for JsonFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Hiding { visitor: JsonVisitor::new(&mut writer), redaction: &self.0 };
        fields.record(&mut visitor);
        visitor.visitor.finish()
    }

    fn add_fields(&self, known: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut new = String::new();
        self.format_fields(Writer::new(&mut new), fields)?;
        let mut again = Again { known: &known.fields, found: false };
        fields.record(&mut again);
        if again.found {
            let map = |text: &str| serde_json::from_str::<Map<_, _>>(text).unwrap_or_default();
            let mut all: Map<String, Value> = map(&known.fields);
            all.extend(map(&new));
            known.fields = Value::Object(all).to_string();
        } else {
            known.fields = format!("{{{}}}", join(within(&known.fields), within(&new)));
        }
        Ok(())
    }
}

/// Whether a field is told a second time. In a text, quotes are escaped, so a name in quotes is a name.
struct Again<'a> {
    known: &'a str,
    found: bool,
}

impl Visit for Again<'_> {
    fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
        self.found |= quoted(field.name()).is_ok_and(|name| self.known.contains(&format!("{name}:")));
    }
}

/// An object's members without its braces.
fn within(object: &str) -> &str {
    object.strip_prefix('{').and_then(|object| object.strip_suffix('}')).unwrap_or_default()
}

fn join(some: &str, more: &str) -> String {
    let comma = if some.is_empty() || more.is_empty() { "" } else { "," };
    [some, comma, more].concat()
}

/// How a line that is a JSON object looks: as one of `tracing_subscriber::fmt`, which reads the fields of every span twice
/// for each line; here they are put in as they are.
#[derive(Debug, Clone)]
pub struct JsonLines(Redaction);

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for JsonLines {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\",\"fields\":", metadata.level())?;
        let mut visitor = Hiding { visitor: JsonVisitor::new(&mut writer), redaction: &self.0 };
        event.record(&mut visitor);
        visitor.visitor.finish()?;
        let mut origin = Origin(metadata.target().to_owned());
        if metadata.target() == "log" {
            event.record(&mut origin);
        }
        write!(writer, ",\"target\":{}", quoted(&origin.0)?)?;
        // Also a line that was cut loose from its span belongs to the request that it was written in.
        let parent = event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current());
        let spans: Vec<_> = parent.iter().flat_map(SpanRef::scope).map(|span| object(&span)).collect();
        if let Some(innermost) = spans.first() {
            write!(writer, ",\"span\":{innermost},\"spans\":[")?;
            for (index, span) in spans.iter().rev().enumerate() {
                write!(writer, "{}{span}", if index == 0 { "" } else { "," })?;
            }
            writer.write_char(']')?;
        }
        writer.write_str("}\n")
    }
}

/// Where a line comes from; one that was written with the crate `log` says so in a field.
struct Origin(String);

impl Visit for Origin {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// A span's fields and its name.
fn object<S: for<'a> LookupSpan<'a>>(span: &SpanRef<'_, S>) -> String {
    let extensions = span.extensions();
    let fields = extensions.get::<FormattedFields<JsonFields>>().map(|fields| within(&fields.fields));
    let name = quoted(span.name()).map(|name| format!("\"name\":{name}"));
    format!("{{{}}}", join(fields.unwrap_or_default(), &name.unwrap_or_default()))
}

fn quoted(text: &str) -> Result<String, fmt::Error> {
    serde_json::to_string(text).map_err(|_| fmt::Error)
}

/// Shows a visitor the fields, and of some only that they are there.
struct Hiding<'a, V> {
    visitor: V,
    redaction: &'a Redaction,
}

impl<V: Visit> Hiding<'_, V> {
    fn show(&mut self, field: &Field, show: impl FnOnce(&mut V)) {
        match self.redaction.class(field.name()) {
            Some(class) => self.visitor.record_debug(field, &format_args!("{}", placeholder(class))),
            None => show(&mut self.visitor),
        }
    }
}

impl<V: Visit> Visit for Hiding<'_, V> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.show(field, |visitor| visitor.record_f64(field, value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.show(field, |visitor| visitor.record_i64(field, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.show(field, |visitor| visitor.record_u64(field, value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.show(field, |visitor| visitor.record_i128(field, value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.show(field, |visitor| visitor.record_u128(field, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.show(field, |visitor| visitor.record_bool(field, value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.show(field, |visitor| visitor.record_str(field, value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.show(field, |visitor| visitor.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.show(field, |visitor| visitor.record_debug(field, value));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::format::FmtSpan;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::table::Table;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn writer(&self) -> impl Fn() -> Self + Send + Sync + 'static {
            let lines = self.clone();
            move || lines.clone()
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn tell(redaction: &Redaction) -> (String, String) {
        let (people, machines) = (Lines::default(), Lines::default());
        let for_people = text(redaction, people.writer()).with_ansi(false).with_span_events(FmtSpan::FULL);
        let mut for_machines = json(redaction, machines.writer());
        for_machines.set_span_events(FmtSpan::FULL);
        let log = tracing_subscriber::registry().with(for_people).with(for_machines);
        tracing::subscriber::with_default(log, || {
            let span =
                tracing::info_span!("letter", email = "ada@example.com", ip_address = tracing::field::Empty);
            let error = io::Error::other("ada@example.com is unknown");
            span.in_scope(|| {
                span.record("ip_address", tracing::field::display("203.0.113.77"));
                let finding: &(dyn Error + 'static) = &error;
                tracing::info!(account.email = ?"ada@example.com", finding, age = 4_077_177_377_i64, tries = 3, "sent");
            });
        });
        (people.text(), machines.text())
    }

    #[test]
    fn a_line_says_the_same_as_one_of_the_subscribers_own() {
        let redaction = Redaction::default();
        let (ours, theirs) = (Lines::default(), Lines::default());
        let plain = tracing_subscriber::fmt::layer().json().with_writer(theirs.writer());
        let log = tracing_subscriber::registry().with(plain).with(json(&redaction, ours.writer()));
        tracing::subscriber::with_default(log, || {
            tracing::info!(target: "a \"target\"", "outside");
            let request =
                tracing::info_span!("request", id = "1\"2", tries = 1, later = tracing::field::Empty);
            request.in_scope(|| {
                request.record("later", "a \"tries\": 7");
                request.record("tries", 2);
                let error: &(dyn Error + 'static) = &io::Error::other("it\nbroke");
                tracing::warn!(error, share = f64::NAN, exact = 0.5, done = false, r#type = ?Some("x"), "inside");
                tracing::info_span!("bare").in_scope(|| tracing::error!(parent: None, "apart"));
                tracing::info_span!("bare").in_scope(|| tracing::debug!(name: "x", "deeper"));
            });
        });
        let parsed = |lines: &Lines| -> Vec<Value> {
            let parsed = |line: &str| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                assert!(line["timestamp"].take().as_str().unwrap().ends_with('Z'), "{line}");
                line
            };
            lines.text().lines().map(parsed).collect()
        };
        assert_eq!(parsed(&ours), parsed(&theirs));
        assert_eq!(parsed(&ours).len(), 4);
        assert_eq!(parsed(&ours)[1]["span"]["tries"], 2);
    }

    #[test]
    fn a_line_of_the_crate_log_has_the_target_that_it_was_written_with() {
        let lines = Lines::default();
        let log = tracing_subscriber::registry().with(json(&Redaction::default(), lines.writer()));
        tracing::subscriber::with_default(log, || {
            tracing::info!(target: "log", { log.target = "hyper::proto" }, "of a library");
        });
        assert!(lines.text().contains(r#""target":"hyper::proto""#), "{}", lines.text());
    }

    #[test]
    fn fields_named_like_private_columns_show_that_they_are_there_and_nothing_more() {
        let redaction = Redaction::default();
        let (people, machines) = tell(&redaction);
        for value in ["ada@example.com", "203.0.113.77", "unknown", "4077177377"] {
            assert!(people.contains(value) && machines.contains(value), "nothing is known yet: {value}");
        }
        redaction.learn(&[
            Table::global("auth", "account").private(&["email", "ip_address", "age"]),
            Table::tenant("clinic", "visit").restricted(&["finding"]),
        ]);
        let (people, machines) = tell(&redaction);
        for value in ["ada@example.com", "203.0.113.77", "unknown", "4077177377"] {
            assert!(!people.contains(value), "{people}");
            assert!(!machines.contains(value), "{machines}");
        }
        assert!(people.contains("sent account.email=[private] finding=[restricted] age=[private] tries=3"));
        let line = machines.lines().find(|line| line.contains("sent")).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let told = serde_json::json!({
            "message": "sent", "account.email": "[private]", "finding": "[restricted]", "age": "[private]", "tries": 3,
        });
        assert_eq!(line["fields"], told);
        let span = serde_json::json!({ "name": "letter", "email": "[private]", "ip_address": "[private]" });
        assert_eq!(line["span"], span);
        for line in machines.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"] == "INFO"), "{line}");
        }
    }
}
