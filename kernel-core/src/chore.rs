//! The vocabulary of chores: periodic work of the whole installation, which no request asked for. What drives them is in
//! `kernel-jobs`.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use tokio::time::timeout;
use tracing::Instrument;

use crate::ctx::Ctx;
use crate::db::{GlobalTx, Tx, WorkerDb};
use crate::error::{Error, ErrorKind};

/// A chore comes round no more often than this.
const OFTENEST: Duration = Duration::from_millis(10);

/// Work to do again and again: one transaction of the system workspace under the worker login, in one process at a time.
///
/// It runs at once when it is due, late rather than twice, and what it did is there if and only if its transaction
/// commits. Whatever reaches across workspaces does so through the functions that its pillar declares.
///
/// ```
/// use std::time::Duration;
/// use kernel_core::chore::{Chore, Pace};
/// use kernel_core::{Error, GlobalTx, Pillar};
///
/// async fn sweep((): (), _tx: &mut GlobalTx) -> Result<Pace, Error> {
///     // call a function of the pillar on `_tx.conn()`
///     Ok(Pace::Rest)
/// }
/// let pillar = Pillar::new("shop").chore(Chore::new("shop.sweep", Duration::from_secs(60), (), sweep));
/// # assert_eq!(pillar.name(), "shop");
/// ```
#[derive(Clone)]
pub struct Chore {
    name: &'static str,
    every: Duration,
    limit: Duration,
    run: RunChore,
}

type RunChore =
    Arc<dyn for<'t> Fn(&'t mut GlobalTx) -> BoxFuture<'t, Result<Pace, Error>> + Send + Sync + 'static>;

impl fmt::Debug for Chore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chore").field("name", &self.name).field("every", &self.every).finish_non_exhaustive()
    }
}

/// When a chore that has just been done is due again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once: there was more to do than one transaction should hold.
    Again,
    /// After its usual time, and nothing was done: the transaction is undone, so that looking costs no write to disk.
    Idle,
    /// After its usual time.
    Rest,
}

/// The body of a chore.
pub trait ChoreFn<'t, S>: Send + Sync {
    /// The future of the body.
    type Fut: Future<Output = Result<Pace, Error>> + Send + 't;
    /// Runs the body.
    fn call(&self, state: S, tx: &'t mut GlobalTx) -> Self::Fut;
}

impl<'t, S, F, Fut> ChoreFn<'t, S> for F
where
    F: Fn(S, &'t mut GlobalTx) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Pace, Error>> + Send + 't,
{
    type Fut = Fut;

    fn call(&self, state: S, tx: &'t mut GlobalTx) -> Fut {
        self(state, tx)
    }
}

/// Whose turn it is, as the clockwork of `kernel-jobs` keeps it in the database.
#[async_trait::async_trait]
pub trait Turn: fmt::Debug + Send + Sync {
    /// Takes the turn until the transaction on `conn` ends. Otherwise: how long to wait before asking again.
    ///
    /// # Errors
    /// When the database refuses.
    async fn take(&self, conn: &mut PgConnection) -> Result<Option<Duration>, Error>;

    /// Notes in the transaction on `conn` that the chore is done, and due again after `wait`.
    ///
    /// # Errors
    /// When the database refuses.
    async fn done(&self, conn: &mut PgConnection, wait: Duration) -> Result<(), Error>;
}

/// What came of asking for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// The chore is done.
    Done(Pace),
    /// It is not due, another process is at it, or there was nothing to do: ask again after so long.
    NotYet(Duration),
}

impl Chore {
    /// Does `work` with `state` every so often, at most every 10 ms. The name is dotted, `shop.sweep`, and identifies the
    /// chore for ever.
    #[must_use]
    pub fn new<S, F>(name: &'static str, every: Duration, state: S, work: F) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: for<'t> ChoreFn<'t, S> + 'static,
    {
        let work = Arc::new(work);
        let run: RunChore = Arc::new(move |tx| Box::pin(work.call(state.clone(), tx)));
        Self { name, every: every.max(OFTENEST), limit: Duration::from_mins(1), run }
    }

    /// How long one round may take; a statement in it may take as long. A minute unless said.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How long it rests.
    #[must_use]
    pub fn every(&self) -> Duration {
        self.every
    }

    /// How long one round may take.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.limit
    }

    /// Does one round if it is this process's turn: takes the turn, works and notes it in one transaction. `ctx` is the
    /// runner's own; the chore gets one that is the system's under the chore's name.
    ///
    /// # Errors
    /// What the work returns, with nothing done; `chore_panicked`, `chore_timed_out`; what the database says.
    pub async fn run(&self, db: &WorkerDb, ctx: &Ctx, turn: &dyn Turn) -> Result<Round, Error> {
        let ctx = ctx.for_chore(self.name);
        let span = tracing::info_span!("chore", chore = self.name, request_id = %ctx.request_id());
        let round = async {
            let round = self.round(db, &ctx, turn).await;
            if let Err(error) = &round {
                tracing::error!(code = error.code(), error = error.with_causes(), "a chore failed");
                db.report_chore(&ctx, self.name, error);
            }
            round
        };
        round.instrument(span).await
    }

    async fn round(&self, db: &WorkerDb, ctx: &Ctx, turn: &dyn Turn) -> Result<Round, Error> {
        let mut not_yet = None;
        let worked = db.global(ctx, self.limit, async |tx: &mut GlobalTx| {
            not_yet = turn.take(tx.conn()).await?;
            if not_yet.is_some() {
                return Err(nothing_done());
            }
            // Caught here, so that the turn is given back before the caller hears of it.
            let work = AssertUnwindSafe((self.run)(tx)).catch_unwind();
            let pace = match timeout(self.limit, work).await {
                Ok(Ok(outcome)) => outcome?,
                Ok(Err(panic)) => return Err(panicked(panic.as_ref())),
                Err(_) => return Err(Error::new(ErrorKind::Timeout, "chore_timed_out")),
            };
            if pace == Pace::Idle {
                not_yet = Some(self.every);
                return Err(nothing_done());
            }
            let wait = if pace == Pace::Again { Duration::ZERO } else { self.every };
            turn.done(tx.conn(), wait).await?;
            Ok(Round::Done(pace))
        });
        let worked = worked.await;
        not_yet.map_or(worked, |wait| Ok(Round::NotYet(wait)))
    }
}

/// Undoes the transaction, which holds nothing but the lock of the turn.
fn nothing_done() -> Error {
    Error::new(ErrorKind::Conflict, "conflict")
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "a panic without a text".to_owned());
    Error::new(ErrorKind::Internal, "chore_panicked").because(text)
}
