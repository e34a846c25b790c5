//! How requests are served: a plain struct that the host fills.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use http::uri::Authority;
use ipnet::IpNet;

use super::problem::ErrorPage;
use super::security::{Csp, StrictTransport};

/// What a body may weigh unless the route says otherwise. Both adapters take it from here.
pub const BODY_LIMIT: usize = 256 * 1024;

/// Longer than anybody waits for a quota.
const WINDOW_MAX: Duration = Duration::from_hours(366 * 24);

/// Whether people depend on this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Environment {
    /// A developer's machine or a test.
    #[default]
    Development,
    /// Like production in all that matters, for trying things out before: example data is let in.
    Staging,
    /// Served to people: browsers are told to stay with https where the connection is secure.
    Production,
}

impl Environment {
    /// Its name in configurations: `development`, `staging` or `production`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }

    /// Whether it is on a network, and not on a developer's machine only.
    #[must_use]
    pub const fn is_served(self) -> bool {
        !matches!(self, Self::Development)
    }
}

/// How a request names its workspace. One way per app; there is no falling through to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// `/w/{workspace}` before the route's path.
    #[default]
    Path,
    /// The header `X-Workspace-Id: ws_…`.
    Header,
    /// Exactly one label under the base domain: `acme.example.com`.
    Subdomain {
        /// The domain under which workspaces live: `example.com`.
        base_domain: String,
    },
}

/// Which other sites' scripts may call this one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    /// The origins, each as `https://app.example.com`; `*` for anybody, then without credentials.
    pub origins: Vec<String>,
    /// Whether those scripts may send the session cookie.
    pub credentials: bool,
}

/// So many requests in so much time, spent evenly, a burst of all of them allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub requests: NonZeroU32,
    /// In how much time; at least a millisecond per request, and a year at most.
    pub window: Duration,
}

impl Quota {
    /// So many requests a minute; none counts as one.
    #[must_use]
    pub const fn per_minute(requests: u32) -> Self {
        let requests = match NonZeroU32::new(requests) {
            Some(requests) => requests,
            None => NonZeroU32::MIN,
        };
        Self { requests, window: Duration::from_mins(1) }
    }
}

/// Where requests are counted, and so how exact quotas are when several nodes serve one app.
///
/// Every way is GCRA: in whatever time `t`, a subject spends at most `requests + t · requests / window`. A shared count goes
/// by the database's clock, and a crash or failover of the database makes every quota whole. When the database does not
/// answer within a second, the node counts by itself for a second, from what it last knew, and then asks again: no
/// request fails for the sake of a limit, and the limit is at worst that of [`Counting::Process`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counting {
    /// In the database, from which each node takes several requests at once: as many as it spent of the last batch or, if
    /// that was too few, twice as many; at most a twentieth of the quota, and one at a time below 40 requests. They lapse
    /// after a tenth of the window, at most 10 s, so that all nodes together spend at most
    /// `requests · (1 + 1/10) + t · requests / window` in whatever time `t`. What lapses unspent is lost to the subject.
    /// Whom the database has refused is refused without asking until there is something to spend, for a hundredth of
    /// the window at least, at most 1 s.
    #[default]
    Leased,
    /// In the database, which every request asks: exact, at a round trip per quota.
    Database,
    /// In each process by itself: exact for one node, while `n` nodes admit `n` times the quota.
    Process,
}

/// The rate limits. Addresses are limited before anybody is asked for, actors and workspaces after.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quotas {
    /// Where they are counted. Probes are counted in the process whatever this says.
    pub counting: Counting,
    /// Per client address, for requests that prove nothing, and for proofs that fail.
    pub anonymous: Quota,
    /// Per client address, for requests that show a credential: a ceiling, since many people share an address.
    pub address: Quota,
    /// Per client address, for routes of the class [`RateClass::Auth`](super::RateClass::Auth).
    pub auth: Quota,
    /// Per user or API key.
    pub actor: Quota,
    /// Per workspace.
    pub workspace: Quota,
    /// Per workspace, or else actor or address, for routes of the class [`RateClass::Heavy`](super::RateClass::Heavy).
    pub heavy: Quota,
    /// Per client address, for routes of the class [`RateClass::Probe`](super::RateClass::Probe), which spend no other.
    pub probe: Quota,
    /// How many addresses, actors or workspaces each limit of a node remembers. Beyond it, whoever is closest to a full
    /// quota is forgotten there.
    pub subjects: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            counting: Counting::default(),
            anonymous: Quota::per_minute(100),
            address: Quota::per_minute(6000),
            auth: Quota::per_minute(20),
            actor: Quota::per_minute(600),
            workspace: Quota::per_minute(1000),
            heavy: Quota::per_minute(30),
            probe: Quota::per_minute(600),
            subjects: 100_000,
        }
    }
}

