//! What every operation knows about the request it serves. Passed by value, never ambient.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use tracing::Span;

use crate::actor::Actor;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::id::{Id, Noun, WorkspaceId};
use crate::message::Language;
use crate::role::Permission;
use crate::secret::{ExposeSecret, SecretString};
use crate::telemetry::Trace;
use crate::workspace::{Grant, Workspace, WorkspaceStatus};

/// Names requests.
#[derive(Debug)]
pub enum RequestNoun {}

impl Noun for RequestNoun {
    const PREFIX: &'static str = "req";
}

/// The id of a request, in every log line, error and response.
pub type RequestId = Id<RequestNoun>;

/// The context of one request or job: who, where, when, under which id.
///
/// Cheap to clone. Holds no database handle, so holding it pins no connection.
#[derive(Debug, Clone)]
pub struct Ctx {
    shared: Arc<Shared>,
}

#[derive(Debug, Clone)]
struct Shared {
    request_id: RequestId,
    actor: Actor,
    origin: Origin,
    grant: Option<Grant>,
    client: Client,
    read_only: bool,
    csrf: Option<SecretString>,
    trace: Option<Trace>,
    language: Language,
    /// Whether somebody has asked for the language: then the answer depends on it. One for all that know the request.
    spoken: Arc<AtomicBool>,
    clock: Clock,
    entropy: Entropy,
}

/// Where a context was made. What the system itself may do depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The host's own code.
    Host,
    Job,
    Request,
}

/// Where a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// The address of the client, after the trusted proxies.
    pub ip: Option<IpAddr>,
    /// The `User-Agent` header, cut to 256 bytes.
    pub user_agent: Option<String>,
}

impl Ctx {
    /// The context of the system itself: a command, a schedule, a test.
    pub(crate) fn system(name: &'static str, clock: &Clock, entropy: &Entropy) -> Self {
        let request_id = RequestId::from_uuid(entropy.uuid(clock.now()));
        Self::new(request_id, Actor::System { name }, Client::default(), clock.clone(), entropy.clone())
            .changed(|shared| shared.origin = Origin::Host)
    }

    /// The same context for a job that the request of this id enqueued: it logs and audits under that id.
    pub(crate) fn for_job(&self, request: RequestId, trace: Option<Trace>) -> Self {
        self.changed(|shared| {
            shared.request_id = request;
            shared.trace = trace;
            shared.origin = Origin::Job;
        })
    }

    /// The same context for one round of a chore, under an id of its own.
    pub(crate) fn for_chore(&self, name: &'static str) -> Self {
        self.changed(|shared| {
            shared.request_id = RequestId::from_uuid(shared.entropy.uuid(shared.clock.now()));
            shared.actor = Actor::System { name };
            shared.origin = Origin::Job;
        })
    }

    pub(crate) fn new(
        request_id: RequestId,
        actor: Actor,
        client: Client,
        clock: Clock,
        entropy: Entropy,
    ) -> Self {
        let shared = Shared {
            request_id,
            actor,
            origin: Origin::Request,
            grant: None,
            client,
            read_only: false,
            csrf: None,
            trace: None,
            language: Language::default(),
            spoken: Arc::default(),
            clock,
            entropy,
        };
        Self { shared: Arc::new(shared) }
    }

    fn changed(&self, change: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = (*self.shared).clone();
        change(&mut shared);
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn with_grant(&self, grant: Grant) -> Self {
        self.changed(|shared| {
            shared.read_only |= grant.workspace().status() != WorkspaceStatus::Active;
            shared.grant = Some(grant);
        })
    }

    pub(crate) fn with_actor(&self, actor: Actor, csrf: Option<String>) -> Self {
        self.changed(|shared| {
            // Staff who see what a user sees only look.
            shared.read_only |= matches!(actor, Actor::Staff { acting_as: Some(_), .. });
            shared.actor = actor;
            shared.csrf = csrf.map(SecretString::from);
        })
    }

    pub(crate) fn with_trace(&self, trace: Option<Trace>) -> Self {
        self.changed(|shared| shared.trace = trace)
    }

    pub(crate) fn with_language(&self, language: Language) -> Self {
        self.changed(|shared| shared.language = language)
    }

    /// Whether somebody has asked for the language.
    pub(crate) fn has_spoken(&self) -> bool {
        self.shared.spoken.load(Ordering::Relaxed)
    }

    /// The span for work of the host's own code, whose lines would otherwise name no request. Requests, jobs and chores
    /// have theirs.
    pub(crate) fn host_span(&self, workspace: WorkspaceId) -> Span {
        match (self.shared.origin, self.actor()) {
            (Origin::Host, Actor::System { name }) => {
                let (request_id, workspace_id) = (self.request_id(), workspace);
                tracing::info_span!("system", purpose = name, %request_id, %workspace_id)
            }
            _ => Span::none(),
        }
    }

    /// The same context for work that must not write: transactions open `READ ONLY`.
    #[must_use]
    pub fn reading(&self) -> Self {
        self.changed(|shared| shared.read_only = true)
    }

    /// The id of the request.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.shared.request_id
    }

    /// The place in a distributed trace, where the request is traced: [`Trace::header`] continues it elsewhere.
    #[must_use]
    pub fn trace(&self) -> Option<Trace> {
        self.shared.trace
    }

    /// The language that texts of the answer are to be in: what the request asks for, of those that the app has. English
    /// outside requests. An answer whose handler has asked says that it varies by it.
    #[must_use]
    pub fn language(&self) -> Language {
        self.shared.spoken.store(true, Ordering::Relaxed);
        self.shared.language
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.shared.actor
    }

    /// Where the request came from.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// What the actor may do in the request's workspace; `None` outside a workspace.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        self.shared.grant.as_ref()
    }

    /// The request's workspace.
    ///
    /// # Errors
    /// `not_found` when the request is in no workspace.
    pub fn workspace(&self) -> Result<&Workspace, Error> {
        self.grant().map(Grant::workspace).ok_or_else(Error::not_found)
    }

    /// Whether the actor may do what `permission` names. `false` outside a workspace, except for the system itself.
    #[must_use]
    pub fn can(&self, permission: Permission) -> bool {
        match self.grant() {
            Some(grant) => grant.holds(permission),
            None => matches!(self.actor(), Actor::System { .. }),
        }
    }

    /// Refuses an actor who may not do what `permission` names.
    ///
    /// # Errors
    /// `forbidden`, naming the permission.
    pub fn require(&self, permission: Permission) -> Result<(), Error> {
        if self.can(permission) { Ok(()) } else { Err(Error::forbidden(permission)) }
    }

    /// Whether the actor may see across workspaces: staff, and the host's own code. A job is the system too, but in its
    /// workspace only.
    pub(crate) fn is_operator(&self) -> bool {
        match self.actor() {
            Actor::Staff { .. } => true,
            Actor::System { .. } => self.shared.origin == Origin::Host,
            _ => false,
        }
    }

    /// Whether this request must not write.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.shared.read_only
    }

    /// The token that forms and scripts of this session send back with a write; `None` without a cookie session.
    #[must_use]
    pub fn csrf(&self) -> Option<&str> {
        self.shared.csrf.as_ref().map(ExposeSecret::expose_secret)
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// A fresh id.
    #[must_use]
    pub fn new_id<N: Noun>(&self) -> Id<N> {
        Id::from_uuid(self.shared.entropy.uuid(self.now()))
    }

    /// Random bytes fit for secrets.
    #[must_use]
    pub fn entropy(&self) -> &Entropy {
        &self.shared.entropy
    }

    /// The clock, for work that outlives the request.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }
}
