//! The clients: the kernel's database, and two that make the mistakes which the proof must be able to see.

use anyhow::Result;
use kernel_core::{Ctx, Db, DbError, GlobalTx, TenantTx, Tx, Workspace, WorkspaceId};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::deed::Deed;
use super::ledger::Ledger;
use super::product::{Sight, look};

/// How transactions are opened.
#[derive(Debug)]
pub(super) enum Client {
    Kernel(Db),
    /// sqlx's own `begin`, which hands a connection back in mid-transaction when it is dropped half-way.
    PlainBegin(PgPool),
    /// Names the workspace for the whole session, which a pooler shares with others.
    SessionSet(PgPool),
}

impl Client {
    pub(super) fn pool(url: &str, connections: u32) -> Result<PgPool> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.statement_cache_capacity(0);
        let pool = PgPoolOptions::new().max_connections(connections).test_before_acquire(false);
        Ok(pool.connect_lazy_with(options))
    }

    /// Writes the deed's entry in a transaction of the workspace.
    pub(super) async fn transact(&self, ctx: &Ctx, workspace: &Workspace, deed: &Deed<'_>) {
        let id = workspace.id().uuid();
        match self {
            Self::Kernel(db) => {
                let work = async |tx: &mut TenantTx| deed.body(tx.conn()).await.map_err(DbError::from);
                deed.run(db.tenant(ctx, workspace, work)).await;
            }
            Self::PlainBegin(pool) => {
                let begin =
                    AssertSqlSafe(format!("BEGIN; DEALLOCATE ALL; SET LOCAL app.workspace_id = '{id}'"));
                let work = async {
                    let mut tx = pool.begin_with(begin).await?;
                    deed.body(&mut tx).await?;
                    tx.commit().await
                };
                deed.run(work).await;
            }
            Self::SessionSet(pool) => {
                let work = async {
                    let mut conn = pool.acquire().await?;
                    let mut tx = conn.begin_with("BEGIN; DEALLOCATE ALL").await?;
                    tx.execute(AssertSqlSafe(format!("SET app.workspace_id = '{id}'"))).await?;
                    deed.body(&mut tx).await?;
                    tx.commit().await
                };
                deed.run(work).await;
            }
        }
    }

    /// Looks around outside any workspace.
    pub(super) async fn look_up(&self, ledger: &Ledger) {
        let seen = match self {
            Self::Kernel(db) => {
                db.lookup(async |conn: &mut PgConnection| look(conn).await.map_err(DbError::from)).await
            }
            Self::PlainBegin(pool) | Self::SessionSet(pool) => {
                let look_around = async { look(&mut *pool.acquire().await?).await };
                look_around.await.map_err(DbError::from)
            }
        };
        match seen {
            Ok(seen) => ledger.outside("a look-up", seen == Sight::nothing(), seen),
            Err(error) => ledger.refused(&error),
        }
    }

    /// Looks around in the system workspace.
    pub(super) async fn look_globally(&self, ctx: &Ctx, ledger: &Ledger) {
        let Self::Kernel(db) = self else { return };
        let seen = db.global(ctx, async |tx: &mut GlobalTx| look(tx.conn()).await.map_err(DbError::from));
        match seen.await {
            Ok(seen) => ledger.inside(&seen, &Sight::of(WorkspaceId::SYSTEM)),
            Err(error) => ledger.refused(&error),
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Kernel(db) => db.close().await,
            Self::PlainBegin(pool) | Self::SessionSet(pool) => pool.close().await,
        }
    }
}
