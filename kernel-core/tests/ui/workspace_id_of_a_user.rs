//! The id of a user is no workspace's.
//!
//! error[E0308]: expected `Id<Workspace>`, found `Id<UserNoun>`

use kernel_core::{DbError, OperatorTx, TenantTx, UserId, WorkspaceId};

pub async fn look(tx: &mut OperatorTx, workspace: WorkspaceId, user: UserId) -> Result<UserId, DbError> {
    tx.enter(workspace /* not: user */, async |_: &mut TenantTx| Ok(user)).await
}
