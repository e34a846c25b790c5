//! What a response says about a quota.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::rate::Verdict;
use crate::clock::Clock;
use crate::http::config::Quota;

/// Where a subject stands after a request, as this node knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    name: &'static str,
    quota: Quota,
    remaining: u32,
    /// Until the quota is whole again.
    reset: Duration,
}

impl Standing {
    pub(super) fn new(name: &'static str, quota: Quota, verdict: &Verdict) -> Self {
        Self { name, quota, remaining: verdict.remaining, reset: Duration::from_micros(verdict.reset) }
    }

    /// The one that will run out first.
    pub(in super::super) fn tighter(self, other: Option<Self>) -> Self {
        let share =
            |standing: &Self| f64::from(standing.remaining) / f64::from(standing.quota.requests.get());
        match other {
            Some(other) if share(&other) < share(&self) => other,
            _ => self,
        }
    }

    /// The headers of both families: the IETF draft's, and the older ones that clients know.
    pub(in super::super) fn write(&self, headers: &mut HeaderMap, clock: &Clock) {
        let Self { name, quota, remaining, reset } = self;
        let seconds = reset.as_secs() + u64::from(reset.subsec_nanos() > 0);
        let mut put = |header: &'static str, text: String| {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(HeaderName::from_static(header), value);
            }
        };
        let (limit, window) = (quota.requests, quota.window.as_secs().max(1));
        put("ratelimit-policy", format!("\"{name}\";q={limit};w={window}"));
        put("ratelimit", format!("\"{name}\";r={remaining};t={seconds}"));
        put("x-ratelimit-limit", limit.to_string());
        put("x-ratelimit-remaining", remaining.to_string());
        let at = clock.now().timestamp().saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
        put("x-ratelimit-reset", at.to_string());
    }
}
