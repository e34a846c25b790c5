//! Staff work across workspaces: another login, a reason, and an audit row that is there before the work starts.

use std::sync::Arc;

use sqlx::PgConnection;
use tracing::Instrument;

use super::begin::Open;
use super::{Db, DbError, Login, Settle, TenantTx, Tx, sealed::Sealed, settle};
use crate::audit::action::OPERATOR_OPEN;
use crate::audit::{AuditEntry, audit};
use crate::ctx::Ctx;
use crate::hook::Hooks;
use crate::id::WorkspaceId;
use crate::store;
use crate::store::audit_log::NewRow;

/// Why a member of staff looks across workspaces. It goes into the audit log word for word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

/// The reason is too short to mean anything, or too long to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a reason has 8 to 500 characters")]
pub struct UnusableReason;

impl Reason {
    /// A reason of 8 to 500 characters.
    ///
    /// # Errors
    /// [`UnusableReason`] outside those bounds.
    pub fn new(text: impl Into<String>) -> Result<Self, UnusableReason> {
        let text = text.into().trim().to_owned();
        if (8..=500).contains(&text.chars().count()) { Ok(Self(text)) } else { Err(UnusableReason) }
    }
}

/// A transaction under the operator login: reads every workspace and the system's tables, and writes only inside a
/// workspace that it has entered, of which alone it then sees the rows.
#[derive(Debug)]
pub struct OperatorTx {
    open: Option<Open>,
    ctx: Ctx,
}

impl Db {
    /// Runs `work` with sight of all workspaces. That it was opened, by whom and why, is committed to the audit
    /// log before `work` starts, so no failure or cancellation hides it.
    ///
    /// # Errors
    /// [`DbError::NotStaff`] unless the context is one of staff or of [`App::system`](crate::App::system); a job's is
    /// neither. [`DbError::NoLogin`] when the process has no operator login; what `work` returns.
    pub async fn operator<T, E: From<DbError>>(
        &self,
        ctx: &Ctx,
        reason: &Reason,
        work: impl AsyncFnOnce(&mut OperatorTx) -> Result<T, E>,
    ) -> Result<T, E> {
        if !ctx.is_operator() {
            return Err(DbError::NotStaff.into());
        }
        let pool = self.shared.placements[0].operator.as_ref().ok_or(DbError::NoLogin("operator"))?;
        let pool = (Login::Operator, pool);
        let open = self.open(pool, ctx, WorkspaceId::SYSTEM).await?;
        let mut record = OperatorTx { open: Some(open), ctx: ctx.clone() };
        let entry = AuditEntry::new(OPERATOR_OPEN).detail("reason", reason.0.as_str());
        audit(&mut record, entry).await?;
        settle(record, Ok::<(), DbError>(())).await?;

        let open = self.open(pool, ctx, WorkspaceId::SYSTEM).await?;
        let mut tx = OperatorTx { open: Some(open), ctx: ctx.clone() };
        let span = ctx.host_span(WorkspaceId::SYSTEM);
        let outcome = work(&mut tx).instrument(span.clone()).await;
        settle(tx, outcome).instrument(span).await
    }
}

impl OperatorTx {
    fn open(&mut self) -> &mut Open {
        self.open.as_mut().expect("the connection is back before `enter` returns")
    }

    /// Runs `work` inside one workspace, in this same transaction. `Err` undoes only what `work` did.
    ///
    /// # Errors
    /// What `work` returns, or a [`DbError`] of the savepoint.
    pub async fn enter<T, E: From<DbError>>(
        &mut self,
        workspace: WorkspaceId,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut open = self.open.take().ok_or(DbError::Abandoned)?;
        open.savepoint().await?;
        let mut tx = TenantTx::new(open, self.ctx.clone(), workspace);
        let outcome = match store::setting::set_workspace(tx.conn(), workspace).await {
            Ok(()) => work(&mut tx).await,
            Err(error) => Err(DbError::from(error).into()),
        };
        let mut open = tx.into_open();
        if outcome.is_ok() {
            open.write_audited().await?;
            store::setting::set_workspace(open.conn(), WorkspaceId::SYSTEM).await.map_err(DbError::from)?;
        }
        open.end_savepoint(outcome.is_ok()).await?;
        self.open = Some(open);
        outcome
    }
}

impl Settle for OperatorTx {
    async fn commit(self) -> Result<(), DbError> {
        self.open.ok_or(DbError::Abandoned)?.commit().await
    }

    async fn rollback(self) {
        if let Some(open) = self.open {
            open.rollback().await;
        }
    }
}

impl Sealed for OperatorTx {
    fn hooks(&mut self) -> Arc<Hooks> {
        self.open().hooks.clone()
    }

    async fn note_audit(&mut self, row: NewRow) -> Result<(), DbError> {
        self.open().note_audit(row).await
    }
}

impl Tx for OperatorTx {
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
