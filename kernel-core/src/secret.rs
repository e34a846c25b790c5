//! Secrets at rest: data keys under a key that never touches the database, and values that open only where they lie.

mod cell;
#[cfg(feature = "testkit")]
pub(crate) mod hostile;
mod keyring;
mod payload;
mod place;
mod provider;
mod source;

use sha2::{Digest, Sha256};

use crate::error::{ErrorKind, Fault};

pub use cell::{open, seal};
pub use payload::Sealed;
pub use place::SealedColumn;
pub use provider::{KeyError, KeyProvider, LocalKeys, UnusableKey, Wrapped};
pub use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString};
pub use source::{EnvSecrets, FileSecrets, SecretSource, SecretSources, SourceError};

pub(crate) use keyring::{DataKey, Keyring, Keys, header, number};
pub(crate) use place::{Place, joined};

/// Why a value is not sealed or opened. For a caller it is `internal`, whatever the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It does not open: an unknown key, another place, or changed bytes. Which one is not told.
    #[error("the sealed value does not open")]
    Closed,
    /// The transaction was not opened by a built app, so there are no keys.
    #[error("the transaction was not opened by a built app, so it has no keys")]
    NoKeys,
    /// No registered table declares the column as sealed, so nobody would seal it again under a newer key.
    #[error("{0} is not declared as sealed")]
    Undeclared(SealedColumn),
    /// The value cannot be written as JSON.
    #[error("the value to seal cannot be written as JSON")]
    Unwritable,
}

impl Fault for SealError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }

    fn code(&self) -> &'static str {
        "internal"
    }
}

/// SHA-256, for looking up what is itself random: tokens and keys, never passwords.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
