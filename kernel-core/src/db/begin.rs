//! Opening and ending transactions: the begin string, and futures that cannot be cut in half.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Postgres, Transaction};

use super::{DbError, Login, Settle, settle};
use crate::ctx::Ctx;
use crate::hook::Hooks;
use crate::id::WorkspaceId;
use crate::store;
use crate::store::audit_log::{self, NewRow};
use crate::telemetry::vital::{Course, End, Watch};

/// How long a transaction may keep the server waiting or busy.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimits {
    pub(super) statement: Duration,
    /// Between two statements of a transaction.
    pub(super) idle: Duration,
}

impl TimeLimits {
    /// As settings of a connection, in milliseconds.
    pub(super) fn settings(&self) -> [(&'static str, u128); 2] {
        [
            ("statement_timeout", self.statement.as_millis()),
            ("idle_in_transaction_session_timeout", self.idle.as_millis()),
        ]
    }
}

/// How transactions open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    limits: TimeLimits,
    /// Each transaction sets its limits itself; otherwise its connection was made with them.
    sets_limits: bool,
    /// A pooler hands each transaction to another connection of the server, on which others have prepared statements.
    pooled: bool,
}

/// The driver names even statements that it does not keep, each client from 1. What other clients have left on this
/// connection would be in the way; a pooler that keeps statements itself gives them other names.
const FORGET: &str = "SELECT kernel_core.forget_statements(); ";
/// The same for work that may come before the schema.
const FORGET_ANYWHERE: &str = "DO $$ DECLARE statement text; BEGIN \
     FOR statement IN SELECT name FROM pg_catalog.pg_prepared_statements WHERE name LIKE 'sqlx\\_s\\_%' LOOP \
     EXECUTE format('DEALLOCATE %I', statement); END LOOP; END $$; ";

/// COMMIT of a transaction in which a statement failed is a silent ROLLBACK. The first of these is refused there, and
/// brings the errors of deferred constraints forward. The others see that nothing of this transaction stays on the
/// connection for whoever has it next: a cursor that outlives it, a setting made for the whole session. `RESET ALL` leaves
/// alone what is at its default for the moment only, so the workspace is named too. The database's function
/// `record_audit` does the same after the last row.
const BEFORE_COMMIT: &str = "SET CONSTRAINTS ALL IMMEDIATE; CLOSE ALL; RESET ALL; RESET app.workspace_id";
/// Behind a pooler, `RESET ALL` would also undo what the pooler has set for its client, the time zone for one.
const BEFORE_COMMIT_POOLED: &str = "SET CONSTRAINTS ALL IMMEDIATE; CLOSE ALL; RESET app.workspace_id";

impl Opening {
    pub(super) fn new(limits: TimeLimits, pooled: bool) -> Self {
        Self { limits, sets_limits: pooled, pooled }
    }

    pub(super) fn pooled(&self) -> bool {
        self.pooled
    }

    /// The same for a job, which may take as long as `limit`.
    pub(super) fn lasting(self, limit: Duration) -> Self {
        Self { limits: TimeLimits { statement: limit, idle: limit }, sets_limits: true, ..self }
    }

    /// Begins a transaction of the workspace on a connection of `pool`.
    pub(super) async fn open(
        self,
        pool: (Login, &PgPool),
        ctx: &Ctx,
        workspace: WorkspaceId,
        hooks: Arc<Hooks>,
    ) -> Result<Open, DbError> {
        let (login, pool) = pool;
        let watch = Watch { meter: hooks.meter.clone(), login };
        let tx = begin(pool.clone(), self.statement(ctx, workspace), &watch, workspace).await?;
        Ok(Open::new(tx, ctx.read_only(), self.pooled, hooks, watch.begun(workspace)))
    }

    /// One round trip: begin, and say in which workspace. `SET` takes no parameters, so the text is
    /// formatted here and nowhere else, out of UUIDs and integers only.
    fn statement(&self, ctx: &Ctx, workspace: WorkspaceId) -> String {
        let mode = if ctx.read_only() { " READ ONLY" } else { "" };
        let forget = if self.pooled { FORGET } else { "" };
        let limits = if self.sets_limits { self.limits() } else { String::new() };
        format!(
            "BEGIN{mode}; {forget}{limits}SET LOCAL app.workspace_id = '{workspace}'",
            workspace = workspace.uuid(),
        )
    }

