//! A transaction cannot be kept beyond its closure.
//!
//! error: returning this value requires that `'1` must outlive `'2`

use kernel_core::{Ctx, Db, DbError, TenantTx, Workspace};

pub async fn keep(db: &Db, ctx: &Ctx, workspace: &Workspace) -> Result<(), DbError> {
    let (mut kept, number) = (None, 1);
    db.tenant(ctx, workspace, async |tx: &mut TenantTx| {
        let _ = &tx;
        kept = Some(number /* not: tx */);
        Ok::<_, DbError>(())
    })
    .await?;
    drop(kept);
    Ok(())
}
