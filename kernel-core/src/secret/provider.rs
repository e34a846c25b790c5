//! Who holds the key that never touches the database: a provider wraps the data keys, which do.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroizing;

use crate::entropy::Entropy;

pub(super) const NONCE: usize = 12;

/// A data key as it lies in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// Which of the provider's keys wrapped it.
    pub key_id: String,
    /// What the provider made of it.
    pub bytes: Vec<u8>,
}

/// Why a provider has not done it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The bytes, or the context, are not those that the provider wrapped.
    #[error("the wrapped key does not open with the key {key_id:?}")]
    Damaged {
        /// The provider's key.
        key_id: String,
    },
    /// The provider cannot be asked. The source must hold no key.
    #[error("the key provider cannot be asked")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The provider has no such key.
    #[error("the key provider has no key {key_id:?}")]
    Unknown {
        /// The provider's key.
        key_id: String,
    },
}

/// Wraps and unwraps data keys under a key that never touches the database: [`LocalKeys`], or a host's key management
/// service. It is asked when an app is built, when keys change, and otherwise at most every five minutes; never inside a
/// transaction.
///
/// `testkit::key_provider_contract` is what any implementation passes.
#[async_trait]
pub trait KeyProvider: Send + Sync {
    /// Wraps `key` under the provider's present key. It unwraps only with the same `context`.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`].
    async fn wrap(&self, context: &[u8], key: &SecretBox<[u8; 32]>) -> Result<Wrapped, KeyError>;

    /// Unwraps what [`KeyProvider::wrap`] made, also under a key that was the present one before.
    ///
    /// # Errors
    /// [`KeyError`].
    async fn unwrap(&self, context: &[u8], wrapped: &Wrapped) -> Result<SecretBox<[u8; 32]>, KeyError>;
}

#[async_trait]
impl<P: KeyProvider + ?Sized> KeyProvider for Arc<P> {
    async fn wrap(&self, context: &[u8], key: &SecretBox<[u8; 32]>) -> Result<Wrapped, KeyError> {
        (**self).wrap(context, key).await
    }

    async fn unwrap(&self, context: &[u8], wrapped: &Wrapped) -> Result<SecretBox<[u8; 32]>, KeyError> {
        (**self).unwrap(context, wrapped).await
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableKey {
    /// It is something else.
    #[error("a key is 32 bytes in base64")]
    Malformed,
    /// A part of a list is no name and key.
    #[error("each key is written as id:key")]
    Unnamed,
    /// Two keys have one id.
    #[error("two keys are called {0:?}")]
    Repeated(String),
}

/// Keys that the process holds itself, from its configuration: the first wraps, all unwrap. AES-256-GCM.
///
/// ```
/// use kernel_core::LocalKeys;
/// // `openssl rand -base64 32`
/// let keys = LocalKeys::new("2027", "dGVzdCBrZXksIHByb3RlY3RzIG5vdGhpbmcgYXQgYWw=")?;
/// assert!(keys.and_older("2026", "too short").is_err());
/// # Ok::<(), kernel_core::secret::UnusableKey>(())
/// ```
#[derive(Clone)]
pub struct LocalKeys {
    wrapping: String,
    keys: BTreeMap<String, Aes256Gcm>,
    entropy: Entropy,
}

impl fmt::Debug for LocalKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKeys").field("keys", &self.keys.keys()).finish_non_exhaustive()
    }
}

impl LocalKeys {
    /// Wraps with the key `key_id` from now on: 32 bytes in base64.
    ///
    /// # Errors
    /// [`UnusableKey::Malformed`].
    pub fn new(key_id: impl Into<String>, key: &str) -> Result<Self, UnusableKey> {
        let key_id = key_id.into();
        let keys = Self { wrapping: key_id.clone(), keys: BTreeMap::new(), entropy: Entropy::system() };
        keys.and_older(key_id, key)
    }

