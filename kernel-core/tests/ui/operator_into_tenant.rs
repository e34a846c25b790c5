//! No conversion makes a workspace's transaction of that of staff.
//!
//! error[E0277]: the trait bound `TenantTx: From<OperatorTx>` is not satisfied

use kernel_core::{OperatorTx, TenantTx};

pub fn convert(tx: TenantTx /* not: OperatorTx */) -> TenantTx {
    tx.into()
}

pub fn known(_: &OperatorTx) {}
