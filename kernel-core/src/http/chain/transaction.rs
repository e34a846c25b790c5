//! Runs the handler: in the transaction of its kind, again when only its neighbours were in the way.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::Gate;
use super::idempotency::Key;
use crate::ctx::Ctx;
use crate::db::{Db, DbError, GlobalTx, TenantTx, Tx};
use crate::error::{Error, Panicked};
use crate::http::handler::{Call, Handler, Prepare, TxStep};
use crate::http::input::Incoming;
use crate::http::reply::Reply;
use crate::http::route::Route;

/// How often a transaction that lost against its neighbours is run again.
const RERUNS: u32 = 3;

/// The two transactions that the chain opens itself.
trait Owned: Tx + Sized + 'static {
    fn open(db: &Db, ctx: &Ctx) -> impl Future<Output = Result<Self, Error>> + Send;
    fn commit(self) -> impl Future<Output = Result<(), DbError>> + Send;
    fn rollback(self) -> impl Future<Output = ()> + Send;
}

impl Owned for TenantTx {
    async fn open(db: &Db, ctx: &Ctx) -> Result<Self, Error> {
        Ok(db.begin_tenant(ctx, ctx.workspace()?).await?)
    }

    async fn commit(self) -> Result<(), DbError> {
        Self::commit(self).await
    }

    async fn rollback(self) {
        Self::rollback(self).await;
    }
}

impl Owned for GlobalTx {
    async fn open(db: &Db, ctx: &Ctx) -> Result<Self, Error> {
        Ok(db.begin_global(ctx).await?)
    }

    async fn commit(self) -> Result<(), DbError> {
        Self::commit(self).await
    }

    async fn rollback(self) {
        Self::rollback(self).await;
    }
}

impl Gate<'_> {
    pub(super) async fn handle(&self, ctx: &Ctx, route: &Route, incoming: &Incoming) -> Result<Reply, Error> {
        incoming.query()?;
        let ctx = if route.is_safe() && !matches!(route.handler, Handler::Free(_)) {
            ctx.reading()
        } else {
            ctx.clone()
        };
        let key = Key::of(route, &ctx, incoming).await?;
        match &route.handler {
            Handler::Tenant(handler) => self.transact(handler.as_ref(), &ctx, key.as_ref(), incoming).await,
            Handler::Global(handler) => self.transact(handler.as_ref(), &ctx, key.as_ref(), incoming).await,
            Handler::Free(handler) => {
                let step = handler.prepare(incoming)?;
                let (db, shutdown) = (self.app.db.clone(), self.app.routes.shutdown.clone());
                step(Call { ctx, db, head: Arc::clone(&incoming.head), shutdown }).await
            }
        }
    }

    async fn transact<X: Owned>(
        &self,
        handler: &dyn Prepare<TxStep<X>>,
        ctx: &Ctx,
        key: Option<&Key>,
        incoming: &Incoming,
    ) -> Result<Reply, Error> {
        let mut reruns = 0;
        loop {
            match self.attempt(handler, ctx, key, incoming).await {
                Err(error) if reruns < RERUNS && error.is_retryable() => {
                    reruns += 1;
                    self.app.vitals.reruns.add(1);
                    tracing::debug!(reruns, error = %error, "running the transaction again");
                    // A random wait, or the same two meet again.
                    let [jitter] = ctx.entropy().bytes();
                    tokio::time::sleep(Duration::from_millis(u64::from(reruns * 5) + u64::from(jitter) / 16))
                        .await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt<X: Owned>(
        &self,
        handler: &dyn Prepare<TxStep<X>>,
        ctx: &Ctx,
        key: Option<&Key>,
        incoming: &Incoming,
    ) -> Result<Reply, Error> {
        let step = handler.prepare(incoming)?;
        let mut tx = X::open(&self.app.db, ctx).await?;
        let work = async {
            match key {
                Some(key) => self.once(key, &mut tx, step).await,
                None => step(&mut tx).await,
            }
        };
        // Caught here too, so that its locks are gone before the caller hears of the panic and tries again.
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        match outcome.unwrap_or_else(|panic| Err(Error::internal(Panicked::from(panic)))) {
            // A refusal in whatever form: a page that shows the form again, a response of the handler's own.
            Ok(reply) if reply.status().is_some_and(|status| status.as_u16() >= 400) => {
                tx.rollback().await;
                Ok(reply)
            }
            Ok(reply) => {
                // Nobody hears of success before it is certain.
                tx.commit().await?;
                Ok(reply)
            }
            Err(error) => {
                tx.rollback().await;
                Err(error)
            }
        }
    }
}
