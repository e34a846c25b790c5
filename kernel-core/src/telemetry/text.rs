//! Metrics in the text format of Prometheus, version 0.0.4.

use std::fmt::{self, Write};

use super::metric::{Kind, Metrics, Point, Snapshot, Value, precise};

impl Metrics {
    /// Every series in the text format of Prometheus.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        for snapshot in self.snapshot() {
            // Writing to a text cannot fail.
            let _ = family(&mut text, &snapshot);
        }
        text
    }
}

fn family(text: &mut String, snapshot: &Snapshot) -> fmt::Result {
    let Snapshot { name, help, kind, points } = snapshot;
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    writeln!(text, "# HELP {name} {}", help.replace('\\', "\\\\").replace('\n', "\\n"))?;
    writeln!(text, "# TYPE {name} {kind}")?;
    for Point { labels, value } in points {
        let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match value {
            Value::Number(number) => line(text, name, "", &labels, *number)?,
            Value::Buckets { bounds, counts, sum } => {
                let (mut below, mut bounds) = (0, bounds.iter());
                for count in counts {
                    below += count;
                    let bound = bounds.next().map_or_else(|| "+Inf".to_owned(), f64::to_string);
                    let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
                    line(text, name, "_bucket", &labels, precise(below))?;
                }
                line(text, name, "_sum", &labels, *sum)?;
                line(text, name, "_count", &labels, precise(below))?;
            }
        }
    }
    Ok(())
}

fn line(text: &mut String, name: &str, part: &str, labels: &[(&str, &str)], value: f64) -> fmt::Result {
    write!(text, "{name}{part}")?;
    for (index, (label, value)) in labels.iter().enumerate() {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(text, "{}{label}=\"{value}\"", if index == 0 { '{' } else { ',' })?;
    }
    writeln!(text, "{} {value}", if labels.is_empty() { "" } else { "}" })
}
