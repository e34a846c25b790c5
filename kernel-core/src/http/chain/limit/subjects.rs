//! Who spends quotas, and what is known of each.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use super::purse::Purse;
use crate::secret::sha256;

/// Who spends a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) enum Subject {
    Actor(Uuid),
    Address(IpAddr),
    Workspace(Uuid),
}

impl Subject {
    /// An address; of IPv6 the network of one customer, since its holder has 2⁶⁴ addresses there.
    pub(in super::super) fn address(ip: IpAddr) -> Self {
        Self::Address(match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
        })
    }

    /// The subject and the quota as one, the same on every node.
    pub(super) fn id(&self, quota: &str) -> Uuid {
        let subject = match self {
            Self::Actor(id) => format!("actor {id}"),
            Self::Address(ip) => format!("address {ip}"),
            Self::Workspace(id) => format!("workspace {id}"),
        };
        let hash = sha256(format!("{quota} {subject}").as_bytes());
        Uuid::from_bytes(*hash.first_chunk().expect("32 bytes begin with 16"))
    }
}

/// A purse per subject, at most so many. A stranger who floods it with new subjects pushes out those who have spent
/// least, never those whom a limit is holding back.
#[derive(Debug)]
pub(super) struct Subjects {
    shards: Box<[Mutex<HashMap<Subject, Purse>>]>,
    /// Attackers choose addresses, so the hash that spreads them is keyed.
    spread: RandomState,
    most: usize,
}

/// So that the requests of different subjects hardly ever wait for each other.
const SHARDS_MAX: usize = 16;
/// Fewer subjects need no shards: what is forgotten is chosen within one.
const SHARD_MIN: usize = 1024;
/// How many purses are looked at for the one to forget.
const SAMPLE: usize = 16;

impl Subjects {
    pub(super) fn new(most: usize) -> Self {
        let shards = (most / SHARD_MIN).clamp(1, SHARDS_MAX);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            spread: RandomState::new(),
            most: most / shards,
        }
    }

    /// Works on the purse of a subject, an empty one if it is not known.
    pub(super) fn with<T>(&self, subject: &Subject, work: impl FnOnce(&mut Purse) -> T) -> T {
        let hash = usize::try_from(self.spread.hash_one(subject) >> 32).unwrap_or_default();
        let shard = &self.shards[hash % self.shards.len()];
        let mut purses = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(purse) = purses.get_mut(subject) {
            return work(purse);
        }
        if purses.len() >= self.most {
            // The quota that is whole first has least to lose.
            let earliest = purses.iter().take(SAMPLE).min_by_key(|(_, purse)| purse.whole_at);
            if let Some(forgotten) = earliest.map(|(subject, _)| *subject) {
                purses.remove(&forgotten);
            }
        }
        work(purses.entry(*subject).or_default())
    }

    /// How many subjects are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}
