//! Bringing what is sealed under older data keys under the newest one, a bounded piece at a time.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use sqlx::PgConnection;
use uuid::Uuid;

use super::App;
use crate::ctx::Ctx;
use crate::data_key::{DataKeyError, DataKeyStatus};
use crate::db::{DbError, GlobalTx, OperatorTx, Reason, TenantTx, Tx};
use crate::error::Error;
use crate::id::WorkspaceId;
use crate::secret::{Keyring, Place, SealedColumn, header, number};
use crate::store::sealed::{self, Change, Seen};
use crate::table::Scope;
use crate::workspace::{Workspace, WorkspaceStatus};

/// How many rows one look at a table takes in, and how many one transaction writes.
const LOOK: usize = 1000;
const WRITE: usize = 50;
/// How many rows one call looks at, however many it is asked for.
const MOST: u32 = 100_000;
/// How often a transaction that lost against its neighbours is run again.
const RERUNS: u32 = 3;

/// What a piece of re-sealing has found and done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resealed {
    /// Rows that were looked at.
    pub seen: u64,
    /// Values that are now sealed under the newest key.
    pub resealed: u64,
    /// Values that somebody else changed, moved or deleted meanwhile; the next pass looks again.
    pub changed: u64,
    /// Values that open under no key in their place. They are left as they are, and the log names their rows.
    pub unreadable: u64,
    /// Whether a whole pass over all tables, which may take several calls, has found nothing to do.
    pub done: bool,
}

/// How far a pass has come. It is this process's own: another one, or one that starts again, begins at the beginning and
/// finds less to do.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// The data key that the pass seals with.
    key: i32,
    column: usize,
    after: Option<(WorkspaceId, Uuid)>,
    /// Whether anything was old.
    old: bool,
}

impl App {
    /// Makes a new data key and returns its number. It seals from ten minutes later, when every process knows it; what is
    /// sealed stays as it is until [`App::reseal`].
    ///
    /// # Errors
    /// [`DbError::NotStaff`] unless the context is one of staff or of [`App::system`]; [`DataKeyError::Provider`].
    pub async fn rotate_data_key(&self, ctx: &Ctx) -> Result<i32, DataKeyError> {
        self.shared.keyring.rotate(&self.shared.db, ctx).await
    }

    /// Wraps every data key with the provider's present key, after that has changed, and returns how many it was. Nothing
    /// that is sealed changes. Afterwards the provider's older keys may go.
    ///
    /// # Errors
    /// As [`App::rotate_data_key`]; the keys before the one that failed are rewrapped.
    pub async fn rewrap_data_keys(&self, ctx: &Ctx) -> Result<u32, DataKeyError> {
        self.shared.keyring.rewrap(&self.shared.db, ctx).await
    }

    /// The data keys of this installation, without the keys.
    ///
    /// # Errors
    /// As [`App::rotate_data_key`].
    pub async fn data_keys(&self, ctx: &Ctx) -> Result<Vec<DataKeyStatus>, DataKeyError> {
        self.shared.keyring.list(&self.shared.db, ctx).await
    }

    /// Looks at up to `limit` rows with sealed columns, at most 100,000, and seals again what is under an older data key.
    /// Call it until [`Resealed::done`]. A value that somebody changes meanwhile keeps the change. Several processes may do
    /// it at once. Each look at a thousand rows of workspaces is a staff transaction of `ctx`, with its audit row.
    ///
    /// # Errors
    /// `forbidden` unless the context is one of staff or of [`App::system`]; [`DbError::NoLogin`] as the source when the
    /// process has no operator login; when the database or the provider refuses. What is sealed again stays so.
    pub async fn reseal(&self, ctx: &Ctx, limit: u32) -> Result<Resealed, Error> {
        if !ctx.is_operator() {
            return Err(DbError::NotStaff.into());
        }
        self.shared.keyring.refresh(&self.shared.db).await?;
        let mut left = usize::try_from(limit.clamp(1, MOST)).unwrap_or(LOOK);
        let columns: Vec<_> =
            self.shared.plan.tables.iter().flat_map(|t| t.sealed_columns().map(|c| (t.scope(), c))).collect();
        let mut pass = self.shared.resealing.lock().await;
        let key = self.shared.keyring.sealing();
        if pass.key != key {
            *pass = Pass { key, ..Pass::default() };
        }
        let mut done = Resealed::default();
        while let (true, Some((scope, column))) = (left > 0, columns.get(pass.column).copied()) {
            let most = left.min(LOOK);
            let seen = self.look(ctx, scope, column, &pass, most).await?;
            self.work(ctx, scope, column, &seen, &mut done).await?;
            left -= seen.len();
            done.seen += seen.len() as u64;
            match seen.last() {
                Some(last) if seen.len() == most => pass.after = Some((last.workspace_id, last.id)),
                _ => (pass.column, pass.after) = (pass.column + 1, None),
            }
            pass.old |= done.resealed + done.changed > 0;
        }
        if pass.column >= columns.len() {
            done.done = !pass.old;
            *pass = Pass { key, ..Pass::default() };
        }
        Ok(done)
    }

