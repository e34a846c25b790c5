//! While a workspace is being founded, the outer transaction is out of reach.
//!
//! error[E0499]: cannot borrow `*tx` as mutable more than once at a time

use kernel_core::{DbError, GlobalTx, TenantTx, Tx, WorkspaceId};

pub async fn mix(tx: &mut GlobalTx, other: &mut GlobalTx, id: WorkspaceId) -> Result<(), DbError> {
    let founding = tx.found(id, async |_: &mut TenantTx| Ok::<_, DbError>(()));
    let _ = other.workspace_id();
    let _ = other /* not: tx */ .conn();
    founding.await
}
