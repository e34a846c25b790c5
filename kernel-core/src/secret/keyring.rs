//! The data keys of an installation, unwrapped: what seals and opens without asking anybody.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aes_gcm::{Aes256Gcm, KeyInit};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretBox, SecretSlice};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::SealError;
use super::place::{Place, joined};
use super::provider::{KeyProvider, NONCE, decrypt, encrypt};
use crate::clock::Clock;
use crate::entropy::Entropy;

/// The first byte of what is sealed.
const VERSION: u8 = 1;
/// The version and the number of the data key.
pub(crate) const HEADER: usize = 5;

/// The data keys of an installation: the newest one that is old enough seals, all open. Cheap to clone; clones share the
/// keys, which are overwritten in memory when the last one is dropped.
///
/// A nonce is 96 random bits, so a data key is good for some four thousand million values; rotate it well before.
#[derive(Clone)]
pub(crate) struct Keyring {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) provider: Arc<dyn KeyProvider>,
    pub(crate) clock: Clock,
    ring: RwLock<Ring>,
    /// Held by whoever reads the table; the others wait for the same answer.
    pub(crate) refreshing: tokio::sync::Mutex<()>,
}

struct Ring {
    keys: Arc<Keys>,
    due_at: DateTime<Utc>,
}

/// By number.
pub(crate) type Keys = BTreeMap<i32, Arc<DataKey>>;

/// A data key, unwrapped.
pub(crate) struct DataKey {
    cipher: Aes256Gcm,
    key: SecretBox<[u8; 32]>,
    sealing_from: DateTime<Utc>,
}

impl DataKey {
    pub(crate) fn new(key: SecretBox<[u8; 32]>, sealing_from: DateTime<Utc>) -> Self {
        let cipher = Aes256Gcm::new(key.expose_secret().into());
        Self { cipher, key, sealing_from }
    }

