//! Reports of errors: what somebody should look at, on its way to whoever keeps them.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use http::Method;

use super::TelemetryConfig;
use super::metric::{Counter, Labels};
use super::trace::Trace;
use crate::app::App;
use crate::ctx::{Ctx, RequestId};
use crate::error::{Error, ErrorKind};
use crate::id::WorkspaceId;
use crate::job::Fate;

/// How many reports of one kind of trouble leave in a minute, and how many of all kinds.
const EACH_MAX: u32 = 5;
const ALL_MAX: u32 = 60;
const WINDOW: Duration = Duration::from_mins(1);
/// How many kinds of trouble are told apart.
const KINDS_MAX: usize = 500;
/// How much of a message is kept.
const CHARS_MAX: usize = 1000;
/// Longer runs of letters and digits are ids, tokens or hashes.
const WORD_MAX: usize = 20;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Incident {
    /// A chore failed; it is tried again.
    Chore,
    /// A job failed for good.
    DeadJob,
    /// A request was answered with a failure that is ours: 5xx.
    Failure,
    /// The handler of a request panicked.
    Panic,
}

impl Incident {
    /// Its name: `panic`, `failure`, `dead_job`, `chore`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chore => "chore",
            Self::DeadJob => "dead_job",
            Self::Failure => "failure",
            Self::Panic => "panic",
        }
    }
}

/// One thing that went wrong, without what people have entered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What has happened.
    pub incident: Incident,
    /// Where: the method and the template of the route (`GET /api/v1/w/{workspace}/issues`), the kind of the job, the name
    /// of the chore.
    pub place: String,
    /// The stable code of the error.
    pub code: String,
    /// What is known of the cause. Addresses, quoted values and long words are blotted out; 1000 characters at most.
    pub message: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The request, or the one that set the job off. Every line of the log about it has this id.
    pub request_id: RequestId,
    /// The workspace, if it was in one.
    pub workspace_id: Option<WorkspaceId>,
    /// The trace and the place in it, if it is traced.
    pub trace: Option<Trace>,
    /// Which version of the product it was: [`TelemetryConfig::release`](super::TelemetryConfig::release).
    pub release: String,
    /// How many reports like this one were held back since the last.
    pub held_back: u64,
}

/// Hears of errors: Sentry and its like.
///
/// It is called in the middle of a request, so it must not wait: it puts the report into a bounded queue and returns. It
/// gets at most five reports a minute of each kind of trouble, and 60 in all.
pub trait ErrorReporter: Send + Sync {
    /// Takes a report. A panic in here is caught.
    fn report(&self, report: Report);
}

/// What is known of an error where it is noticed.
pub(crate) struct Noticed<'a> {
    pub(crate) incident: Incident,
    pub(crate) place: String,
    pub(crate) code: &'a str,
    pub(crate) message: String,
}

impl<'a> Noticed<'a> {
    /// A request's error, if it is ours.
    pub(crate) fn of_request(method: &Method, template: &str, error: &'a Error) -> Option<Self> {
        let ours = matches!(error.kind(), ErrorKind::Internal | ErrorKind::Timeout | ErrorKind::Unavailable);
        let incident = if error.is_panic() { Incident::Panic } else { Incident::Failure };
        let message = error.with_causes();
        ours.then(|| Self { incident, place: format!("{method} {template}"), code: error.code(), message })
    }
}

impl<'a> Noticed<'a> {
    pub(crate) fn of_chore(name: &str, error: &'a Error) -> Self {
        let message = error.with_causes();
        Self { incident: Incident::Chore, place: name.to_owned(), code: error.code(), message }
    }
}

impl App {
    /// Tells the reporter of errors about a job that failed for good: for the runner of jobs. `message` is what the log says
    /// of the cause.
    pub fn report_dead_job(&self, fate: &Fate, code: &str, message: String) {
        let Fate { job, kind, attempt, workspace_id, request_id, trace_id } = fate;
        let trace = trace_id.map(|trace| Trace::of_job(trace, *job, *attempt));
        let ctx = self.system("jobs").for_job(*request_id, trace);
        let noticed = Noticed { incident: Incident::DeadJob, place: (*kind).to_owned(), code, message };
        self.shared.reports.report(&ctx, Some(*workspace_id), noticed);
    }
}

/// Hands reports on, as many as somebody can read.
pub(crate) struct Reports {
    reporter: Option<Arc<dyn ErrorReporter>>,
    release: String,
    storm: Mutex<Storm>,
    handed_on: Counter,
    held_back: Counter,
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").field("reporter", &self.reporter.is_some()).finish_non_exhaustive()
    }
}

impl Reports {
    pub(crate) fn new(config: &TelemetryConfig) -> Self {
        let reports = config.metrics.counter(
            "kernel_error_reports_total",
            "Reports of errors, by whether they were handed to the reporter or held back in a storm.",
            Labels::of("outcome", ["handed_on", "held_back"]),
        );
        let (handed_on, held_back) = (reports.of(["handed_on"]), reports.of(["held_back"]));
        let (reporter, release) = (config.reporter.clone(), config.release.clone());
        Self { reporter, release, storm: Mutex::default(), handed_on, held_back }
    }

    /// Whether anybody listens; without that, nothing needs to be put together.
    pub(crate) fn wanted(&self) -> bool {
        self.reporter.is_some()
    }