impl Quotas {
    /// The same quota everywhere, for the usual number of subjects.
    #[must_use]
    pub fn all(quota: Quota) -> Self {
        Self {
            anonymous: quota,
            address: quota,
            auth: quota,
            actor: quota,
            workspace: quota,
            heavy: quota,
            probe: quota,
            ..Self::default()
        }
    }
}

/// How long a server waits for slow clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a request's head, from the first byte or the end of the answer before it.
    pub head: Duration,
    /// For a request's body, from the end of its head.
    pub body: Duration,
    /// For open connections, once the server has closed its listener.
    pub drain: Duration,
    /// Before it closes the listener, from when it is told to stop: requests are taken while `/readyz` answers 503, so that
    /// a load balancer sends them elsewhere before nobody answers. Unless said, 5 s where the process
    /// [is served](Environment::is_served) and no time elsewhere.
    pub notice: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { head: seconds(10), body: seconds(30), drain: seconds(20), notice: None }
    }
}

/// How requests are served.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Whether people depend on this process.
    pub environment: Environment,
    /// The product's name in the OpenAPI document.
    pub title: String,
    /// The version in the OpenAPI document.
    pub version: String,
    /// Where people reach it: `https://app.example.com`. Beside the request's own host, its pages may write.
    pub public_origin: Option<String>,
    /// Before every API path.
    pub api_prefix: String,
    /// Whether `/reference` beside the OpenAPI document shows it to people. Takes the feature `reference` of this crate.
    pub reference: bool,
    /// How a request names its workspace.
    pub resolution: Resolution,
    /// Labels under the base domain that no workspace gets.
    pub reserved_names: Vec<String>,
    /// Which other sites' scripts may call this one.
    pub cors: Cors,
    /// Proxies whose `X-Forwarded-*` and `X-Request-Id` headers are believed; nobody else's are.
    pub trusted_proxies: Vec<IpNet>,
    /// The rate limits.
    pub quotas: Quotas,
    /// What a body may weigh unless the route says otherwise.
    pub body_limit: usize,
    /// Where bodies of more than 256 KiB lie while they are read, for routes that read a [`BodyFile`](super::BodyFile);
    /// `/tmp` unless said. Where that is kept in memory, name a directory on disk.
    pub spool_directory: PathBuf,
    /// How many bodies lie there at once; who brings another is told to try again. 16 unless said.
    pub spool_files: usize,
    /// How long a server waits for slow clients.
    pub timeouts: Timeouts,
    /// How long a stored answer to an `Idempotency-Key` is repeated.
    pub idempotency_ttl: Duration,
    /// What pages may load and from where.
    pub csp: Csp,
    /// What browsers are told in production, over https, about asking by https only; a year for this host alone unless
    /// said, and nothing when `None`.
    pub strict_transport: Option<StrictTransport>,
    /// Shows errors of page routes to people.
    pub error_page: ErrorPage,
    /// Where a page route sends a person who must sign in first, with `?next=` and the page they wanted.
    pub sign_in_page: Option<String>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            environment: Environment::default(),
            title: "API".to_owned(),
            version: "1".to_owned(),
            public_origin: None,
            api_prefix: "/api/v1".to_owned(),
            reference: false,
            resolution: Resolution::default(),
            reserved_names: ["admin", "api", "app", "assets", "cdn", "mail", "static", "status", "www"]
                .map(str::to_owned)
                .to_vec(),
            cors: Cors::default(),
            trusted_proxies: Vec::new(),
            quotas: Quotas::default(),
            body_limit: BODY_LIMIT,
            spool_directory: PathBuf::from("/tmp"),
            spool_files: 16,
            timeouts: Timeouts::default(),
            idempotency_ttl: Duration::from_hours(24),
            csp: Csp::default(),
            strict_transport: Some(StrictTransport::default()),
            error_page: ErrorPage::default(),
            sign_in_page: None,
        }
    }
}

