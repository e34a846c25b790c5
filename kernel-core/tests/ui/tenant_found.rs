//! No way leads out of a tenant's transaction into another workspace, not even a new one.
//!
//! error[E0599]: no method named `found` found for mutable reference `&mut TenantTx`

use kernel_core::{DbError, GlobalTx, TenantTx, WorkspaceId};

pub async fn leave(tx: &mut GlobalTx /* not: TenantTx */, id: WorkspaceId) -> Result<(), DbError> {
    tx.found(id, async |_: &mut TenantTx| Ok(())).await
}
