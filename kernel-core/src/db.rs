//! Database handles. A query needs a transaction, a transaction needs to know its workspace.

mod adopt;
mod begin;
mod error;
mod global;
mod login;
mod operator;
mod purge;
mod tenant;
mod worker;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use log::LevelFilter;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection};
use tracing::Instrument;

use crate::ctx::Ctx;
use crate::hook::Hooks;
use crate::id::WorkspaceId;
use crate::telemetry::vital::Watch;
use crate::workspace::Workspace;

pub(crate) use error::is_retryable;
pub use error::{DbError, violates};
pub use global::GlobalTx;
pub use login::RoleNames;
pub use operator::{OperatorTx, Reason, UnusableReason};
pub use purge::Purged;
pub(crate) use purge::chore as purge_chore;
pub use tenant::TenantTx;
pub use worker::WorkerDb;

use begin::{Opening, TimeLimits};
pub(crate) use login::{Login, powers, unsafe_host, unsafe_login};

/// How many connections serve statements beside transactions.
pub(crate) const BESIDE: u32 = 4;

/// The logins and limits of one database.
#[derive(Clone)]
#[non_exhaustive]
pub struct DbConfig {
    /// URL of the `app` login, which serves requests.
    pub app: String,
    /// URL of the `worker` login, which runs jobs; a process without it runs none.
    pub worker: Option<String>,
    /// URL of the `operator` login, which staff tools use; a process without it has none.
    pub operator: Option<String>,
    /// Connections per login. [`CacheStore::Database`](crate::cache::CacheStore::Database) takes four more.
    pub max_connections: u32,
    /// How long one statement may run. Jobs and migrations set their own.
    pub statement_timeout: Duration,
    /// How long a transaction may wait for its next statement.
    pub idle_timeout: Duration,
    /// A statement that takes longer is a line in the log, at the level WARN, with its text and without its parameters.
    pub slow_statement: Duration,
    /// Prepared statements kept per connection; 0 behind a pooler, which gives each transaction another connection.
    pub statement_cache: usize,
    /// The names of the roles.
    pub roles: RoleNames,
}

impl DbConfig {
    /// The usual limits: 16 connections, 5 s a statement, 10 s of waiting, slow after 500 ms, 100 statements cached.
    #[must_use]
    pub fn new(app: impl Into<String>) -> Self {
        Self {
            app: app.into(),
            worker: None,
            operator: None,
            max_connections: 16,
            statement_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(10),
            slow_statement: Duration::from_millis(500),
            statement_cache: 100,
            roles: RoleNames::default(),
        }
    }
}

impl fmt::Debug for DbConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbConfig").field("max_connections", &self.max_connections).finish_non_exhaustive()
    }
}

/// The database, as the kernel and its products see it: a place to open transactions.
///
/// Cheap to clone. It hands out no connection and no pool.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
    hooks: Arc<Hooks>,
}

struct Shared {
    /// The first one holds every workspace that names no other.
    placements: Vec<Placement>,
    roles: RoleNames,
    opening: Opening,
    /// Connections for statements beside a transaction, once something needs them.
    beside: OnceLock<PgPool>,
}

struct Placement {
    name: String,
    app: PgPool,
    worker: Option<PgPool>,
    operator: Option<PgPool>,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.shared.placements.iter().map(|placement| &placement.name).collect();
        f.debug_struct("Db").field("placements", &names).finish_non_exhaustive()
    }
}

impl Db {
    /// Prepares the pools. Connects lazily; [`AppBuilder::build`](crate::AppBuilder::build) checks that every login is safe.
    ///
    /// # Errors
    /// [`DbError::Sql`] when a URL cannot be read.
    pub fn new(config: &DbConfig) -> Result<Self, DbError> {
        let pooled = config.statement_cache == 0;
        let limits = TimeLimits { statement: config.statement_timeout, idle: config.idle_timeout };
        let pool = |url: &str| -> Result<PgPool, DbError> {
            let mut options: PgConnectOptions = url.parse()?;
            if !pooled {
                options = options.options(limits.settings());
            }
            options = options.log_slow_statements(LevelFilter::Warn, config.slow_statement);
            Ok(PgPoolOptions::new()
                .max_connections(config.max_connections)
                .acquire_timeout(Duration::from_secs(5))
                // A ping per transaction is a round trip; a dead connection is replaced when its BEGIN fails.
                .test_before_acquire(false)
                .connect_lazy_with(
                    options.statement_cache_capacity(config.statement_cache).application_name("kernel"),
                ))
        };
        let placement = Placement {
            name: "default".to_owned(),
            app: pool(&config.app)?,
            worker: config.worker.as_deref().map(pool).transpose()?,
            operator: config.operator.as_deref().map(pool).transpose()?,
        };
        // Behind a pooler a connection belongs to a transaction only, so the limits do too.
        let opening = Opening::new(limits, pooled);
        let shared = Shared {
            placements: vec![placement],
            roles: config.roles.clone(),
            opening,
            beside: OnceLock::new(),
        };
        Ok(Self { shared: Arc::new(shared), hooks: Arc::default() })
    }