    fn limits(&self) -> String {
        self.limits.settings().map(|(setting, value)| format!("SET LOCAL {setting} = {value}; ")).concat()
    }

    /// Work in no workspace. Behind a pooler it needs a transaction all the same: the driver prepares a statement and
    /// runs it in two steps, which might otherwise go to two connections of the server.
    pub(super) async fn outside<T, E: From<DbError>>(
        self,
        pool: &PgPool,
        watch: &Watch,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        if !self.pooled {
            let mut conn = acquire(pool.clone(), watch).await?;
            return work(&mut conn).await;
        }
        let (statement, nowhere) =
            (format!("BEGIN; {FORGET_ANYWHERE}{}", self.limits()), WorkspaceId::SYSTEM);
        let tx = begin(pool.clone(), statement, watch, nowhere).await?;
        let mut open = Open::new(tx, false, self.pooled, Arc::default(), watch.begun(nowhere));
        let outcome = work(open.conn()).await;
        settle(open, outcome).await
    }

    /// Whether a connection outside a transaction has the limits that it was made with, where it should.
    pub(super) async fn has_limits(&self, conn: &mut PgConnection) -> Result<bool, DbError> {
        if self.sets_limits {
            return Ok(true);
        }
        let settings = self.limits.settings();
        let found = store::setting::milliseconds(conn, &settings.map(|(name, _)| name)).await?;
        Ok(found.into_iter().map(Some).eq(settings.map(|(_, value)| i64::try_from(value).ok())))
    }
}

/// An open transaction and what is to happen when it commits.
pub(crate) struct Open {
    pub(super) tx: Transaction<'static, Postgres>,
    pub(super) read_only: bool,
    pub(super) pooled: bool,
    pub(super) after_commit: Vec<AfterCommit>,
    /// The audit row that was noted last, of the workspace that the connection is in. It is written with what is checked
    /// before the commit, which saves its journey.
    pub(super) audited: Option<Box<NewRow>>,
    pub(super) hooks: Arc<Hooks>,
    /// How much work each open piece found there: what it has added is dropped when it is undone.
    pub(super) marks: Vec<usize>,
    /// True while a nested piece runs: if its future is dropped there, this stays true and bars the commit.
    pub(super) abandoned: bool,
    pub(super) course: Course,
}

pub(super) type AfterCommit = Box<dyn FnOnce() + Send>;

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("read_only", &self.read_only).finish_non_exhaustive()
    }
}

impl Open {
    fn new(
        tx: Transaction<'static, Postgres>,
        read_only: bool,
        pooled: bool,
        hooks: Arc<Hooks>,
        course: Course,
    ) -> Self {
        let (after_commit, marks) = (Vec::new(), Vec::new());
        let audited = None;
        Self { tx, read_only, pooled, after_commit, audited, hooks, marks, abandoned: false, course }
    }

    pub(super) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Notes a row for the audit log.
    pub(super) async fn note_audit(&mut self, row: NewRow) -> Result<(), DbError> {
        self.write_audited().await?;
        self.audited = Some(Box::new(row));
        // There is no commit that could write it; the database says why not.
        if self.read_only { self.write_audited().await } else { Ok(()) }
    }

    /// Writes the audit row that is noted, before the workspace changes, a piece begins, or somebody reads the log.
    pub(crate) async fn write_audited(&mut self) -> Result<(), DbError> {
        if let Some(row) = self.audited.take() {
            audit_log::insert(&mut self.tx, &row).await?;
        }
        Ok(())
    }

    /// Marks a piece of work inside the transaction: `Err` undoes only the piece.
    pub(super) async fn savepoint(&mut self) -> Result<(), DbError> {
        self.write_audited().await?;
        self.marks.push(self.after_commit.len());
        self.abandoned = true;
        let statement = format!("SAVEPOINT kernel_{}", self.marks.len());
        self.tx.execute(AssertSqlSafe(statement)).await?;
        Ok(())
    }

