//! One rate limit by itself, to measure what counting costs.

use std::net::IpAddr;

use crate::clock::Clock;
use crate::db::Db;
use crate::http::{Counting, HttpConfig, Limits, Quota, Quotas};
use crate::telemetry::Metrics;

/// A quota per address, counted as an app would count it.
#[derive(Debug)]
pub struct RateLimit(Limits);

impl RateLimit {
    /// A quota of which nobody has spent anything, unless another node has.
    #[must_use]
    pub fn new(db: &Db, counting: Counting, quota: Quota) -> Self {
        let mut config = HttpConfig { quotas: Quotas::all(quota), ..HttpConfig::default() };
        config.quotas.counting = counting;
        Self(Limits::new(&config, &Clock::system(), db, &Metrics::new()))
    }

    /// Spends one request of the address, if there is one.
    pub async fn admits(&self, address: IpAddr) -> bool {
        self.0.admits(address).await
    }
}
