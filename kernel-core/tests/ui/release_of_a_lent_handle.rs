//! Only the host's own transaction can be taken out of its handle.
//!
//! error[E0507]: cannot move out of `*lent` which is behind a mutable reference

use kernel_core::TenantTx;

pub async fn take(adopted: TenantTx, lent: &mut TenantTx) {
    let _ = &lent;
    let _ = adopted /* not: lent */ .release().await;
}
