//! What a value is kept under.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use uuid::Uuid;

use crate::actor::Actor;
use crate::id::WorkspaceId;
use crate::secret::{joined, sha256};

/// The reach of a key without a tag: only time takes its value back.
#[derive(Debug, Clone, Copy)]
pub enum Brief {}

/// The reach of a key with a tag: a bump takes its value back.
#[derive(Debug, Clone, Copy)]
pub enum Tagged {}

/// The reach of a key of one actor.
#[derive(Debug, Clone, Copy)]
pub enum OfActor {}

/// What a value is asked for by. The workspace comes from the transaction.
///
/// The reach `R` says for how long the value may be kept: see [`Lasts`](super::Lasts).
#[must_use = "hand it to `cached`"]
pub struct CacheKey<R = Brief> {
    kind: &'static str,
    parts: Vec<String>,
    tags: BTreeSet<String>,
    of_actor: bool,
    reach: PhantomData<fn() -> R>,
}

// By hand, because a derive would ask for `R: Clone` and `R: Debug`.
impl<R> Clone for CacheKey<R> {
    fn clone(&self) -> Self {
        Self { parts: self.parts.clone(), tags: self.tags.clone(), ..*self }
    }
}

impl<R> fmt::Debug for CacheKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheKey").field("kind", &self.kind).field("tags", &self.tags).finish_non_exhaustive()
    }
}

impl CacheKey {
    /// A key of this kind: the dotted name of what is computed, `shop.item.count`. Another shape or meaning of the value
    /// needs another kind, since values of the program before may still be kept.
    pub fn new(kind: &'static str) -> Self {
        Self { kind, parts: Vec::new(), tags: BTreeSet::new(), of_actor: false, reach: PhantomData }
    }

    /// With a tag: a [`bump`](super::bump) of it hides the value. 1 to 100 bytes, words of the program and ids, never what
    /// somebody has typed: `items`, `project:prj_…`.
    pub fn tag(self, tag: impl Into<String>) -> CacheKey<Tagged> {
        self.tagged(tag.into())
    }
}

impl CacheKey<Tagged> {
    /// With one more tag.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.tagged(tag.into())
    }
}

impl CacheKey<OfActor> {
    /// With a tag.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.tagged(tag.into())
    }
}

impl<R> CacheKey<R> {
    /// With one more part of what is asked for: an id, a number, a filter. Parts count in their order, each as it displays.
    pub fn part(mut self, part: impl fmt::Display) -> Self {
        self.parts.push(part.to_string());
        self
    }

    /// Of whoever acts in the transaction, alone: for what depends on who asks. Staff who see what a user sees have values of
    /// their own, and all strangers are one.
    ///
    /// It is kept for an hour at most, tag or no tag, because what somebody may see changes in more places than tags tell.
    ///
    /// ```compile_fail
    /// # use std::time::Duration;
    /// # use kernel_core::cache::{CacheKey, LongTtl, cached};
    /// # use kernel_core::{Error, TenantTx};
    /// # async fn mine(tx: &mut TenantTx) -> Result<i64, Error> {
    /// const DAY: LongTtl = LongTtl::new(Duration::from_hours(24));
    /// let key = CacheKey::new("shop.item.mine").of_actor().tag("items");
    /// cached(tx, &key, DAY, async |_: &mut TenantTx| Ok(0)).await
    /// # }
    /// ```
    pub fn of_actor(mut self) -> CacheKey<OfActor> {
        self.of_actor = true;
        self.reaching()
    }

    fn tagged<Q>(mut self, tag: String) -> CacheKey<Q> {
        self.tags.insert(tag);
        self.reaching()
    }

    fn reaching<Q>(self) -> CacheKey<Q> {
        let Self { kind, parts, tags, of_actor, reach: _ } = self;
        CacheKey { kind, parts, tags, of_actor, reach: PhantomData }
    }

    pub(super) fn tags(&self) -> Vec<&str> {
        self.tags.iter().map(String::as_str).collect()
    }

    /// Where the value lies, and which value: what was computed before a bump gives way in its place to what comes after.
    pub(super) fn slot(&self, workspace: WorkspaceId, actor: &Actor, versions: &[Uuid]) -> Slot {
        let versions: Vec<_> = versions.iter().map(|version| version.as_bytes().as_slice()).collect();
        Slot { key: self.hash(workspace, actor), versions: sha256(&joined(&versions)) }
    }

