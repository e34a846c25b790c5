//! A handler cannot commit what the chain has opened.
//!
//! error[E0624]: method `commit` is private

use kernel_core::TenantTx;

pub async fn hurry(tx: TenantTx) {
    let _ = tx.release /* not: commit */ ().await;
}
