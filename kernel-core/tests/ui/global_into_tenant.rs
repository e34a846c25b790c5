//! No conversion makes a workspace's transaction of the system's.
//!
//! error[E0277]: the trait bound `TenantTx: From<GlobalTx>` is not satisfied

use kernel_core::{GlobalTx, TenantTx};

pub fn convert(tx: TenantTx /* not: GlobalTx */) -> TenantTx {
    tx.into()
}

pub fn known(_: &GlobalTx) {}
