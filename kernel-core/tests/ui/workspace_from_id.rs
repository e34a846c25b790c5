//! An id out of a request is no evidence of membership.
//!
//! error[E0308]: expected `&Workspace`, found `&Id<Workspace>`

use kernel_core::{Ctx, Db, DbError, TenantTx, Workspace, WorkspaceId};

pub async fn work(db: &Db, ctx: &Ctx, workspace: &Workspace, id: &WorkspaceId) -> Result<WorkspaceId, DbError> {
    let known = *id;
    db.tenant(ctx, workspace /* not: id */, async |_: &mut TenantTx| Ok(known)).await
}
