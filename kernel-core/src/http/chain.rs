//! What every request passes, in one order that nobody can change: recovery, request id, log, trace, CORS, rate limit,
//! authentication, tenant, rate limit, CSRF, idempotency, handler.

mod arrival;
mod body;
mod cors;
mod csrf;
mod departure;
#[cfg(feature = "testkit")]
mod hostile;
mod idempotency;
mod identity;
mod limit;
mod service;
mod tenant;
mod transaction;
mod visit;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, Request, header};
use serde_json::Value;
use tracing::{Instrument, Span};

use crate::app::{App, Shared};
use crate::ctx::Ctx;
use crate::error::{Error, ErrorKind, Panicked};
use crate::http::accept;
use crate::http::adapter::opens_socket;
use crate::http::file::Payload;
use crate::http::input::Incoming;
use crate::http::matcher::{Matched, Target};
use crate::http::page::CursorSeal;
use crate::http::problem;
use crate::http::reply::{Reply, Shutdown};
use crate::http::route::{RateClass, Route};
use crate::http::{Resolution, Timeouts};
use crate::message::Language;
use crate::telemetry::vital::Flight;

use arrival::Arrival;
use csrf::Proof;
use identity::Shown;
use limit::{Limit, Spent, Subject};

#[cfg(feature = "testkit")]
pub(crate) use hostile::head;
pub(crate) use limit::{Limits, Standing};
pub use service::Peer;
pub(crate) use visit::Readings;
pub use visit::Visit;

/// How long a server that people depend on goes on after it was told to stop: two probes of a load balancer, as a rule.
const NOTICE: Duration = Duration::from_secs(5);

/// One request on its way through the chain.
struct Gate<'a> {
    app: &'a Shared,
    head: &'a Parts,
    arrival: &'a Arrival,
}

/// What the chain has found out on the way, for the response and the log. Kept even when the request fails.
#[derive(Debug, Default)]
struct Notes {
    ctx: Option<Ctx>,
    standing: Option<Standing>,
    /// Where the client's address stands.
    address: Option<Standing>,
}

impl App {
    /// Which route a request means. Unknown paths and methods are matched too: [`App::call`] refuses them.
    #[must_use]
    pub fn find(&self, head: &Parts) -> Matched {
        self.shared.routes.find(head)
    }

    /// Serves a request from its first check to its committed effect. `peer` is the address of the connection.
    ///
    /// Dropping the future rolls back what it has not committed.
    pub async fn call(&self, to: Matched, request: Request<impl Into<Payload>>, peer: IpAddr) -> Reply {
        let (mut head, body) = request.into_parts();
        redact(&mut head.headers);
        self.serve(&to, head, Ok(body.into()), peer).await
    }

    /// Refuses a request that the adapter could not read: too large a body, a broken one.
    pub async fn refuse(&self, to: Matched, mut head: Parts, peer: IpAddr, error: Error) -> Reply {
        redact(&mut head.headers);
        self.serve(&to, head, Err(error), peer).await
    }

    /// How long the server waits for slow clients.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.shared.config.http.timeouts
    }

    /// Waits until a server is to close its listener: until `asked` is ready, and then for the time of
    /// [`Timeouts::notice`], in which `/readyz` answers 503 already. [`Shutdown::begin`] ends that time early; a host calls
    /// it when it is asked a second time.
    pub async fn leave(&self, asked: impl Future<Output = ()> + Send) {
        asked.await;
        self.shutdown().announce();
        let http = &self.shared.config.http;
        let unless_said = if http.environment.is_served() { NOTICE } else { Duration::ZERO };
        let notice = http.timeouts.notice.unwrap_or(unless_said);
        let _ = tokio::time::timeout(notice, self.shutdown().begun()).await;
    }

    /// The OpenAPI 3.1 document of the API.
    #[must_use]
    pub fn openapi(&self) -> Value {
        self.shared.routes.document.value.clone()
    }

    /// Every route, in order of registration.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.shared.routes.routes()
    }

    /// The whole path of a route, with the prefix of the API and `{workspace}` where that is in the path.
    #[must_use]
    pub fn mounted(&self, route: &Route) -> String {
        super::matcher::mounted(route, &self.shared.config.http)
    }

    /// What ends streams and sockets. Begin it before the server waits for its open connections.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        &self.shared.routes.shutdown
    }

    fn arrive(&self, head: &Parts, peer: IpAddr) -> Arrival {
        let config = &self.shared.config;
        let traced = config.telemetry.traced;
        Arrival::new(head, peer, &config.http, traced, &config.clock, &config.entropy)
    }

    /// Recovery, request id, log: the outermost layers.
    async fn serve(&self, to: &Matched, head: Parts, body: Result<Payload, Error>, peer: IpAddr) -> Reply {
        let head = Arc::new(head);
        let arrival = self.arrive(&head, peer);
        let meter = &self.shared.vitals.http;
        let flight = Flight::begin(meter, to.route().map(Route::operation), arrival.started);
        let span = arrival.span(&head);
        let gate = Gate { app: &self.shared, head: &head, arrival: &arrival };
        let mut notes = Notes::default();
        // In a box: the hosts' own futures contain this one, and rustc gives up on types that are nested too deep.
        let passing = gate.pass(to, &head, body, &mut notes).boxed();
        let outcome = AssertUnwindSafe(passing).catch_unwind().instrument(span.clone()).await;
        let outcome = outcome.unwrap_or_else(|panic| Err(Error::internal(Panicked::from(panic))));
        let reply = span.in_scope(|| gate.depart(to, &notes, outcome));
        flight.land(reply.status());
        reply
    }
}

