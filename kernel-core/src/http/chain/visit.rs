//! Requests to handlers of the host's own: served like the app's from where the handler asks who calls.

mod body;

use std::any::Any;
use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::{Mutex, OnceLock, PoisonError};

use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use tracing::{Instrument, Span};

use super::arrival::Arrival;
use super::{Gate, Notes, redact};
use crate::app::App;
use crate::ctx::Ctx;
use crate::error::{Error, Panicked};
use crate::http::matcher::Matched;
use crate::http::reply::Reply;
use crate::http::route::RateClass;
use crate::telemetry::vital::Flight;

pub(crate) use body::Readings;

/// A request to a handler of the host's own. Until the handler asks who calls, it is the host's alone: nothing is
/// counted, logged or changed.
#[derive(Debug)]
pub struct Visit {
    app: App,
    /// Held while the app admits the caller: some frameworks read all that a handler takes at once.
    turn: tokio::sync::Mutex<()>,
    asked: OnceLock<Asked>,
}

/// A request whose handler has asked.
#[derive(Debug)]
struct Asked {
    head: Parts,
    to: Matched,
    arrival: Arrival,
    span: Span,
    notes: Notes,
    /// Whom the app has admitted, or why it has not: whoever asks again is told the same.
    admitted: Result<Ctx, Error>,
    flight: Mutex<Option<Flight<App>>>,
}

impl Visit {
    /// A request that has come in.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone(), turn: tokio::sync::Mutex::default(), asked: OnceLock::new() }
    }

    /// Everything of the chain up to the workspace, which a request names in the app's way or not at all. A write with a
    /// session carries its token in `X-CSRF-Token`; the body is not looked at. `template` is the pattern of the handler's
    /// path, and `peer` the address of the connection. Whoever asks again gets the same answer.
    ///
    /// # Errors
    /// The refusal, for [`Visit::refuse`].
    pub async fn admit(&self, mut head: Parts, template: &str, peer: IpAddr) -> Result<Ctx, Error> {
        let _turn = self.turn.lock().await;
        if let Some(asked) = self.asked.get() {
            return asked.admitted.as_ref().cloned().map_err(Error::again);
        }
        redact(&mut head.headers);
        let arrival = self.app.arrive(&head, peer);
        let to = self.app.find(&head).for_own(template);
        let (span, mut notes) = (arrival.span(&head), Notes::default());
        let flight = Flight::begin(self.app.clone(), None, arrival.started);
        let gate = Gate { app: &self.app.shared, head: &head, arrival: &arrival };
        let admitted = async {
            let (ctx, proof) = gate.admit(RateClass::Default, gate.own_workspace(), &mut notes).await?;
            gate.guard(&ctx, proof, None)?;
            // The handler may lend a transaction of its own, in which it would be too late.
            self.app.shared.db.know_keys().await;
            Ok(ctx)
        };
        let admitted = admitted.instrument(span.clone()).await;
        let same = admitted.as_ref().cloned().map_err(Error::again);
        let flight = Mutex::new(Some(flight));
        let _ = self.asked.set(Asked { head, to, arrival, span, notes, admitted: same, flight });
        // What follows in the handler belongs to the request's span, which `run` enters with the next poll.
        tokio::task::yield_now().await;
        admitted
    }

    /// Runs the handler: from where the app has admitted its caller, in the request's span, and a panic is an error.
    ///
    /// # Errors
    /// A panic, for [`Visit::refuse`].
    ///
    /// # Panics
    /// As the handler does, when it has not asked who calls.
    pub async fn run<F: Future>(&self, handler: F) -> Result<F::Output, Error> {
        let mut handler = pin!(AssertUnwindSafe(handler).catch_unwind());
        let outcome = poll_fn(|cx| match self.asked.get() {
            Some(asked) => asked.span.in_scope(|| handler.as_mut().poll(cx)),
            None => handler.as_mut().poll(cx),
        });
        outcome.await.or_else(|panic: Box<dyn Any + Send>| match self.asked.get() {
            Some(_) => Err(Error::internal(Panicked::from(panic))),
            None => resume_unwind(panic),
        })
    }

    /// Adds to the handler's response what every response of the app carries, and writes the access line.
    pub fn finish(&self, status: StatusCode, headers: &mut HeaderMap) {
        let Some(asked) = self.asked.get() else { return };
        let _entered = asked.span.enter();
        asked.gate(&self.app).answered(&asked.to, &asked.notes, status, headers);
        asked.land(Some(status));
    }

    /// The reply that tells the caller of an error, instead of the handler's.
    ///
    /// # Errors
    /// The same error, when the handler has not asked who calls: that is for [`Visit::tell`].
    pub fn refuse(&self, error: Error) -> Result<Reply, Error> {
        let Some(asked) = self.asked.get() else { return Err(error) };
        let _entered = asked.span.enter();
        let reply = asked.gate(&self.app).depart(&asked.to, &asked.notes, Err(error));
        asked.land(reply.status());
        Ok(reply)
    }

    /// The same, and of a caller about whom the handler has not asked, what the app would tell a stranger.
    pub async fn tell(&self, error: Error, head: Parts, peer: IpAddr) -> Reply {
        match self.refuse(error) {
            Ok(reply) => reply,
            Err(error) => self.app.refuse(self.app.find(&head), head, peer, error).await,
        }
    }
}

impl Asked {
    fn gate<'a>(&'a self, app: &'a App) -> Gate<'a> {
        Gate { app: &app.shared, head: &self.head, arrival: &self.arrival }
    }

    fn land(&self, status: Option<StatusCode>) {
        let flight = self.flight.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(flight) = flight {
            flight.land(status);
        }
    }
}
