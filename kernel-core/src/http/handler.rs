//! How an ordinary async function becomes a handler.

use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::request::Parts;

use super::input::{Incoming, Input};
use super::output::Output;
use super::reply::{Reply, Shutdown};
use crate::ctx::Ctx;
use crate::db::{Db, GlobalTx, TenantTx};
use crate::error::Error;

/// A function of a state, a transaction and an input: `async fn(Projects, &mut TenantTx, Body<NewProject>)`.
///
/// Implemented by every such function; the lifetime says that its future may hold the transaction.
pub trait TxFn<'t, S, X: 't, I>: Send + Sync {
    /// What it returns.
    type Out;
    /// The future that returns it.
    type Fut: Future<Output = Result<Self::Out, Error>> + Send + 't;

    /// Calls it.
    fn call(&self, state: S, tx: &'t mut X, input: I) -> Self::Fut;
}

impl<'t, S, X: 't, I, F, Fut, O> TxFn<'t, S, X, I> for F
where
    F: Fn(S, &'t mut X, I) -> Fut + Send + Sync,
    Fut: Future<Output = Result<O, Error>> + Send + 't,
{
    type Out = O;
    type Fut = Fut;

    fn call(&self, state: S, tx: &'t mut X, input: I) -> Fut {
        self(state, tx, input)
    }
}

/// What a handler without a transaction of its own works with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// The request's context.
    pub ctx: Ctx,
    /// Where it opens the transactions that it needs, each as short as possible.
    pub db: Db,
    /// The request's head.
    pub head: Arc<Parts>,
    /// Begins when the app is about to stop; streams and sockets end by themselves then.
    pub shutdown: Shutdown,
}

/// What a route runs.
#[derive(Clone)]
pub(crate) enum Handler {
    Free(Arc<dyn Prepare<FreeStep>>),
    Global(Arc<dyn Prepare<TxStep<GlobalTx>>>),
    Tenant(Arc<dyn Prepare<TxStep<TenantTx>>>),
}

/// A handler's call with the input already read: what remains is to run it.
pub(crate) type TxStep<X> = Box<dyn for<'t> FnOnce(&'t mut X) -> BoxFuture<'t, Result<Reply, Error>> + Send>;
pub(crate) type FreeStep = Box<dyn FnOnce(Call) -> BoxFuture<'static, Result<Reply, Error>> + Send>;

/// Reads the input before any transaction is open. May be asked again, for a transaction that is run again.
pub(crate) trait Prepare<Step>: Send + Sync {
    fn prepare(&self, from: &Incoming) -> Result<Step, Error>;
}

/// A function with the state it works on.
pub(crate) struct Bound<S, F, I, O> {
    state: S,
    function: Arc<F>,
    types: PhantomData<fn(I) -> O>,
}

impl<S, F, I, O> Bound<S, F, I, O> {
    pub(crate) fn new(state: S, function: F) -> Self {
        Self { state, function: Arc::new(function), types: PhantomData }
    }
}

impl<S, F, I, O, X> Prepare<TxStep<X>> for Bound<S, F, I, O>
where
    S: Clone + Send + Sync + 'static,
    F: for<'t> TxFn<'t, S, X, I, Out = O> + 'static,
    I: Input,
    O: Output,
    X: Send + 'static,
{
    fn prepare(&self, from: &Incoming) -> Result<TxStep<X>, Error> {
        let input = I::read(from)?;
        let (function, state, head) = (self.function.clone(), self.state.clone(), from.head_arc());
        Ok(boxed(move |tx: &mut X| {
            let output = function.call(state, tx, input);
            Box::pin(async move { output.await?.reply(&head) })
        }))
    }
}

/// Gives the compiler the signature that it cannot infer for a closure that returns a borrowing future.
fn boxed<X>(
    step: impl for<'t> FnOnce(&'t mut X) -> BoxFuture<'t, Result<Reply, Error>> + Send + 'static,
) -> TxStep<X> {
    Box::new(step)
}

impl<S, F, I, O, Fut> Prepare<FreeStep> for Bound<S, F, I, O>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(S, Call, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, Error>> + Send + 'static,
    I: Input,
    O: Output,
{
    fn prepare(&self, from: &Incoming) -> Result<FreeStep, Error> {
        let input = I::read(from)?;
        let (function, state, head) = (self.function.clone(), self.state.clone(), from.head_arc());
        Ok(Box::new(move |call| {
            let output = function(state, call, input);
            Box::pin(async move { output.await?.reply(&head) })
        }))
    }
}
