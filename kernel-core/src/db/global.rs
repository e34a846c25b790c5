//! The transaction of the system workspace, and the founding of a new one from inside it.

use std::sync::Arc;

use sqlx::PgConnection;

use super::begin::Open;
use super::{DbError, Settle, TenantTx, Tx, sealed::Sealed, violates};
use crate::ctx::Ctx;
use crate::hook::Hooks;
use crate::id::WorkspaceId;
use crate::store;
use crate::store::audit_log::NewRow;

/// A transaction in the system workspace: identity and platform tables are visible, tenants' rows are not.
#[derive(Debug)]
pub struct GlobalTx {
    /// Empty only while [`GlobalTx::found`] has lent the connection to a [`TenantTx`], or was dropped there.
    open: Option<Open>,
    ctx: Ctx,
}

impl GlobalTx {
    pub(super) fn new(open: Open, ctx: Ctx) -> Self {
        Self { open: Some(open), ctx }
    }

    fn open(&mut self) -> &mut Open {
        self.open.as_mut().expect("the connection is back before `found` returns")
    }

    /// Runs `work` inside a workspace that does not exist yet, in this same transaction.
    ///
    /// The only way from here into a workspace: an id that was ever founded is refused, so no existing tenant can
    /// be entered. `Err` undoes only what `work` did.
    ///
    /// # Errors
    /// [`DbError::WorkspaceExists`] for an id already founded; what `work` returns.
    pub async fn found<T, E: From<DbError>>(
        &mut self,
        id: WorkspaceId,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut open = self.open.take().ok_or(DbError::Abandoned)?;
        open.savepoint().await?;
        let mut tx = TenantTx::new(open, self.ctx.clone(), id);
        let outcome = match enter_new(&mut tx, id).await {
            Ok(()) => work(&mut tx).await,
            Err(error) => Err(error.into()),
        };
        let mut open = tx.into_open();
        if outcome.is_ok() {
            open.write_audited().await?;
            store::setting::set_workspace(open.conn(), WorkspaceId::SYSTEM).await.map_err(DbError::from)?;
        }
        // Rolling back to the savepoint also takes the setting back.
        open.end_savepoint(outcome.is_ok()).await?;
        self.open = Some(open);
        outcome
    }

    /// Does `work` once the transaction has committed, and never if it does not. It must not block.
    pub fn after_commit(&mut self, work: impl FnOnce() + Send + 'static) {
        self.open().after_commit.push(Box::new(work));
    }

    pub(crate) async fn commit(self) -> Result<(), DbError> {
        self.open.ok_or(DbError::Abandoned)?.commit().await
    }

    pub(crate) async fn rollback(self) {
        if let Some(open) = self.open {
            open.rollback().await;
        }
    }
}

async fn enter_new(tx: &mut TenantTx, id: WorkspaceId) -> Result<(), DbError> {
    if id == WorkspaceId::SYSTEM {
        return Err(DbError::WorkspaceExists(id));
    }
    let now = tx.ctx().now();
    store::setting::set_workspace(tx.conn(), id).await?;
    store::tenant::insert(tx.conn(), id, now).await.map_err(|error| {
        if violates(&error, "tenant_pkey") { DbError::WorkspaceExists(id) } else { error.into() }
    })
}

impl Settle for GlobalTx {
    async fn commit(self) -> Result<(), DbError> {
        Self::commit(self).await
    }

    async fn rollback(self) {
        Self::rollback(self).await;
    }
}

impl Sealed for GlobalTx {
    fn hooks(&mut self) -> Arc<Hooks> {
        self.open().hooks.clone()
    }

    async fn note_audit(&mut self, row: NewRow) -> Result<(), DbError> {
        self.open().note_audit(row).await
    }
}

impl Tx for GlobalTx {
    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    fn workspace_id(&self) -> WorkspaceId {
        WorkspaceId::SYSTEM
    }

    fn conn(&mut self) -> &mut PgConnection {
        self.open().conn()
    }
}
