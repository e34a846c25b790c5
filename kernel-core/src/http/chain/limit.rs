//! Rate limits, in process: GCRA over a bounded number of subjects.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota as GovernorQuota, RateLimiter};
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::http::config::{HttpConfig, Quota};

/// Everything that an app counts requests by.
#[derive(Debug)]
pub struct Limits {
    pub(super) anonymous: Limit,
    pub(super) address: Limit,
    pub(super) auth: Limit,
    pub(super) actor: Limit,
    pub(super) workspace: Limit,
    pub(super) heavy: Limit,
    pub(super) probe: Limit,
    clock: Clock,
}

impl Limits {
    /// Fresh limits: nobody has spent anything.
    #[must_use]
    pub fn new(config: &HttpConfig, clock: &Clock) -> Self {
        let quotas = &config.quotas;
        let limit = |name, quota| Limit::new(name, quota, quotas.subjects, clock);
        Self {
            anonymous: limit("anonymous", quotas.anonymous),
            address: limit("address", quotas.address),
            auth: limit("auth", quotas.auth),
            actor: limit("actor", quotas.actor),
            workspace: limit("workspace", quotas.workspace),
            heavy: limit("heavy", quotas.heavy),
            probe: limit("probe", quotas.probe),
            clock: clock.clone(),
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// Who spends a quota.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Actor(Uuid),
    Address(IpAddr),
    Workspace(Uuid),
}

impl Subject {
    /// An address; of IPv6 the network of one customer, since its holder has 2⁶⁴ addresses there.
    pub(super) fn address(ip: IpAddr) -> Self {
        Self::Address(match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
        })
    }
}

/// One quota and what is left of it for each subject.
#[derive(Debug)]
pub(super) struct Limit {
    name: &'static str,
    quota: Quota,
    limiter: RateLimiter<Subject, Subjects<Subject>, Ticks, StateInformationMiddleware>,
}

/// Where a subject stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    name: &'static str,
    quota: Quota,
    remaining: u32,
    /// Until the quota is whole again.
    reset: Duration,
}

impl Limit {
    fn new(name: &'static str, quota: Quota, subjects: usize, clock: &Clock) -> Self {
        let each = quota.window / quota.requests.get();
        let governor = GovernorQuota::with_period(each.max(Duration::from_millis(1)))
            .expect("a millisecond is no empty period")
            .allow_burst(quota.requests);
        let limiter = RateLimiter::new(governor, Subjects::new(subjects), Ticks(clock.clone()));
        Self { name, quota, limiter }
    }

    /// Spends one request of the subject's quota, and says where the subject then stands.
    pub(super) fn spend(&self, subject: &Subject) -> (Standing, Result<(), Error>) {
        let standing = |remaining: u32| {
            let each = self.quota.window / self.quota.requests.get();
            let reset = each * (self.quota.requests.get() - remaining.min(self.quota.requests.get()));
            Standing { name: self.name, quota: self.quota, remaining, reset }
        };
        match self.limiter.check_key(subject) {
            Ok(state) => (standing(state.remaining_burst_capacity()), Ok(())),
            Err(until) => {
                let wait = until.wait_time_from(self.limiter.clock().now());
                let error = Error::new(ErrorKind::RateLimited, "rate_limited").retry_after(wait);
                (standing(0), Err(error))
            }
        }
    }
}

impl Standing {
    /// The one that will run out first.
    pub(super) fn tighter(self, other: Option<Self>) -> Self {
        let share =
            |standing: &Self| f64::from(standing.remaining) / f64::from(standing.quota.requests.get());
        match other {
            Some(other) if share(&other) < share(&self) => other,
            _ => self,
        }
    }

    /// The headers of both families: the IETF draft's, and the older ones that clients know.
    pub(super) fn write(&self, headers: &mut HeaderMap, clock: &Clock) {
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

/// The app's clock as governor reads it: time since the epoch.
#[derive(Debug, Clone)]
struct Ticks(Clock);

impl GovernorClock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.now().timestamp_micros()).unwrap_or(0))
    }
}

/// State per subject, at most so many. A stranger who floods it with new subjects pushes out those who have spent
/// least, never those whom a limit is holding back.
#[derive(Debug)]
struct Subjects<K> {
    states: Mutex<HashMap<K, Nanos>>,
    most: usize,
}

/// How many entries are looked at for the one to forget.
const SAMPLE: usize = 16;

impl<K> Subjects<K> {
    fn new(most: usize) -> Self {
        Self { states: Mutex::new(HashMap::new()), most }
    }
}

impl<K: Hash + Eq + Clone> StateStore for Subjects<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let known = states.get(key).copied();
        let (outcome, state) = measure(known)?;
        if known.is_none() && states.len() >= self.most {
            // The state is the time at which the quota is whole again: the earliest one has least to lose.
            let earliest = states.iter().take(SAMPLE).min_by_key(|(_, state)| **state);
            if let Some(forgotten) = earliest.map(|(key, _)| key.clone()) {
                states.remove(&forgotten);
            }
        }
        states.insert(key.clone(), state);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests;