    pub(super) async fn end_savepoint(&mut self, keep: bool) -> Result<(), DbError> {
        let verb = if keep { "RELEASE SAVEPOINT" } else { "ROLLBACK TO SAVEPOINT" };
        let statement = format!("{verb} kernel_{}", self.marks.len());
        self.tx.execute(AssertSqlSafe(statement)).await?;
        let mark = self.marks.pop().unwrap_or_default();
        if !keep {
            self.after_commit.truncate(mark);
            // What the piece began with is written.
            self.audited = None;
        }
        self.abandoned = !self.marks.is_empty();
        Ok(())
    }
}

impl Settle for Open {
    async fn commit(self) -> Result<(), DbError> {
        if self.abandoned {
            return Err(DbError::Abandoned);
        }
        to_completion(async move {
            let Self { mut tx, read_only, pooled, after_commit, audited, mut course, .. } = self;
            course.ends(End::Failed);
            if read_only {
                // There is nothing to keep, and what a handler has set for the session or declared goes with it.
                tx.rollback().await?;
            } else {
                if let Some(row) = audited {
                    audit_log::insert_last(&mut tx, &row, pooled).await?;
                } else {
                    tx.execute(if pooled { BEFORE_COMMIT_POOLED } else { BEFORE_COMMIT }).await?;
                }
                tx.commit().await?;
            }
            course.ends(End::Committed);
            drop(course);
            for work in after_commit {
                // It is too late to answer with an error: what was to be done is done.
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    tracing::error!("work for after the commit panicked");
                }
            }
            Ok(())
        })
        .await
    }

    async fn rollback(self) {
        to_completion(async move {
            // A connection that cannot even roll back is closed by the pool; the server has rolled back then.
            let Self { tx, mut course, .. } = self;
            course.ends(End::RolledBack);
            if let Err(error) = tx.rollback().await {
                tracing::debug!(error = %error, "rollback failed");
            }
        })
        .await;
    }
}

/// Begins on a connection of `pool`. Connections are not pinged when they are taken out, so one that died idle
/// shows here; nothing has been done on it yet, so the next one is tried.
async fn begin(
    pool: PgPool,
    statement: String,
    watch: &Watch,
    workspace: WorkspaceId,
) -> Result<Transaction<'static, Postgres>, DbError> {
    let _wait = watch.wait();
    let begun = to_completion(async move {
        let mut attempts = pool.options().get_max_connections();
        loop {
            match pool.begin_with(AssertSqlSafe(statement.clone())).await {
                Err(error) if attempts > 0 && is_dead(&error) => attempts -= 1,
                other => break other,
            }
        }
    });
    begun.await.map_err(|error| {
        watch.refused(workspace);
        error.into()
    })
}

/// Asks the server for a sign of life.
pub(super) async fn reach(pool: PgPool) -> Result<(), DbError> {
    let unseen = Watch { meter: None, login: Login::App };
    let tx = begin(pool, "BEGIN READ ONLY".to_owned(), &unseen, WorkspaceId::SYSTEM).await?;
    Ok(to_completion(tx.rollback()).await?)
}

async fn acquire(pool: PgPool, watch: &Watch) -> Result<PoolConnection<Postgres>, DbError> {
    let _wait = watch.wait();
    Ok(to_completion(async move { pool.acquire().await }).await?)
}

fn is_dead(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    match error {
        sqlx::Error::Io(io) => io.kind() != std::io::ErrorKind::ConnectionRefused,
        // The server said goodbye while the connection sat idle.
        _ => matches!(code.as_deref(), Some("57P01" | "57P05")),
    }
}

/// Runs `future` to its end even when the caller stops waiting: it then goes on as a task of its own.
///
/// sqlx's `begin` is not cancel-safe: dropped half-way, it hands back to the pool a connection whose transaction is
/// open, with the settings of its tenant.
pub(super) async fn to_completion<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    ToCompletion(Some(Box::pin(future))).await
}

struct ToCompletion<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Future for ToCompletion<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(future) = self.0.as_mut() else { return Poll::Pending };
        let ready = future.as_mut().poll(cx);
        if ready.is_ready() {
            self.0 = None;
        }
        ready
    }
}

impl<T: Send + 'static> Drop for ToCompletion<T> {
    fn drop(&mut self) {
        let Some(future) = self.0.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(future);
        }
    }
}