    /// Hands a report on, unless there were enough like it.
    pub(crate) fn report(&self, ctx: &Ctx, workspace_id: Option<WorkspaceId>, noticed: Noticed<'_>) {
        let Some(reporter) = &self.reporter else { return };
        let Noticed { incident, place, code, message } = noticed;
        let kind = (incident, place, code.to_owned());
        let storm = self.storm.lock().unwrap_or_else(PoisonError::into_inner).admit(kind, Instant::now());
        let Some(((incident, place, code), held_back)) = storm else {
            self.held_back.add(1);
            return;
        };
        let report = Report {
            incident,
            place,
            code,
            message: redacted(&message),
            at: ctx.now(),
            request_id: ctx.request_id(),
            workspace_id: workspace_id.filter(|id| *id != WorkspaceId::SYSTEM),
            trace: ctx.trace(),
            release: self.release.clone(),
            held_back,
        };
        self.handed_on.add(1);
        if catch_unwind(AssertUnwindSafe(|| reporter.report(report))).is_err() {
            tracing::error!("the reporter of errors panicked");
        }
    }
}

type Kind = (Incident, String, String);

/// How much of which trouble there was in this minute.
#[derive(Default)]
struct Storm {
    since: Option<Instant>,
    all: u32,
    kinds: HashMap<Kind, Seen>,
}

#[derive(Default)]
struct Seen {
    now: u32,
    held_back: u64,
}

impl Storm {
    /// The kind and how many were held back before, if one more may leave.
    fn admit(&mut self, kind: Kind, now: Instant) -> Option<(Kind, u64)> {
        if self.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            (self.since, self.all) = (Some(now), 0);
            if self.kinds.len() > KINDS_MAX / 2 {
                self.kinds.clear();
            }
            self.kinds.retain(|_, seen| seen.held_back > 0);
            self.kinds.values_mut().for_each(|seen| seen.now = 0);
        }
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&kind) {
            return None;
        }
        let seen = self.kinds.entry(kind.clone()).or_default();
        if seen.now >= EACH_MAX || self.all >= ALL_MAX {
            seen.held_back += 1;
            return None;
        }
        (seen.now, self.all) = (seen.now + 1, self.all + 1);
        Some((kind, std::mem::take(&mut seen.held_back)))
    }
}

/// The text without what may be somebody's: quoted values, addresses, long words.
fn redacted(text: &str) -> String {
    let mut clean = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(['"', '\'', '«', '`']) {
        let quote = rest[start..].chars().next().unwrap_or('"');
        let (before, quoted) = (&rest[..start], &rest[start + quote.len_utf8()..]);
        let close = if quote == '«' { '»' } else { quote };
        clean.push_str(before);
        // An apostrophe inside a word quotes nothing.
        let opens = !before.ends_with(char::is_alphanumeric);
        if let Some(end) = quoted.find(close).filter(|_| opens) {
            clean.extend([quote, '…', close]);
            rest = &quoted[end + close.len_utf8()..];
        } else {
            clean.push(quote);
            rest = quoted;
        }
    }
    clean.push_str(rest);
    let words = clean.split_inclusive(char::is_whitespace).map(|word| {
        let bare = word.trim_end();
        let long = bare.split(|c: char| !c.is_ascii_alphanumeric() && !"_-+/=".contains(c));
        let secret = bare.contains('@') || long.clone().any(|part| part.len() > WORD_MAX && is_random(part));
        if secret { format!("…{}", &word[bare.len()..]) } else { word.to_owned() }
    });
    words.collect::<String>().chars().take(CHARS_MAX).collect()
}

/// Names of tables and functions are long too, but have no digits.
fn is_random(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_told_in_few_reports_and_none_of_it_is_lost_count_of() {
        let (mut storm, start) = (Storm::default(), Instant::now());
        let kind = |code: u32| (Incident::Failure, "GET /".to_owned(), code.to_string());
        let admitted = (0..1000).filter(|_| storm.admit(kind(1), start).is_some()).count();
        assert_eq!(admitted, 5);
        assert!(storm.admit(kind(2), start).is_some(), "other trouble is heard of");
        let (_, held_back) = storm.admit(kind(1), start + WINDOW).unwrap();
        assert_eq!(held_back, 995);
        assert_eq!(storm.admit(kind(1), start + WINDOW).unwrap().1, 0);
        let admitted = (3..1000).filter(|code| storm.admit(kind(*code), start + WINDOW).is_some()).count();
        assert_eq!(admitted, 58, "60 in all");
        assert!(storm.kinds.len() <= KINDS_MAX);
        assert!(storm.admit(kind(2000), start + WINDOW * 2).is_some(), "what is new is heard of afterwards");
    }

    #[test]
    fn what_people_have_entered_leaves_the_message() {
        let clean = |text| redacted(text);
        assert_eq!(clean("no such column \"salary of Ann\" here"), "no such column \"…\" here");
        assert_eq!(clean("sent to ann@example.com, twice"), "sent to … twice");
        assert_eq!(clean("token sk_live_51H8s9d8f7g6h5j4k3l2 used"), "token … used");
        assert_eq!(clean("didn't find `x`"), "didn't find `…`");
        assert_eq!(
            clean("relation kernel_tenancy_membership_role is gone"),
            "relation kernel_tenancy_membership_role is gone"
        );
        assert_eq!(clean("unbalanced \"quote"), "unbalanced \"quote");
        assert_eq!(clean(&"a ".repeat(5000)).chars().count(), CHARS_MAX);
    }
}