    /// The same key, which seals from another time.
    pub(crate) fn sealing_from(&self, sealing_from: DateTime<Utc>) -> Self {
        Self::new(SecretBox::init_with(|| *self.key.expose_secret()), sealing_from)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.keys().keys()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// `keys` has at least one key.
    pub(crate) fn new(provider: Arc<dyn KeyProvider>, clock: Clock, keys: Keys) -> Self {
        let ring = RwLock::new(Ring { keys: Arc::new(keys), due_at: DateTime::<Utc>::MIN_UTC });
        Self { shared: Arc::new(Shared { provider, clock, ring, refreshing: tokio::sync::Mutex::default() }) }
    }

    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.shared.ring.read().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    /// Whether the table of data keys is to be read again.
    pub(crate) fn is_due(&self) -> bool {
        let due_at = self.shared.ring.read().unwrap_or_else(PoisonError::into_inner).due_at;
        self.shared.clock.now() >= due_at
    }

    /// Takes over what the table holds, if it was read, and leaves it alone for so long.
    pub(crate) fn set(&self, keys: Option<Keys>, lasting: TimeDelta) {
        let mut ring = self.shared.ring.write().unwrap_or_else(PoisonError::into_inner);
        ring.due_at = self.shared.clock.now() + lasting;
        if let Some(keys) = keys.filter(|keys| !keys.is_empty()) {
            ring.keys = Arc::new(keys);
        }
    }

    /// The number of the key that seals.
    pub(crate) fn sealing(&self) -> i32 {
        sealing(&self.keys(), self.shared.clock.now()).0
    }

    /// Encrypts `plain` for its place. The bytes tell which key opens them.
    pub(crate) fn seal(&self, entropy: &Entropy, place: &Place<'_>, plain: &[u8]) -> Vec<u8> {
        let keys = self.keys();
        let (number, key) = sealing(&keys, self.shared.clock.now());
        let header = header(number);
        let nonce: [u8; NONCE] = entropy.bytes();
        let sealed = encrypt(&key.cipher, nonce, &bound(&header, place), plain);
        [header.as_slice(), &nonce, &sealed].concat()
    }

    /// Decrypts what [`Keyring::seal`] made for this place.
    pub(crate) fn open(&self, place: &Place<'_>, bytes: &[u8]) -> Result<SecretSlice<u8>, SealError> {
        let (header, sealed) = bytes.split_at_checked(HEADER).ok_or(SealError::Closed)?;
        let number = number(header).ok_or(SealError::Closed)?;
        let keys = self.keys();
        let key = keys.get(&number).ok_or(SealError::Closed)?;
        decrypt(&key.cipher, &bound(header, place), sealed).map(SecretSlice::from).ok_or(SealError::Closed)
    }

    /// A code that only holders of the keys can make, for text that goes out and comes back: cursors.
    pub(crate) fn mac(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        mac(sealing(&self.keys(), self.shared.clock.now()).1.key.expose_secret(), purpose, bytes)
    }

    /// Whether `code` is the code of `bytes` under any key of the ring, in constant time per key.
    pub(crate) fn mac_matches(&self, purpose: &str, bytes: &[u8], code: &[u8]) -> bool {
        self.keys().values().any(|key| bool::from(mac(key.key.expose_secret(), purpose, bytes).ct_eq(code)))
    }
}

/// The newest key that every node knows. The first key has nobody to wait for, whatever its clock said.
fn sealing(keys: &Keys, now: DateTime<Utc>) -> (i32, &DataKey) {
    let old_enough = keys.iter().rev().find(|(_, key)| key.sealing_from <= now);
    let (number, key) = old_enough.or_else(|| keys.first_key_value()).expect("a ring has at least one key");
    (*number, key)
}

/// What a value starts with that is sealed under this key.
pub(crate) fn header(number: i32) -> [u8; HEADER] {
    let [a, b, c, d] = number.to_be_bytes();
    [VERSION, a, b, c, d]
}

/// The key under which a value is sealed; `None` for what is not sealed.
pub(crate) fn number(bytes: &[u8]) -> Option<i32> {
    match *bytes {
        [VERSION, a, b, c, d, ..] => Some(i32::from_be_bytes([a, b, c, d])).filter(|number| *number > 0),
        _ => None,
    }
}

fn bound(header: &[u8], place: &Place<'_>) -> Vec<u8> {
    joined(&[header, &place.bytes()])
}

/// HMAC-SHA256 under a key that is used for nothing else: it is derived from the data key and the purpose.
fn mac(key: &[u8; 32], purpose: &str, bytes: &[u8]) -> [u8; 32] {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut derive = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    derive.update(purpose.as_bytes());
    let derived = Zeroizing::new(<[u8; 32]>::from(derive.finalize().into_bytes()));
    let mut code = Hmac::<Sha256>::new_from_slice(derived.as_slice()).expect("HMAC takes any key");
    code.update(bytes);
    code.finalize().into_bytes().into()
}

#[cfg(any(test, feature = "testkit"))]
impl Keyring {
    /// A ring of these keys, for tests without a database.
    pub(crate) fn fixed(clock: Clock, keys: &[(i32, [u8; 32], DateTime<Utc>)]) -> Self {
        let provider = super::LocalKeys::new("k", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        let keys = keys.iter().map(|(number, key, from)| {
            (*number, Arc::new(DataKey::new(SecretBox::new(Box::new(*key)), *from)))
        });
        Self::new(Arc::new(provider.expect("32 bytes in base64")), clock, keys.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WorkspaceId;

    fn place(purpose: &str) -> Place<'_> {
        Place::Payload { purpose, workspace: WorkspaceId::SYSTEM }
    }

    #[test]
    fn a_new_key_opens_at_once_and_seals_only_when_it_is_old_enough() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let soon = DateTime::UNIX_EPOCH + TimeDelta::minutes(10);
        let keys = [(1, [1; 32], soon), (2, [2; 32], soon)];
        let (before, entropy) = (Keyring::fixed(clock.clone(), &keys[..1]), Entropy::system());
        let after = Keyring::fixed(clock.clone(), &keys);
        let early = after.seal(&entropy, &place("mail"), b"x");
        assert_eq!(number(&early), Some(1), "the first key seals whatever its time says");
        assert_eq!(before.open(&place("mail"), &early).unwrap().expose_secret(), b"x");
        clock.advance(TimeDelta::minutes(10));
        let late = after.seal(&entropy, &place("mail"), b"x");
        assert_eq!(number(&late), Some(2));
        assert_eq!(before.open(&place("mail"), &late).unwrap_err(), SealError::Closed);
        assert_eq!(after.open(&place("mail"), &early).unwrap().expose_secret(), b"x");
        let code = before.mac("cursor", b"x");
        assert!(after.mac_matches("cursor", b"x", &code) && !after.mac_matches("other", b"x", &code));
    }

    #[test]
    fn no_changed_byte_no_cut_tail_and_no_other_place_opens() {
        let ring = Keyring::fixed(
            Clock::system(),
            &[(1, [1; 32], DateTime::UNIX_EPOCH), (2, [1; 32], DateTime::UNIX_EPOCH)],
        );
        let entropy = Entropy::system();
        let sealed = ring.seal(&entropy, &place("mail"), b"secret");
        assert_ne!(sealed, ring.seal(&entropy, &place("mail"), b"secret"));
        assert!(ring.open(&place("mail"), &sealed).is_ok() && ring.open(&place("job"), &sealed).is_err());
        for byte in 0..sealed.len() {
            // Byte 4 makes it the number of another key of the ring, with the very same bytes.
            let mut changed = sealed.clone();
            changed[byte] ^= 3;
            assert_eq!(ring.open(&place("mail"), &changed).unwrap_err(), SealError::Closed, "{byte}");
            assert_eq!(ring.open(&place("mail"), &sealed[..byte]).unwrap_err(), SealError::Closed, "{byte}");
        }
    }
}
