//! The trace of one request: its transactions, and the jobs that its events became.

use kernel_core::testkit::SeenSpan;

/// What hangs together.
pub(super) struct Joined {
    pub(super) spans: usize,
    /// Jobs below the request, and transactions below those or the request itself.
    pub(super) jobs: usize,
    pub(super) transactions: usize,
    /// Attributes that hold what somebody entered, or a statement.
    pub(super) leaks: Vec<String>,
}

/// What people entered on that day, and what SQL looks like.
const ENTERED: [&str; 4] = ["It is broken", "correct horse battery", "@example.com", "SELECT "];

pub(super) fn joined(seen: &[SeenSpan], request_id: &str) -> Joined {
    let trace_id = request_id.trim_start_matches("req_");
    let own: Vec<_> = seen.iter().filter(|span| span.trace_id == trace_id).collect();
    let root = own.iter().find(|span| span.parent_id.is_empty());
    let root = root.map_or("none", |span| span.span_id.as_str());
    let jobs: Vec<_> =
        own.iter().filter(|span| span.name.starts_with("job ") && span.parent_id == root).collect();
    let below =
        |span: &&&SeenSpan| span.parent_id == root || jobs.iter().any(|job| job.span_id == span.parent_id);
    let transactions = own.iter().filter(|span| span.name == "transaction").filter(below).count();
    let leaks = seen.iter().flat_map(|span| &span.attributes);
    let leaks = leaks.filter(|(_, value)| ENTERED.iter().any(|text| value.contains(text)));
    Joined {
        spans: seen.len(),
        jobs: jobs.len(),
        transactions,
        leaks: leaks.map(|(name, value)| format!("{name}={value}")).collect(),
    }
}