    pub(crate) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    pub(crate) fn with_hooks(&self, hooks: Hooks) -> Self {
        Self { shared: self.shared.clone(), hooks: Arc::new(hooks) }
    }

    /// The names of the database roles.
    #[must_use]
    pub fn roles(&self) -> &RoleNames {
        &self.shared.roles
    }

    /// Runs `work` in a transaction of the workspace: commits when it returns `Ok`, rolls back otherwise.
    ///
    /// The transaction is read-only when the context is. Dropping the future rolls back.
    /// `work` runs once; a caller that wants to retry asks [`DbError::is_retryable`].
    ///
    /// # Errors
    /// What `work` returns, or a [`DbError`] of opening or committing.
    pub async fn tenant<T, E: From<DbError>>(
        &self,
        ctx: &Ctx,
        workspace: &Workspace,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<T, E>,
    ) -> Result<T, E> {
        let span = ctx.host_span(workspace.id());
        let mut tx = self.begin_tenant(ctx, workspace).instrument(span.clone()).await?;
        let outcome = work(&mut tx).instrument(span.clone()).await;
        settle(tx, outcome).instrument(span).await
    }

    /// Runs `work` in a transaction of the system workspace, where identity and platform rows live.
    ///
    /// # Errors
    /// What `work` returns, or a [`DbError`] of opening or committing.
    pub async fn global<T, E: From<DbError>>(
        &self,
        ctx: &Ctx,
        work: impl AsyncFnOnce(&mut GlobalTx) -> Result<T, E>,
    ) -> Result<T, E> {
        let span = ctx.host_span(WorkspaceId::SYSTEM);
        let mut tx = self.begin_global(ctx).instrument(span.clone()).await?;
        let outcome = work(&mut tx).instrument(span.clone()).await;
        settle(tx, outcome).instrument(span).await
    }

    pub(crate) async fn begin_tenant(&self, ctx: &Ctx, workspace: &Workspace) -> Result<TenantTx, DbError> {
        let placement = &self.shared.placements[workspace.placement()];
        let open = self.open((Login::App, &placement.app), ctx, workspace.id()).await?;
        Ok(TenantTx::new(open, ctx.clone(), workspace.id()))
    }

    pub(crate) async fn begin_global(&self, ctx: &Ctx) -> Result<GlobalTx, DbError> {
        let pool = (Login::App, &self.shared.placements[0].app);
        let open = self.open(pool, ctx, WorkspaceId::SYSTEM).await?;
        Ok(GlobalTx::new(open, ctx.clone()))
    }

    async fn open(
        &self,
        pool: (Login, &PgPool),
        ctx: &Ctx,
        workspace: WorkspaceId,
    ) -> Result<begin::Open, DbError> {
        self.know_keys().await;
        self.shared.opening.open(pool, ctx, workspace, self.hooks.clone()).await
    }

    /// Sees that the data keys are known that another process may have sealed with. Here, so that no transaction opens
    /// without it, and the provider is asked outside of them.
    pub(crate) async fn know_keys(&self) {
        if let Some(keyring) = self.hooks.keyring.as_ref().filter(|keyring| keyring.is_due()) {
            // In a box: it is seldom done, and every transaction's future would carry it.
            Box::pin(keyring.refresh_if_due(self)).await;
        }
    }

    /// Runs `work` in the system workspace without asking whether the data keys are known: it is what reads them.
    pub(crate) async fn apart<T, E: From<DbError>>(
        &self,
        ctx: &Ctx,
        work: impl AsyncFnOnce(&mut GlobalTx) -> Result<T, E>,
    ) -> Result<T, E> {
        let pool = (Login::App, &self.shared.placements[0].app);
        let open = self.shared.opening.open(pool, ctx, WorkspaceId::SYSTEM, self.hooks.clone()).await?;
        let mut tx = GlobalTx::new(open, ctx.clone());
        let outcome = work(&mut tx).await;
        settle(tx, outcome).await
    }

