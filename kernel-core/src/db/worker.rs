//! The worker's side of the database: claims across workspaces, work inside one.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::PgPool;

use super::begin;
use super::{Db, DbError, GlobalTx, Login, TenantTx, settle};
use crate::ctx::Ctx;
use crate::error::Error;
use crate::id::WorkspaceId;
use crate::secret::Keyring;
use crate::telemetry::report::Noticed;

/// What a job runner works with. [`App::worker`](crate::App::worker) alone gives it, and handlers are written before there
/// is an app; what they get is a [`Run`](crate::job::Run), which does not lead back here.
#[derive(Debug, Clone)]
pub struct WorkerDb {
    db: Db,
    pool: PgPool,
}

impl Db {
    pub(crate) fn worker(&self) -> Result<WorkerDb, DbError> {
        let pool = self.shared.placements[0].worker.clone().ok_or(DbError::NoLogin("worker"))?;
        Ok(WorkerDb { db: self.clone(), pool })
    }
}

impl WorkerDb {
    /// Calls the queue's functions (claim, complete, relay), which only this login may execute. No workspace is set.
    ///
    /// # Errors
    /// What `work` returns, or a [`DbError`] when no connection is free.
    pub async fn queue<T, E: From<DbError>>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.db.outside((Login::Worker, &self.pool), work).await
    }

    /// Runs a job's work in its workspace. A statement may run as long as the job may, `limit`.
    ///
    /// # Errors
    /// What `work` returns, or a [`DbError`] of opening or committing.
    pub(crate) async fn tenant<T, E: From<DbError>>(
        &self,
        ctx: &Ctx,
        workspace: WorkspaceId,
        limit: Duration,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<T, E>,
    ) -> Result<T, E> {
        let open = self.open(ctx, workspace, limit).await?;
        let mut tx = TenantTx::new(open, ctx.clone(), workspace);
        let outcome = work(&mut tx).await;
        settle(tx, outcome).await
    }

    /// Runs a job's work in the system workspace.
    ///
    /// # Errors
    /// What `work` returns, or a [`DbError`] of opening or committing.
    pub(crate) async fn global<T, E: From<DbError>>(
        &self,
        ctx: &Ctx,
        limit: Duration,
        work: impl AsyncFnOnce(&mut GlobalTx) -> Result<T, E>,
    ) -> Result<T, E> {
        let open = self.open(ctx, WorkspaceId::SYSTEM, limit).await?;
        let mut tx = GlobalTx::new(open, ctx.clone());
        let outcome = work(&mut tx).await;
        settle(tx, outcome).await
    }

    /// What seals and opens; an app's worker has it.
    pub(crate) async fn keyring(&self) -> Option<&Keyring> {
        self.db.know_keys().await;
        self.db.hooks.keyring.as_ref()
    }

    /// Tells the reporter of errors about a chore that failed.
    pub(crate) fn report_chore(&self, ctx: &Ctx, name: &str, error: &Error) {
        if let Some(reports) = self.db.hooks.reports.as_ref().filter(|reports| reports.wanted()) {
            reports.report(ctx, None, Noticed::of_chore(name, error));
        }
    }

    async fn open(&self, ctx: &Ctx, workspace: WorkspaceId, limit: Duration) -> Result<begin::Open, DbError> {
        self.db.know_keys().await;
        let opening = self.db.shared.opening.lasting(limit);
        opening.open((Login::Worker, &self.pool), ctx, workspace, self.db.hooks.clone()).await
    }
}
