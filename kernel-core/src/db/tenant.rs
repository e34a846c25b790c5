//! The transaction of one workspace.

use std::sync::Arc;

use sqlx::PgConnection;

use super::begin::Open;
use super::{DbError, Settle, Tx, sealed::Sealed};
use crate::ctx::Ctx;
use crate::hook::Hooks;
use crate::id::WorkspaceId;
use crate::store::audit_log::NewRow;

/// A transaction in which the rows of one workspace are visible and writable, and no others.
///
/// Nothing leads from here to another workspace. Dropping it rolls back.
#[derive(Debug)]
pub struct TenantTx {
    open: Open,
    ctx: Ctx,
    workspace: WorkspaceId,
}

impl TenantTx {
    pub(super) fn new(open: Open, ctx: Ctx, workspace: WorkspaceId) -> Self {
        Self { open, ctx, workspace }
    }

    pub(super) fn into_open(self) -> Open {
        self.open
    }

    pub(crate) fn open(&mut self) -> &mut Open {
        &mut self.open
    }

    /// Runs `work` under a savepoint: `Err` undoes only what `work` did.
    ///
    /// # Errors
    /// What `work` returns, or a [`DbError`] of the savepoint.
    pub async fn nested<T, E: From<DbError>>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.open.savepoint().await?;
        let outcome = work(self).await;
        self.open.end_savepoint(outcome.is_ok()).await?;
        outcome
    }

    /// Does `work` once the transaction has committed, and never if it does not. It must not block.
    pub fn after_commit(&mut self, work: impl FnOnce() + Send + 'static) {
        self.open.after_commit.push(Box::new(work));
    }

    pub(crate) async fn commit(self) -> Result<(), DbError> {
        self.open.commit().await
    }

    pub(crate) async fn rollback(self) {
        self.open.rollback().await;
    }
}

impl Settle for TenantTx {
    async fn commit(self) -> Result<(), DbError> {
        Self::commit(self).await
    }

    async fn rollback(self) {
        Self::rollback(self).await;
    }
}

impl Sealed for TenantTx {
    fn hooks(&mut self) -> Arc<Hooks> {
        self.open().hooks.clone()
    }

    async fn note_audit(&mut self, row: NewRow) -> Result<(), DbError> {
        self.open().note_audit(row).await
    }
}

impl Tx for TenantTx {
    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace
    }

    fn conn(&mut self) -> &mut PgConnection {
        self.open.conn()
    }
}
