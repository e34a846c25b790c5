//! Secrets at rest: an authenticated cipher with key ids, bound to the place where the ciphertext lies.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::entropy::Entropy;

const NONCE: usize = 12;

/// The keys of an installation: one that seals, and older ones that still open.
#[derive(Clone)]
pub struct Keyring {
    sealing: String,
    keys: BTreeMap<String, Zeroizing<[u8; 32]>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.keys.keys()).finish_non_exhaustive()
    }
}

/// The text is not a key: 32 bytes in base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is 32 bytes in base64")]
pub struct UnusableKey;

/// The ciphertext does not open: another key, another place, or changed bytes. Which one is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub struct OpenError;

/// A ciphertext and the id of the key that opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBytes {
    /// Which key sealed it.
    pub key_id: String,
    /// Nonce and ciphertext.
    pub bytes: Vec<u8>,
}

impl Keyring {
    /// A keyring whose key `key_id` seals from now on.
    ///
    /// # Errors
    /// [`UnusableKey`] when `key` is not 32 bytes in base64.
    pub fn new(key_id: impl Into<String>, key: &str) -> Result<Self, UnusableKey> {
        let key_id = key_id.into();
        let mut keyring = Self { sealing: key_id.clone(), keys: BTreeMap::new() };
        keyring.insert(key_id, key)?;
        Ok(keyring)
    }

    /// Adds an older key, which opens what it sealed.
    ///
    /// # Errors
    /// [`UnusableKey`] when `key` is not 32 bytes in base64.
    pub fn and_older(mut self, key_id: impl Into<String>, key: &str) -> Result<Self, UnusableKey> {
        self.insert(key_id.into(), key)?;
        Ok(self)
    }

    fn insert(&mut self, key_id: String, key: &str) -> Result<(), UnusableKey> {
        let bytes = Zeroizing::new(STANDARD.decode(key.trim()).map_err(|_| UnusableKey)?);
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| UnusableKey)?;
        self.keys.insert(key_id, Zeroizing::new(key));
        Ok(())
    }

    /// Encrypts `plain`. It opens only with the same `context`: the table, column and row, or the purpose.
    ///
    /// # Panics
    /// When `plain` is longer than AES-GCM allows, 64 GiB.
    #[must_use]
    pub fn seal(&self, entropy: &Entropy, context: &[u8], plain: &[u8]) -> SealedBytes {
        let nonce: [u8; NONCE] = entropy.bytes();
        let mut bytes = nonce.to_vec();
        let sealed = self
            .cipher(&self.sealing)
            .expect("the sealing key is in the ring")
            .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: context })
            .expect("AES-GCM seals up to 64 GiB");
        bytes.extend(sealed);
        SealedBytes { key_id: self.sealing.clone(), bytes }
    }

    /// Decrypts what [`Keyring::seal`] made.
    ///
    /// # Errors
    /// [`OpenError`] for an unknown key, another context or changed bytes.
    pub fn open(&self, context: &[u8], key_id: &str, bytes: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or(OpenError)?;
        let nonce = <[u8; NONCE]>::try_from(nonce).map_err(|_| OpenError)?;
        let payload = Payload { msg: sealed, aad: context };
        self.cipher(key_id).ok_or(OpenError)?.decrypt(&Nonce::from(nonce), payload).map_err(|_| OpenError)
    }

    fn cipher(&self, key_id: &str) -> Option<Aes256Gcm> {
        self.keys.get(key_id).map(|key| Aes256Gcm::new(&(**key).into()))
    }

    /// A code that only holders of the keys can make, for text that goes out and comes back: cursors.
    #[must_use]
    pub fn mac(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        mac(&self.keys[&self.sealing], purpose, bytes)
    }

    /// Whether `code` is the code of `bytes` under any key of the ring, in constant time per key.
    #[must_use]
    pub fn mac_matches(&self, purpose: &str, bytes: &[u8], code: &[u8]) -> bool {
        self.keys.values().any(|key| bool::from(mac(key, purpose, bytes).ct_eq(code)))
    }
}

