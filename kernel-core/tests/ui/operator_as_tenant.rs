//! Where a workspace's transaction is required, that of staff is refused.
//!
//! error[E0308]: expected `&mut TenantTx`, found `&mut OperatorTx`

use kernel_core::{OperatorTx, TenantTx};

async fn sell(_: &mut TenantTx) {}

pub async fn work(tx: &mut TenantTx /* not: OperatorTx */) {
    sell(tx).await;
}

pub fn known(_: &OperatorTx) {}
