//! The connection of a transaction cannot be kept beyond its closure.
//!
//! error: returning this value requires that `'1` must outlive `'2`

use kernel_core::{Ctx, Db, DbError, TenantTx, Tx, Workspace};

pub async fn keep(db: &Db, ctx: &Ctx, workspace: &Workspace) -> Result<(), DbError> {
    let mut kept = None;
    db.tenant(ctx, workspace, async |tx: &mut TenantTx| {
        kept = Some(tx.workspace_id /* not: conn */ ());
        Ok::<_, DbError>(())
    })
    .await?;
    drop(kept);
    Ok(())
}
