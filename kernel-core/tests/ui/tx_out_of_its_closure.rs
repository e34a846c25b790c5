//! A transaction cannot be returned from its closure.
//!
//! error: lifetime may not live long enough

use kernel_core::{Ctx, Db, DbError, TenantTx, Workspace};

pub async fn send(db: &Db, ctx: &Ctx, workspace: &Workspace) {
    let number = 1;
    let _ = db.tenant(ctx, workspace, async |tx: &mut TenantTx| {
        let _ = &tx;
        Ok::<_, DbError>(number /* not: tx */)
    });
}
