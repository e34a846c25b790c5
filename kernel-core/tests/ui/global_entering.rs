//! The system's transaction enters no workspace that exists.
//!
//! error[E0599]: no method named `enter` found for mutable reference `&mut GlobalTx`

use kernel_core::{DbError, GlobalTx, OperatorTx, TenantTx, WorkspaceId};

pub async fn enter(tx: &mut OperatorTx /* not: GlobalTx */, id: WorkspaceId) -> Result<(), DbError> {
    tx.enter(id, async |_: &mut TenantTx| Ok(())).await
}

pub fn known(_: &GlobalTx) {}