    /// Adds a key that wrapped before, and unwraps what it wrapped.
    ///
    /// # Errors
    /// [`UnusableKey`].
    pub fn and_older(mut self, key_id: impl Into<String>, key: &str) -> Result<Self, UnusableKey> {
        let key_id = key_id.into();
        let bytes = Zeroizing::new(STANDARD.decode(key.trim()).map_err(|_| UnusableKey::Malformed)?);
        let cipher = Aes256Gcm::new_from_slice(&bytes).map_err(|_| UnusableKey::Malformed)?;
        match self.keys.insert(key_id.clone(), cipher) {
            None => Ok(self),
            Some(_) => Err(UnusableKey::Repeated(key_id)),
        }
    }

    /// Adds the keys of a list as configurations hold it: `id:key,id:key`.
    ///
    /// # Errors
    /// [`UnusableKey`].
    pub fn and_all_older(self, list: &str) -> Result<Self, UnusableKey> {
        let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.into_iter().try_fold(self, |keys, part| {
            let (key_id, key) = part.split_once(':').ok_or(UnusableKey::Unnamed)?;
            keys.and_older(key_id, key)
        })
    }
}

#[async_trait]
impl KeyProvider for LocalKeys {
    async fn wrap(&self, context: &[u8], key: &SecretBox<[u8; 32]>) -> Result<Wrapped, KeyError> {
        let nonce: [u8; NONCE] = self.entropy.bytes();
        let sealed = encrypt(&self.keys[&self.wrapping], nonce, context, key.expose_secret());
        Ok(Wrapped { key_id: self.wrapping.clone(), bytes: [nonce.as_slice(), &sealed].concat() })
    }

    async fn unwrap(&self, context: &[u8], wrapped: &Wrapped) -> Result<SecretBox<[u8; 32]>, KeyError> {
        let Wrapped { key_id, bytes } = wrapped;
        let cipher = self.keys.get(key_id).ok_or_else(|| KeyError::Unknown { key_id: key_id.clone() })?;
        let damaged = || KeyError::Damaged { key_id: key_id.clone() };
        let plain = Zeroizing::new(decrypt(cipher, context, bytes).ok_or_else(damaged)?);
        let key = Zeroizing::new(<[u8; 32]>::try_from(plain.as_slice()).map_err(|_| damaged())?);
        Ok(SecretBox::new(Box::new(*key)))
    }
}

pub(super) fn encrypt(cipher: &Aes256Gcm, nonce: [u8; NONCE], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: plain, aad };
    cipher.encrypt(&Nonce::from(nonce), payload).expect("AES-GCM seals up to 64 GiB")
}

/// `bytes` are nonce and ciphertext.
pub(super) fn decrypt(cipher: &Aes256Gcm, aad: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
    let nonce = <[u8; NONCE]>::try_from(nonce).ok()?;
    cipher.decrypt(&Nonce::from(nonce), Payload { msg: sealed, aad }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_thirty_two_bytes_and_have_names_of_their_own() {
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for bad in ["short", "AAAA", "", &"A".repeat(88)] {
            assert_eq!(LocalKeys::new("k", bad).unwrap_err(), UnusableKey::Malformed, "{bad:?}");
        }
        let twice = LocalKeys::new("k", key).unwrap().and_older("k", key).unwrap_err();
        assert_eq!(twice, UnusableKey::Repeated("k".to_owned()));
        let listed = |list: &str| LocalKeys::new("k", key).unwrap().and_all_older(list);
        assert_eq!(
            format!("{:?}", listed(&format!("a:{key}, b:{key},")).unwrap().keys.keys()),
            r#"["a", "b", "k"]"#
        );
        assert_eq!(listed(key).unwrap_err(), UnusableKey::Unnamed);
        assert_eq!(listed(&format!("k:{key}")).unwrap_err(), UnusableKey::Repeated("k".to_owned()));
        assert_eq!(format!("{:?}", LocalKeys::new("k", key).unwrap()), "LocalKeys { keys: [\"k\"], .. }");
    }
}
