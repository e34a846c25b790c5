//! The closure gets the handle of the kind that was opened.
//!
//! error[E0631]: expected function signature `for<'a> fn((&'a mut TenantTx,)) -> _`

use kernel_core::{Ctx, Db, DbError, GlobalTx, TenantTx, Workspace};

pub async fn work(db: &Db, ctx: &Ctx, workspace: &Workspace) -> Result<(), DbError> {
    db.tenant(ctx, workspace, async |_: &mut TenantTx /* not: GlobalTx */| Ok(())).await
}

pub fn known(_: &GlobalTx) {}
