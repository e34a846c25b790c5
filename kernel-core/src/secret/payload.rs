//! Sealed fields of jobs and events.

use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::keyring::Keyring;
use super::{Place, SealError};
use crate::db::Tx;
use crate::db::sealed::Sealed as Handle;
use crate::id::WorkspaceId;

/// A value that is stored encrypted: a one-time token in a job or an event. It opens for the same purpose in the same
/// workspace only.
///
/// There is no way to serialize the clear value by accident: a `Sealed` only ever holds the ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed<T> {
    /// Key number, nonce and ciphertext in base64.
    #[serde(rename = "sealed")]
    bytes: String,
    #[serde(skip)]
    clear: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Sealed<T> {
    /// Encrypts `value` for `purpose`, the kind of the job or the name of the event that carries it, and for the workspace
    /// of the transaction.
    ///
    /// # Errors
    /// [`SealError::Unwritable`], [`SealError::NoKeys`].
    pub fn new(tx: &mut impl Tx, purpose: &str, value: &T) -> Result<Self, SealError> {
        let keyring = Handle::hooks(tx).keyring.clone().ok_or(SealError::NoKeys)?;
        let plain = Zeroizing::new(serde_json::to_vec(value).map_err(|_| SealError::Unwritable)?);
        let place = Place::Payload { purpose, workspace: tx.workspace_id() };
        let bytes = STANDARD.encode(keyring.seal(tx.ctx().entropy(), &place, &plain));
        Ok(Self { bytes, clear: PhantomData })
    }

    /// Decrypts the value in a transaction of its workspace. A job that is in none asks [`Run::open`](crate::job::Run::open).
    ///
    /// # Errors
    /// [`SealError::Closed`] for another purpose or workspace, an unknown key or changed bytes; [`SealError::NoKeys`].
    pub fn open(&self, tx: &mut impl Tx, purpose: &str) -> Result<T, SealError> {
        let keyring = Handle::hooks(tx).keyring.clone().ok_or(SealError::NoKeys)?;
        self.open_in(&keyring, purpose, tx.workspace_id())
    }

    pub(crate) fn open_in(
        &self,
        keyring: &Keyring,
        purpose: &str,
        workspace: WorkspaceId,
    ) -> Result<T, SealError> {
        let bytes = STANDARD.decode(&self.bytes).map_err(|_| SealError::Closed)?;
        let plain = keyring.open(&Place::Payload { purpose, workspace }, &bytes)?;
        serde_json::from_slice(plain.expose_secret()).map_err(|_| SealError::Closed)
    }
}

impl<T> JsonSchema for Sealed<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sealed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "object", "required": ["sealed"] })
    }
}