/// Marks the headers that carry secrets, so that whoever prints the head of a request prints none.
fn redact(headers: &mut HeaderMap) {
    for name in [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, csrf::HEADER] {
        if let header::Entry::Occupied(mut found) = headers.entry(name) {
            found.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

impl Gate<'_> {
    /// The chain from CORS to the handler.
    async fn pass(
        &self,
        to: &Matched,
        head: &Arc<Parts>,
        body: Result<Payload, Error>,
        notes: &mut Notes,
    ) -> Result<Reply, Error> {
        let payload = match body {
            Ok(payload) => payload,
            Err(error) => {
                self.limit_unread(notes)?;
                return Err(error);
            }
        };
        let Target::Route { route, .. } = &to.target else {
            self.limit_address(RateClass::Default, self.shown(), notes).await?;
            return match &to.target {
                Target::Options(_) => Ok(Reply::Full(problem::response(problem::NO_CONTENT, Bytes::new()))),
                Target::OtherMethod(_) => Err(Error::new(ErrorKind::MethodNotAllowed, "method_not_allowed")),
                Target::Missing | Target::Own(_) | Target::Route { .. } => Err(Error::not_found()),
            };
        };
        let (ctx, body, file) = self.take(to, route, payload, notes).await?;
        let place = ctx.grant().map(|grant| grant.workspace().id());
        let incoming = Incoming {
            head: head.clone(),
            params: to.params.clone(),
            body,
            file,
            takes_forms: route.page,
            reading: route.reading.clone(),
            seal: CursorSeal::new(self.app.keyring.clone(), format!("{}\n{place:?}", route.operation)),
        };
        let reply = self.handle(&ctx, route, &incoming).await?;
        if matches!(reply, Reply::Socket(_)) && !opens_socket(head) {
            return Err(Error::new(ErrorKind::Malformed, "websocket_expected"));
        }
        Ok(reply)
    }

    /// Rate limit by address, authentication, tenant, rate limit by actor and workspace.
    async fn admit(
        &self,
        class: RateClass,
        name: Option<Result<crate::seam::WorkspaceName, Error>>,
        notes: &mut Notes,
    ) -> Result<(Ctx, Proof), Error> {
        let shown = self.shown();
        self.limit_address(class, shown, notes).await?;
        let ctx = self.nobody();
        notes.ctx = Some(ctx.clone());
        let identified = self.identify(ctx, shown).await;
        let proved = identified.as_ref().is_ok_and(|(ctx, _)| ctx.actor().id().is_some());
        let failed = identified.as_ref().map_or_else(|e| e.kind() == ErrorKind::Unauthenticated, |_| !proved);
        if failed && shown != Shown::Nothing {
            // Guessing credentials costs what asking without one costs.
            notes.spend(&self.app.limits.anonymous, &Subject::address(self.arrival.ip)).await?;
        }
        let (mut ctx, by_cookie) = identified?;
        let proof = match (proved, by_cookie) {
            (false, _) => Proof::Nothing,
            (true, true) => Proof::Cookie,
            (true, false) => Proof::Bearer,
        };
        let (actor, span) = (ctx.actor(), Span::current());
        span.record("actor", actor.kind());
        if let Some(id) = actor.id() {
            span.record("actor_id", tracing::field::display(id));
        }
        if let Some(user) = actor.user() {
            span.record("user_id", tracing::field::display(user));
        }
        notes.ctx = Some(ctx.clone());
        if let Some(name) = name {
            if !proved {
                return Err(Error::unauthenticated());
            }
            ctx = match self.enter(ctx.clone(), &name?).await {
                Ok(ctx) => ctx,
                // Looking for workspaces of others counts like any request.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.limit_actor(class, &ctx, notes).await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            if let Some(grant) = ctx.grant() {
                span.record("workspace_id", tracing::field::display(grant.workspace().id()));
            }
            notes.ctx = Some(ctx.clone());
        }
        self.limit_actor(class, &ctx, notes).await?;
        Ok((ctx, proof))
    }

    /// The context of a request of which nobody knows yet whose it is.
    fn nobody(&self) -> Ctx {
        let config = &self.app.config;
        let client = self.arrival.client(&self.head.headers);
        let nobody = crate::actor::Actor::Anonymous;
        let ctx = Ctx::new(self.arrival.id, nobody, client, config.clock.clone(), config.entropy.clone());
        ctx.with_trace(self.arrival.trace).with_language(self.language())
    }

    /// The language of texts for whoever asks.
    fn language(&self) -> Language {
        accept::language(&self.head.headers, &self.app.languages)
    }

    fn shown(&self) -> Shown<'_> {
        Shown::of(&self.head.headers, self.app.auth.as_ref().map(|auth| auth.cookie_name()))
    }

    /// The workspace that a request to one of the host's own handlers names, if it names one.
    fn own_workspace(&self) -> Option<Result<crate::seam::WorkspaceName, Error>> {
        let http = &self.app.config.http;
        let names = match &http.resolution {
            Resolution::Header => self.head.headers.contains_key("x-workspace-id"),
            Resolution::Subdomain { base_domain } => self.label(base_domain).is_some(),
            Resolution::Path => {
                let path = self.head.uri.path();
                let path = path.strip_prefix(http.api_prefix.as_str()).unwrap_or(path);
                let slug = path.strip_prefix("/w/").map(|rest| rest.split('/').next().unwrap_or_default());
                return slug.map(|slug| self.named(Some(slug)));
            }
        };
        names.then(|| self.named(None))
    }

    async fn limit_address(
        &self,
        class: RateClass,
        shown: Shown<'_>,
        notes: &mut Notes,
    ) -> Result<(), Error> {
        let (limits, subject) = (&self.app.limits, Subject::address(self.arrival.ip));
        if class == RateClass::Probe {
            return notes.spend(&limits.probe, &subject).await;
        }
        let nobody = shown == Shown::Nothing;
        notes.spend(if nobody { &limits.anonymous } else { &limits.address }, &subject).await?;
        if class == RateClass::Auth {
            notes.spend(&limits.auth, &subject).await?;
        } else if class == RateClass::Heavy && nobody {
            notes.spend(&limits.heavy, &subject).await?;
        }
        notes.address = notes.standing;
        Ok(())
    }

    /// A request that could not be read is refused anyway, so its node counts it without asking: after such a request,
    /// some servers keep the connection for an answer that is there at once, and for no other.
    fn limit_unread(&self, notes: &mut Notes) -> Result<(), Error> {
        let (limits, subject) = (&self.app.limits, Subject::address(self.arrival.ip));
        let nobody = self.shown() == Shown::Nothing;
        notes.note((if nobody { &limits.anonymous } else { &limits.address }).spend_here(&subject))
    }

    async fn limit_actor(&self, class: RateClass, ctx: &Ctx, notes: &mut Notes) -> Result<(), Error> {
        let limits = &self.app.limits;
        let Some(actor) = ctx.actor().id() else { return Ok(()) };
        // From here on the address's ceiling is of no interest to the caller.
        notes.standing = None;
        notes.spend(&limits.actor, &Subject::Actor(actor)).await?;
        let workspace = ctx.grant().map(|grant| Subject::Workspace(grant.workspace().id().uuid()));
        if let Some(workspace) = &workspace {
            notes.spend(&limits.workspace, workspace).await?;
        }
        if class == RateClass::Heavy {
            notes.spend(&limits.heavy, &workspace.unwrap_or(Subject::Actor(actor))).await?;
        }
        Ok(())
    }
}

impl Notes {
    /// Spends a quota and remembers the tightest one for the headers.
    async fn spend(&mut self, limit: &Limit, subject: &Subject) -> Result<(), Error> {
        let spent = limit.spend(subject).await;
        self.note(spent)
    }

    fn note(&mut self, (standing, outcome): Spent) -> Result<(), Error> {
        self.standing = Some(standing.tighter(self.standing));
        outcome
    }
}