    /// Every part and every list stands behind its length, the workspace first, so that no two keys are spelt alike.
    fn hash(&self, workspace: WorkspaceId, actor: &Actor) -> [u8; 32] {
        let parts: Vec<_> = self.parts.iter().map(String::as_bytes).collect();
        let tags: Vec<_> = self.tags.iter().map(String::as_bytes).collect();
        let actor = if self.of_actor { spelt(actor) } else { Vec::new() };
        sha256(&joined(&[
            workspace.uuid().as_bytes(),
            self.kind.as_bytes(),
            &joined(&parts),
            &joined(&tags),
            &actor,
        ]))
    }
}

/// The place of a value, and the versions of its tags that it must bear; hashes both.
pub(super) struct Slot {
    pub(super) key: [u8; 32],
    pub(super) versions: [u8; 32],
}

fn spelt(actor: &Actor) -> Vec<u8> {
    let id = actor.id().unwrap_or_default();
    let more = match actor {
        Actor::Staff { acting_as: Some(user), .. } => user.uuid().as_bytes().to_vec(),
        Actor::System { name } => name.as_bytes().to_vec(),
        _ => Vec::new(),
    };
    joined(&[actor.kind().as_bytes(), id.as_bytes(), &more])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::UserId;

    const SYSTEM: Actor = Actor::System { name: "test" };

    #[test]
    fn no_two_keys_are_spelt_alike() {
        let [one, two] = [1, 2].map(|n| WorkspaceId::from_uuid(Uuid::from_u128(n)));
        let user = |n| UserId::from_uuid(Uuid::from_u128(n));
        let key = || CacheKey::new("k");
        let in_one = |key: CacheKey| key.hash(one, &SYSTEM);
        let of = |actor: &Actor| key().of_actor().hash(one, actor);
        let mut hashes = vec![
            in_one(key()),
            key().hash(two, &SYSTEM),
            in_one(CacheKey::new("ka")),
            in_one(key().part("a").part("bc")),
            in_one(key().part("ab").part("c")),
            in_one(key().part("abc")),
            in_one(key().part("bc").part("a")),
            in_one(key().part("")),
            in_one(key().part("").part("")),
            in_one(key().part("\0\0\0\0\0\0\0\x01a")),
            key().part("a").part("bc").hash(two, &SYSTEM),
            key().tag("a").hash(one, &SYSTEM),
            key().tag("a").tag("bc").hash(one, &SYSTEM),
            key().tag("ab").tag("c").hash(one, &SYSTEM),
            of(&SYSTEM),
            of(&Actor::System { name: "other" }),
            of(&Actor::Anonymous),
            of(&Actor::User { id: user(1), verified: true }),
            of(&Actor::User { id: user(2), verified: true }),
            of(&Actor::Staff { id: user(1), acting_as: None }),
            of(&Actor::Staff { id: user(1), acting_as: Some(user(2)) }),
            of(&Actor::Staff { id: user(2), acting_as: Some(user(1)) }),
        ];
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }

    #[test]
    fn equal_questions_have_one_key_however_their_tags_are_ordered() {
        let workspace = WorkspaceId::from_uuid(Uuid::from_u128(1));
        let hash = |key: CacheKey<Tagged>, name| key.hash(workspace, &Actor::System { name });
        let key = CacheKey::new("k").part(7);
        assert_eq!(hash(key.clone().tag("a").tag("b"), "one"), hash(key.tag("b").tag("a").tag("b"), "two"));
    }

    #[test]
    fn values_of_other_versions_lie_in_the_same_place() {
        let [first, second] = [1, 2].map(Uuid::from_u128);
        let key = CacheKey::new("k").tag("a").tag("b");
        let slot = |versions: &[Uuid]| key.slot(WorkspaceId::SYSTEM, &SYSTEM, versions);
        let slots = [slot(&[]), slot(&[first]), slot(&[second]), slot(&[first, second])];
        assert!(slots.iter().all(|slot| slot.key == slots[0].key));
        let versions: std::collections::BTreeSet<_> = slots.iter().map(|slot| slot.versions).collect();
        assert_eq!(versions.len(), slots.len());
    }
}