impl HttpConfig {
    /// Why requests cannot be served like this; empty when they can.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let any = self.cors.origins.iter().any(|origin| origin == "*");
        if any && self.cors.credentials {
            problems
                .push("cors: `*` with credentials would let every site act as the signed-in user".to_owned());
        }
        let named = self.cors.origins.iter().filter(|origin| *origin != "*");
        for origin in named.chain(&self.public_origin).filter(|origin| !is_origin(origin)) {
            problems.push(format!("http: {origin:?} is no origin; write https://host or https://host:port"));
        }
        if !is_prefix(&self.api_prefix) {
            problems.push(format!("http: the API prefix {:?} must look like /api/v1", self.api_prefix));
        }
        if self.reference && cfg!(not(feature = "reference")) {
            problems.push("http: kernel-core was built without its feature `reference`".to_owned());
        }
        if let Resolution::Subdomain { base_domain } = &self.resolution
            && !(is_host(base_domain) && base_domain.contains('.'))
        {
            problems.push(format!("http: the base domain {base_domain:?} must look like example.com"));
        }
        if let Some(page) = &self.sign_in_page
            && !is_prefix(page)
        {
            problems.push(format!("http: the sign-in page {page:?} must be a path of this app"));
        }
        let quotas = &self.quotas;
        let Quotas { anonymous, address, auth, actor, workspace, heavy, probe, .. } = quotas;
        let all = [anonymous, address, auth, actor, workspace, heavy, probe];
        if all.iter().any(|quota| quota.window / quota.requests.get() < Duration::from_millis(1)) {
            problems.push("http: a quota allows more than a thousand requests a second".to_owned());
        }
        if all.iter().any(|quota| quota.window > WINDOW_MAX) {
            problems.push("http: the window of a quota is longer than a year".to_owned());
        }
        let no_time = self.timeouts.head.is_zero() || self.timeouts.body.is_zero();
        if quotas.subjects == 0 || self.body_limit == 0 || self.spool_files == 0 || no_time {
            problems.push("http: a limit of nothing would refuse every request".to_owned());
        }
        problems
    }
}

/// Whether `text` is scheme and authority in the spelling that browsers send.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        let authority: Result<Authority, _> = host.parse();
        authority.is_ok_and(|authority| !host.contains('@') && is_host(authority.host()))
    })
}

fn is_host(text: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-[]:".contains(&byte);
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(lower)
}

fn is_prefix(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    text.starts_with('/') && !text.ends_with('/') && !text.contains("//") && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut HttpConfig)) -> usize {
        let mut config = HttpConfig::default();
        change(&mut config);
        config.problems().len()
    }

    #[test]
    fn the_defaults_can_be_served() {
        assert_eq!(HttpConfig::default().problems(), Vec::<String>::new());
    }

    #[test]
    fn unsafe_or_meaningless_settings_are_refused() {
        let star = |credentials| {
            move |c: &mut HttpConfig| c.cors = Cors { origins: vec!["*".to_owned()], credentials }
        };
        assert_eq!(problems(star(true)), 1);
        assert_eq!(problems(star(false)), 0);
        for origin in ["app.example.com", "https://app.example.com/", "https://App.example.com", "null"] {
            assert_eq!(problems(|c| c.cors.origins = vec![origin.to_owned()]), 1, "{origin}");
        }
        assert_eq!(problems(|c| c.public_origin = Some("http://localhost:3000".to_owned())), 0);
        assert_eq!(problems(|c| c.api_prefix = "api/".to_owned()), 1);
        assert_eq!(problems(|c| c.resolution = Resolution::Subdomain { base_domain: "com".to_owned() }), 1);
        assert_eq!(problems(|c| c.sign_in_page = Some("//evil.example".to_owned())), 1);
        assert_eq!(problems(|c| c.quotas.actor = Quota::per_minute(1_000_000)), 1);
        assert_eq!(problems(|c| c.quotas.probe.window = Duration::MAX), 1);
    }
}
