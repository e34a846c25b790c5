//! A sealed value opens in a transaction, which knows its workspace.
//!
//! error[E0277]: the trait bound `Ctx: Tx` is not satisfied

use kernel_core::{Ctx, Sealed, TenantTx};

pub fn open(sealed: &Sealed<String>, tx: &mut TenantTx, ctx: &mut Ctx) {
    let _ = ctx;
    let _ = sealed.open(tx /* not: ctx */, "mail");
}
