//! What stands between callers and a store: values are sealed, and a store that fails is done without.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use secrecy::ExposeSecret;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::VALUE_MAX;
use super::key::Slot;
use crate::app::Config;
use crate::db::Db;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::seam::Cache;
use crate::secret::{Keyring, Place};

/// How long a store may take, and then how long nobody asks.
const PATIENCE: Duration = Duration::from_secs(1);

/// A store, and the keys that its values are sealed with.
pub(crate) struct Front {
    store: Arc<dyn Cache>,
    keyring: Keyring,
    start: Instant,
    /// Nobody asks before then, in milliseconds since the start.
    silent_until: AtomicU64,
}

impl Front {
    /// The store that the host has chosen.
    pub(crate) fn open(config: &Config, db: &Db, keyring: &Keyring) -> Arc<Self> {
        let (store, keyring) = (config.cache.open(db, &config.clock), keyring.clone());
        Arc::new(Self { store, keyring, start: Instant::now(), silent_until: AtomicU64::new(0) })
    }

    /// The value kept in the slot. What does not open, bears other versions or is of another shape is none.
    pub(super) async fn find<T: DeserializeOwned>(&self, slot: &Slot) -> Option<T> {
        let sealed = self.ask(self.store.get(&slot.key)).await??;
        let Ok(plain) = self.keyring.open(&Place::Cached { key: &slot.key }, &sealed) else {
            tracing::warn!("a cached value does not open");
            return None;
        };
        let value = serde_json::from_slice(plain.expose_secret().strip_prefix(&slot.versions)?);
        // The error would quote the value.
        value.inspect_err(|_| tracing::warn!("a cached value is of another shape")).ok()
    }

    /// The value as the store keeps it in the slot, behind its versions, if it is not too long.
    pub(super) fn seal<T: Serialize>(&self, slot: &Slot, value: &T, entropy: &Entropy) -> Option<Bytes> {
        let mut plain = Zeroizing::new(slot.versions.to_vec());
        if serde_json::to_writer(&mut *plain, value).is_err() {
            tracing::warn!("a value to cache cannot be written as JSON");
            return None;
        }
        let bytes = plain.len() - slot.versions.len();
        if bytes > VALUE_MAX {
            tracing::warn!(bytes, "a value is too long to cache");
            return None;
        }
        Some(self.keyring.seal(entropy, &Place::Cached { key: &slot.key }, &plain).into())
    }

    /// Keeps what [`Front::seal`] made for the slot.
    pub(super) async fn keep(&self, slot: &Slot, sealed: Bytes, ttl: Duration) {
        self.ask(self.store.set(&slot.key, sealed, ttl)).await;
    }

    /// What the store answers; `None` when it does not, or did not a moment ago.
    async fn ask<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Option<T> {
        if self.millis() < self.silent_until.load(Ordering::Relaxed) {
            return None;
        }
        match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::warn!(error = error.with_causes(), "the cache fails"),
            Err(_) => tracing::warn!("the cache does not answer in time"),
        }
        let patience = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        self.silent_until.store(self.millis().saturating_add(patience), Ordering::Relaxed);
        None
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
