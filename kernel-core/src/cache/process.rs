//! Values in the memory of this process.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use quick_cache::sync::{Cache as Entries, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::VALUE_MAX;
use crate::clock::Clock;
use crate::error::Error;
use crate::seam::Cache;

/// What an entry takes besides its value, about: the key twice, the time, places in tables.
const OVERHEAD: usize = 160;
/// What a usual entry takes, about: an estimate that only sizes tables.
const USUAL: usize = 1024;

/// As many bytes as it is given. Which entries go when they are full, the crate chooses; expired ones go when they are asked
/// for, or so.
pub(super) struct ProcessCache {
    entries: Entries<[u8; 32], Entry, Weight>,
    clock: Clock,
}

#[derive(Clone)]
struct Entry {
    value: Bytes,
    expires_at: DateTime<Utc>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<[u8; 32], Entry> for Weight {
    fn weight(&self, _: &[u8; 32], entry: &Entry) -> u64 {
        (entry.value.len() + OVERHEAD) as u64
    }
}

impl ProcessCache {
    pub(super) fn new(bytes: usize, clock: &Clock) -> Self {
        // Each shard holds its share of the bytes, and one of the largest values must fit several times.
        let shards = (bytes / (4 * VALUE_MAX)).clamp(1, 32);
        let mut options = OptionsBuilder::new();
        options.shards(shards).estimated_items_capacity(bytes / USUAL).weight_capacity(bytes as u64);
        let options = options.build().expect("capacity and number of items are given");
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self { entries: Entries::with_options(options, Weight, hasher, lifecycle), clock: clock.clone() }
    }
}

#[async_trait]
impl Cache for ProcessCache {
    async fn get(&self, key: &[u8; 32]) -> Result<Option<Bytes>, Error> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        let now = self.clock.now();
        if entry.expires_at > now {
            return Ok(Some(entry.value));
        }
        self.entries.remove_if(key, |entry| entry.expires_at <= now);
        Ok(None)
    }

    async fn set(&self, key: &[u8; 32], value: Bytes, ttl: Duration) -> Result<(), Error> {
        let expires_at = self.clock.now() + ttl;
        self.entries.insert(*key, Entry { value, expires_at });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn key(n: u32) -> [u8; 32] {
        crate::secret::sha256(&n.to_be_bytes())
    }

    #[tokio::test]
    async fn it_takes_no_more_memory_than_it_is_given() {
        let bytes = 4 * 1024 * 1024;
        let cache = ProcessCache::new(bytes, &Clock::system());
        for n in 0..20_000 {
            cache.set(&key(n), Bytes::from(vec![0; 1000]), MINUTE).await.unwrap();
        }
        assert!(cache.entries.weight() <= bytes as u64, "{}", cache.entries.weight());
        assert!(cache.entries.len() > 2000, "{}", cache.entries.len());
    }

    #[tokio::test]
    async fn the_largest_value_fits_and_what_has_expired_goes_when_it_is_asked_for() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let cache = ProcessCache::new(32 * 1024 * 1024, &clock);
        for n in 0..64 {
            cache.set(&key(n), Bytes::from(vec![0; VALUE_MAX + 100]), MINUTE).await.unwrap();
            assert!(cache.get(&key(n)).await.unwrap().is_some(), "{n}");
        }
        clock.advance(chrono::TimeDelta::minutes(1));
        assert_eq!(cache.get(&key(63)).await.unwrap(), None);
        assert!(!cache.entries.contains_key(&key(63)));
    }

    #[tokio::test]
    async fn no_room_at_all_keeps_nothing() {
        let cache = ProcessCache::new(0, &Clock::system());
        cache.set(&key(1), Bytes::from_static(b"x"), MINUTE).await.unwrap();
        assert_eq!(cache.get(&key(1)).await.unwrap(), None);
    }
}
