//! Where a workspace's transaction is required, the system's is refused.
//!
//! error[E0308]: expected `&mut TenantTx`, found `&mut GlobalTx`

use kernel_core::{GlobalTx, TenantTx};

async fn sell(_: &mut TenantTx) {}

pub async fn work(tx: &mut TenantTx /* not: GlobalTx */) {
    sell(tx).await;
}

pub fn known(_: &GlobalTx) {}