/// HMAC-SHA256 under a key that is used for nothing else: it is derived from the ring's key and the purpose.
fn mac(key: &[u8; 32], purpose: &str, bytes: &[u8]) -> [u8; 32] {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut derive = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    derive.update(purpose.as_bytes());
    let derived = Zeroizing::new(<[u8; 32]>::from(derive.finalize().into_bytes()));
    let mut code = Hmac::<Sha256>::new_from_slice(derived.as_slice()).expect("HMAC takes any key");
    code.update(bytes);
    code.finalize().into_bytes().into()
}

/// SHA-256, for looking up what is itself random: tokens and keys, never passwords.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A value that is stored encrypted: a one-time token in a job, an event or a stored response.
///
/// There is no way to serialize the clear value by accident: a `Sealed` only ever holds the ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed<T> {
    key_id: String,
    /// Nonce and ciphertext in base64.
    #[serde(rename = "sealed")]
    bytes: String,
    #[serde(skip)]
    clear: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Sealed<T> {
    /// Encrypts `value` for `purpose`: the kind of job or event that carries it.
    ///
    /// # Errors
    /// When `value` cannot be written as JSON.
    pub fn new(
        keyring: &Keyring,
        entropy: &Entropy,
        purpose: &str,
        value: &T,
    ) -> Result<Self, serde_json::Error> {
        let plain = Zeroizing::new(serde_json::to_vec(value)?);
        let SealedBytes { key_id, bytes } = keyring.seal(entropy, purpose.as_bytes(), &plain);
        Ok(Self { key_id, bytes: STANDARD.encode(bytes), clear: PhantomData })
    }

    /// Decrypts the value.
    ///
    /// # Errors
    /// [`OpenError`] for another purpose, an unknown key or changed bytes.
    pub fn open(&self, keyring: &Keyring, purpose: &str) -> Result<T, OpenError> {
        let bytes = STANDARD.decode(&self.bytes).map_err(|_| OpenError)?;
        let plain = Zeroizing::new(keyring.open(purpose.as_bytes(), &self.key_id, &bytes)?);
        serde_json::from_slice(&plain).map_err(|_| OpenError)
    }
}

impl<T> JsonSchema for Sealed<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sealed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "object", "required": ["key_id", "sealed"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const NEW: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    #[test]
    fn a_sealed_value_opens_only_in_its_place_and_survives_rotation() {
        let (entropy, old) = (Entropy::system(), Keyring::new("2025", OLD).unwrap());
        let sealed = Sealed::new(&old, &entropy, "mail", &"token".to_owned()).unwrap();
        assert!(!serde_json::to_string(&sealed).unwrap().contains("token"));
        assert_eq!(sealed.open(&old, "mail").unwrap(), "token");
        assert_eq!(sealed.open(&old, "job"), Err(OpenError));

        let rotated = Keyring::new("2026", NEW).unwrap();
        assert_eq!(sealed.open(&rotated, "mail"), Err(OpenError));
        let rotated = rotated.and_older("2025", OLD).unwrap();
        assert_eq!(sealed.open(&rotated, "mail").unwrap(), "token");
    }

    #[test]
    fn equal_values_seal_differently_and_changed_bytes_do_not_open() {
        let (entropy, ring) = (Entropy::system(), Keyring::new("k", OLD).unwrap());
        let one = ring.seal(&entropy, b"t", b"x");
        assert_ne!(one.bytes, ring.seal(&entropy, b"t", b"x").bytes);
        let mut changed = one.bytes.clone();
        changed[NONCE] ^= 1;
        assert_eq!(ring.open(b"t", "k", &changed), Err(OpenError));
        assert_eq!(ring.open(b"t", "k", &one.bytes[..5]), Err(OpenError));
    }

    #[test]
    fn keys_are_thirty_two_bytes() {
        assert!(Keyring::new("k", "short").is_err());
        assert!(Keyring::new("k", "AAAA").is_err());
    }
}
