//! Where randomness comes from. Nothing else in the kernel draws random bytes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

/// A source of random bytes: the system's generator, or a seeded one for tests.
#[derive(Clone)]
pub struct Entropy(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Entropy(System)",
            Source::Seeded(_) => "Entropy(Seeded)",
        })
    }
}

impl Entropy {
    /// Bytes fit for secrets.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The same bytes in the same order for the same seed: for tests only.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// Starts a seeded source again, for it and its clones: what follows depends on nothing drawn before. The system's
    /// generator ignores it.
    pub fn reseed(&self, seed: u64) {
        if let Source::Seeded(rng) = &self.0 {
            *rng.lock().unwrap_or_else(PoisonError::into_inner) = StdRng::seed_from_u64(seed);
        }
    }

    /// Random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place that draws system randomness")]
            Source::System => rand::rng().fill_bytes(&mut bytes),
            Source::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes),
        }
        bytes
    }

    /// A UUIDv7 for the moment `at`: sortable by time to the millisecond, 74 random bits. Not a secret.
    #[must_use]
    pub fn uuid(&self, at: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_never_repeat() {
        let entropy = Entropy::system();
        let early = entropy.uuid(DateTime::UNIX_EPOCH);
        let late = entropy.uuid(DateTime::UNIX_EPOCH + chrono::TimeDelta::milliseconds(1));
        assert!(early < late);
        assert_ne!(late, entropy.uuid(DateTime::UNIX_EPOCH + chrono::TimeDelta::milliseconds(1)));
    }
}
