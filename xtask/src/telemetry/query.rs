//! What queries ask for, and whether a running product keeps it.

use std::collections::{BTreeMap, BTreeSet};

/// The metrics of a product: the labels of each, and their values.
#[derive(Debug, Default)]
pub struct Known(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

/// What the names of metrics begin with. Other words in a query are functions, labels and keywords.
const PREFIXES: [&str; 4] = ["http_", "kernel_", "process_", "slo:"];
/// Labels that Prometheus adds to every series of a target.
const OF_TARGETS: [&str; 2] = ["instance", "job"];

impl Known {
    /// The metrics of this text, and those that the recording rules make.
    #[must_use]
    pub fn of(text: &str, recorded: impl IntoIterator<Item = String>) -> Self {
        let mut known = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, _)) = line.rsplit_once(' ') else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let metric = known.0.entry(name.to_owned()).or_default();
            for (label, value) in pairs(labels.trim_end_matches('}')) {
                metric.entry(label).or_default().insert(value);
            }
        }
        known.0.extend(recorded.into_iter().map(|name| (name, BTreeMap::new())));
        known
    }

    /// What the query asks for in vain, one sentence each.
    #[must_use]
    pub fn misses(&self, query: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut asked = 0;
        let mut rest = query;
        while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
            let word: String = rest[start..].chars().take_while(|c| is_of_word(*c)).collect();
            rest = &rest[start + word.len()..];
            if rest.starts_with('"') {
                continue;
            }
            if !PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
                // What follows a keyword in brackets are labels; nobody can tell of which metric, so any will do.
                if matches!(word.as_str(), "by" | "on" | "without") {
                    let inside = rest.trim_start().strip_prefix('(').and_then(|rest| rest.split_once(')'));
                    let labels = inside.map(|(labels, _)| labels).unwrap_or_default();
                    found.extend(
                        labels
                            .split(',')
                            .map(str::trim)
                            .filter(|label| !self.has_label(label))
                            .map(|label| format!("no metric has the label {label}: {query}")),
                    );
                }
                continue;
            }
            asked += 1;
            let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let matchers = matchers.map(|(matchers, after)| {
                rest = after;
                matchers
            });
            found.extend(
                self.miss(&word, matchers.unwrap_or_default()).map(|miss| format!("{miss}: {query}")),
            );
        }
        if asked == 0 {
            found.push(format!("it asks for no metric: {query}"));
        }
        found
    }

    fn has_label(&self, label: &str) -> bool {
        OF_TARGETS.contains(&label) || self.0.values().any(|labels| labels.contains_key(label))
    }

    fn miss(&self, metric: &str, matchers: &str) -> Option<String> {
        let Some(labels) = self.0.get(metric) else { return Some(format!("there is no metric {metric}")) };
        for matcher in matchers.split("\",").map(|matcher| matcher.trim_end_matches('"')) {
            let Some(end) = matcher.find(['=', '!']) else { continue };
            let (label, value) = (matcher[..end].trim(), matcher.rsplit('"').next().unwrap_or_default());
            let Some(values) = labels.get(label) else {
                return Some(format!("{metric} has no label {label}"));
            };
            if let Some(value) = value.split('|').find(|value| !values.contains(*value)) {
                return Some(format!("{label} of {metric} is never {value}"));
            }
        }
        None
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Labels as the text format writes them. No value of ours holds a quote.
fn pairs(labels: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = labels.split("\",").filter_map(|pair| pair.split_once("=\""));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_for_what_nobody_keeps_are_found() {
        let text = "# TYPE http_requests_total counter\nhttp_requests_total{route=\"/\",status=\"5xx\"} 1\n";
        let known = Known::of(text, ["slo:errors:ratio".to_owned()]);
        let misses = |query| known.misses(query).len();
        assert_eq!(misses("sum by (status) (rate(http_requests_total{status=\"5xx\"}[5m]))"), 0);
        assert_eq!(misses("slo:errors:ratio > (14.4 * 0.001)"), 0);
        assert_eq!(misses("http_requests_total{route!~\"/|/other\"}"), 1);
        assert_eq!(misses("rate(http_request_total[5m])"), 1);
        assert_eq!(misses("http_requests_total{tenant=\"x\"}"), 1);
        assert_eq!(misses("http_requests_total{status=\"6xx\"}"), 1);
        assert_eq!(misses("sum by (tenant) (http_requests_total)"), 1);
        assert_eq!(misses("up"), 1);
    }
}