    async fn look(
        &self,
        ctx: &Ctx,
        scope: Scope,
        column: SealedColumn,
        pass: &Pass,
        most: usize,
    ) -> Result<Vec<Seen>, DbError> {
        let (header, most, after) = (header(pass.key), i64::try_from(most).unwrap_or(1), pass.after);
        let db = &self.shared.db;
        match scope {
            Scope::Tenant => {
                let reason = Reason::new("sealing stored secrets again under the newest key")
                    .map_err(|error| DbError::Sql(sqlx::Error::Encode(error.into())))?;
                db.operator(ctx, &reason, async |tx: &mut OperatorTx| {
                    Ok(sealed::list_tenant(tx.conn(), column, after, &header, most).await?)
                })
                .await
            }
            Scope::Global => {
                db.global(&ctx.reading(), async |tx: &mut GlobalTx| {
                    let after = after.map(|(_, id)| id);
                    Ok(sealed::list_global(tx.conn(), column, after, &header, most).await?)
                })
                .await
            }
        }
    }

    async fn work(
        &self,
        ctx: &Ctx,
        scope: Scope,
        column: SealedColumn,
        seen: &[Seen],
        done: &mut Resealed,
    ) -> Result<(), Error> {
        let mut old = BTreeMap::<_, Vec<Uuid>>::new();
        for row in seen.iter().filter(|row| row.old) {
            old.entry(row.workspace_id.uuid()).or_default().push(row.id);
        }
        for (workspace, ids) in old {
            let workspace = WorkspaceId::from_uuid(workspace);
            for ids in ids.chunks(WRITE) {
                let piece = Piece { keyring: &self.shared.keyring, scope, column, workspace, ids };
                self.rewrite(ctx, &piece, done).await?;
            }
        }
        Ok(())
    }

    /// Writes in the workspace itself, under the login that serves requests: the operator's may only look.
    async fn rewrite(&self, ctx: &Ctx, piece: &Piece<'_>, done: &mut Resealed) -> Result<(), DbError> {
        let mut reruns = 0;
        loop {
            let outcome = if piece.workspace == WorkspaceId::SYSTEM {
                self.shared.db.global(ctx, async |tx: &mut GlobalTx| piece.rewrite(tx).await).await
            } else {
                let workspace = Workspace::minted(piece.workspace, String::new(), WorkspaceStatus::Active, 0);
                self.shared
                    .db
                    .tenant(ctx, &workspace, async |tx: &mut TenantTx| piece.rewrite(tx).await)
                    .await
            };
            match outcome {
                Err(error) if reruns < RERUNS && error.is_retryable() => reruns += 1,
                outcome => {
                    let Written { resealed, changed, unreadable } = outcome?;
                    done.resealed += resealed;
                    done.changed += changed;
                    done.unreadable += unreadable;
                    return Ok(());
                }
            }
        }
    }
}

/// Rows of one workspace.
struct Piece<'a> {
    keyring: &'a Keyring,
    scope: Scope,
    column: SealedColumn,
    workspace: WorkspaceId,
    ids: &'a [Uuid],
}

struct Written {
    resealed: u64,
    changed: u64,
    unreadable: u64,
}

impl Piece<'_> {
    async fn rewrite(&self, tx: &mut impl Tx) -> Result<Written, DbError> {
        let workspace = (self.scope == Scope::Tenant).then_some(self.workspace);
        let entropy = tx.ctx().entropy().clone();
        let conn: &mut PgConnection = tx.conn();
        let (newest, mut unreadable, mut changes) = (self.keyring.sealing(), 0, Vec::new());
        let found = sealed::read(conn, self.column, workspace, self.ids).await?;
        let gone = self.ids.len() - found.len();
        for (id, before) in found {
            // Under this key already, or under one that this process's clock holds for too new.
            if number(&before).is_some_and(|number| number >= newest) {
                continue;
            }
            let place = Place::Cell { column: self.column, workspace: self.workspace, id };
            if let Ok(plain) = self.keyring.open(&place, &before) {
                let after = self.keyring.seal(&entropy, &place, plain.expose_secret());
                changes.push(Change { id, before, after });
            } else {
                unreadable += 1;
                tracing::error!(column = %self.column, workspace_id = %self.workspace, %id, "a sealed value does not open");
            }
        }
        let mut resealed = 0;
        if !changes.is_empty() {
            resealed = sealed::replace(conn, self.column, workspace, &changes).await?;
        }
        let overtaken = changes.len() as u64 - resealed;
        Ok(Written { resealed, changed: overtaken + gone as u64, unreadable })
    }
}