    /// Calls a look-up function that needs no workspace yet (a session, a slug): one statement, no transaction.
    ///
    /// For pillars that provide [`Auth`](crate::seam::Auth) or [`TenantResolver`](crate::seam::TenantResolver). The
    /// connection carries no workspace, so tenant tables are empty on it and only definer functions see anything. `work`
    /// must leave the settings of the session alone: nothing sets them back before the next transaction.
    ///
    /// # Errors
    /// What `work` returns, or a [`DbError`] when no connection is free.
    pub async fn lookup<T, E: From<DbError>>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.outside((Login::App, &self.shared.placements[0].app), work).await
    }

    /// As [`Db::lookup`], while the caller may hold a transaction: on a few connections of their own, so that nobody who
    /// holds one connection waits for another of the same pool.
    pub(crate) async fn beside<T, E: From<DbError>>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let pool = self.shared.beside.get_or_init(|| {
            let app = &self.shared.placements[0].app;
            let options = app.options().clone().max_connections(BESIDE);
            options.connect_lazy_with((*app.connect_options()).clone())
        });
        self.outside((Login::App, pool), work).await
    }

    /// Work in no workspace, under the login of `pool`.
    pub(crate) async fn outside<T, E: From<DbError>>(
        &self,
        pool: (Login, &PgPool),
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let (login, pool) = pool;
        let watch = Watch { meter: self.hooks.meter.clone(), login };
        self.shared.opening.outside(pool, &watch, work).await
    }

    /// Whether the configuration says that a pooler stands between.
    pub(crate) fn expects_pooler(&self) -> bool {
        self.shared.opening.pooled()
    }

    /// Asks every placement for a sign of life, under the login that serves requests.
    pub(crate) async fn reach(&self) -> Result<(), DbError> {
        for placement in &self.shared.placements {
            begin::reach(placement.app.clone()).await?;
        }
        Ok(())
    }

    /// Whether a connection outside a transaction has the limits that it was made with, where it should.
    pub(crate) async fn has_limits(&self, conn: &mut PgConnection) -> Result<bool, DbError> {
        self.shared.opening.has_limits(conn).await
    }

    pub(crate) fn placement(&self, name: Option<&str>) -> Result<usize, DbError> {
        let Some(name) = name else { return Ok(0) };
        let index = self.shared.placements.iter().position(|placement| placement.name == name);
        index.ok_or_else(|| DbError::UnknownPlacement(name.to_owned()))
    }

    pub(crate) fn pools(&self) -> impl Iterator<Item = (Login, &PgPool)> {
        self.shared.placements.iter().flat_map(|placement| {
            let app = Some((Login::App, &placement.app));
            let worker = placement.worker.as_ref().map(|pool| (Login::Worker, pool));
            let operator = placement.operator.as_ref().map(|pool| (Login::Operator, pool));
            [app, worker, operator].into_iter().flatten()
        })
    }

    /// Closes every connection, waiting for transactions that are under way.
    pub async fn close(&self) {
        for pool in self.pools().map(|(_, pool)| pool).chain(self.shared.beside.get()) {
            pool.close().await;
        }
    }
}

/// A transaction that knows its context and its workspace: what `publish`, `audit` and `enqueue` take.
pub trait Tx: sealed::Sealed + Send {
    /// The context of the request or job.
    fn ctx(&self) -> &Ctx;
    /// The workspace whose rows are visible; [`WorkspaceId::SYSTEM`] in a [`GlobalTx`].
    fn workspace_id(&self) -> WorkspaceId;
    /// The connection, for statements. It is inside the transaction and stays there.
    fn conn(&mut self) -> &mut PgConnection;
}

pub(crate) mod sealed {
    #[expect(unnameable_types, reason = "a sealed trait is one that nobody else can name")]
    pub trait Sealed {
        fn hooks(&mut self) -> std::sync::Arc<crate::hook::Hooks>;

        /// Takes a row for the audit log, which is written before the commit at the latest.
        fn note_audit(
            &mut self,
            row: crate::store::audit_log::NewRow,
        ) -> impl Future<Output = Result<(), super::DbError>> + Send;
    }
}

/// How a transaction ends when its closure has.
trait Settle: Sized {
    async fn commit(self) -> Result<(), DbError>;
    async fn rollback(self);
}

async fn settle<X: Settle, T, E: From<DbError>>(tx: X, outcome: Result<T, E>) -> Result<T, E> {
    match outcome {
        Ok(value) => {
            tx.commit().await?;
            Ok(value)
        }
        Err(error) => {
            tx.rollback().await;
            Err(error)
        }
    }
}
