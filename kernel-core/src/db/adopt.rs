//! Working inside a transaction that the host opened.

use sqlx::{Executor, Postgres, Transaction};

use super::begin::Open;
use super::{Db, DbError, TenantTx, Tx, unsafe_host};
use crate::ctx::Ctx;
use crate::store;
use crate::telemetry::vital::Course;
use crate::workspace::Workspace;

impl Db {
    /// Takes over the host's own sqlx transaction for work in a workspace, so that the host's rows and the kernel's
    /// commit together. [`TenantTx::release`] gives it back; dropping it rolls the host's work back too. Where `ctx` may
    /// only read, the transaction is read-only from then on, the host's own part included.
    ///
    /// # Errors
    /// [`DbError::UnsafeLogin`] when the host's login would see every tenant (a superuser, BYPASSRLS, an owner).
    pub async fn adopt(
        &self,
        mut host: Transaction<'static, Postgres>,
        ctx: &Ctx,
        workspace: &Workspace,
    ) -> Result<TenantTx, DbError> {
        unsafe_host(&mut host, self.roles()).await?;
        if ctx.read_only() {
            host.execute("SET TRANSACTION READ ONLY").await?;
        }
        store::setting::set_workspace(&mut host, workspace.id()).await?;
        let open = Open {
            tx: host,
            // The host commits, so there is nothing to check here before.
            read_only: false,
            pooled: false,
            after_commit: Vec::new(),
            audited: None,
            hooks: self.hooks.clone(),
            marks: Vec::new(),
            abandoned: false,
            course: Course::elsewhere(),
        };
        Ok(TenantTx::new(open, ctx.clone(), workspace.id()))
    }
}

impl TenantTx {
    /// Gives the host its transaction back, no longer in any workspace. Work left for after the commit is dropped
    /// with a warning: the kernel does not see the host's commit.
    ///
    /// # Errors
    /// [`DbError::Abandoned`] when a nested piece was dropped half-way; the transaction is rolled back then.
    pub async fn release(mut self) -> Result<Transaction<'static, Postgres>, DbError> {
        if self.open().abandoned {
            return Err(DbError::Abandoned);
        }
        self.open().write_audited().await?;
        store::setting::clear_workspace(self.conn()).await?;
        let open = self.into_open();
        if !open.after_commit.is_empty() {
            tracing::warn!(count = open.after_commit.len(), "work for after the commit dropped on release");
        }
        Ok(open.tx)
    }
}
