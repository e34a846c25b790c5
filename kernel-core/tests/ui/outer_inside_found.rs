//! While a workspace is being founded, the outer transaction is out of reach.
//!
//! error[E0501]: cannot borrow `*tx` as mutable because previous closure requires unique access

use kernel_core::{DbError, GlobalTx, TenantTx, Tx, WorkspaceId};

pub async fn mix(tx: &mut GlobalTx, id: WorkspaceId) -> Result<(), DbError> {
    tx.found(id, async |inner: &mut TenantTx| {
        let _ = inner /* not: tx */ .conn();
        Ok::<_, DbError>(())
    })
    .await
}
