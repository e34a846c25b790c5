//! Sealed columns: what a product stores encrypted, row by row.

use secrecy::SecretSlice;

use super::keyring::Keyring;
use super::{Place, SealError, SealedColumn};
use crate::db::Tx;
use crate::db::sealed::Sealed as Handle;
use crate::id::Id;

/// Encrypts `plain` for `column` of the row `id` in the workspace of the transaction, and returns what to store there.
///
/// # Errors
/// [`SealError::Undeclared`], [`SealError::NoKeys`].
///
/// # Panics
/// When `plain` is longer than AES-GCM allows, 64 GiB.
pub fn seal<N>(
    tx: &mut impl Tx,
    column: SealedColumn,
    id: Id<N>,
    plain: &[u8],
) -> Result<Vec<u8>, SealError> {
    let keyring = keyring_of(tx, column)?;
    let place = Place::Cell { column, workspace: tx.workspace_id(), id: id.uuid() };
    Ok(keyring.seal(tx.ctx().entropy(), &place, plain))
}

/// Decrypts what `column` holds of the row `id` in the workspace of the transaction.
///
/// # Errors
/// [`SealError::Closed`] for bytes of another place, of an unknown key or changed ones; as [`seal`].
pub fn open<N>(
    tx: &mut impl Tx,
    column: SealedColumn,
    id: Id<N>,
    bytes: &[u8],
) -> Result<SecretSlice<u8>, SealError> {
    let keyring = keyring_of(tx, column)?;
    keyring.open(&Place::Cell { column, workspace: tx.workspace_id(), id: id.uuid() }, bytes)
}

fn keyring_of(tx: &mut impl Tx, column: SealedColumn) -> Result<Keyring, SealError> {
    let hooks = Handle::hooks(tx);
    let keyring = hooks.keyring.clone().ok_or(SealError::NoKeys)?;
    if hooks.sealed.contains(&column) { Ok(keyring) } else { Err(SealError::Undeclared(column)) }
}
