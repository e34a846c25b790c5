//! Where the system's transaction is required, a workspace's is refused.
//!
//! error[E0308]: expected `&mut GlobalTx`, found `&mut TenantTx`

use kernel_core::{GlobalTx, TenantTx};

async fn register(_: &mut GlobalTx) {}

pub async fn work(tx: &mut GlobalTx /* not: TenantTx */) {
    register(tx).await;
}

pub fn known(_: &TenantTx) {}
