//! The kernel's own metrics of requests and transactions. Those of the queue are in `kernel-jobs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use http::StatusCode;
use tracing::Span;

use super::metric::{Counter, Gauge, Gauges, Histogram, Kind, Labels, Metrics, SECONDS, precise};
use super::process;
use crate::app::{App, Config};
use crate::db::{Db, Login};
use crate::health::Checks;
use crate::http::{HttpConfig, Table as Routes, mounted, refusals};
use crate::id::WorkspaceId;

/// What spans of transactions are logged under: at DEBUG, so that only who asks for them pays for them.
pub(crate) const TRANSACTION: &str = "kernel::transaction";

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// The labels of requests for no route that was declared, and for handlers of the host's own.
const UNMATCHED: [&str; 2] = ["other", "other"];
/// In the order of the type, which is that of the series.
const LOGINS: [Login; 3] = [Login::App, Login::Operator, Login::Worker];
const SCOPES: [&str; 2] = ["workspace", "system"];
const OUTCOMES: [&str; 5] = ["committed", "rolled_back", "failed", "dropped", "refused"];

/// What is measured of requests and transactions.
#[derive(Debug)]
pub(crate) struct Vitals {
    pub(crate) http: HttpMeter,
    pub(crate) db: Arc<DbMeter>,
    /// Transactions that the chain ran again, because their neighbours were in the way.
    pub(crate) reruns: Counter,
    /// When the app was built.
    pub(crate) started: DateTime<Utc>,
}

impl Vitals {
    pub(crate) fn new(config: &Config, routes: &Routes, checks: &Checks, db: &Db) -> Self {
        let (metrics, started) = (&config.telemetry.metrics, config.clock.now());
        process::introduce(metrics, &config.telemetry.release, started);
        process::register(metrics);
        checks.show(metrics, &routes.shutdown);
        connections(metrics, db);
        let reruns = metrics.counter(
            "kernel_db_reruns_total",
            "Transactions of requests that were run again after a serialization failure or a deadlock.",
            Labels::none(),
        );
        Self {
            http: HttpMeter::new(metrics, routes, &config.http),
            db: Arc::new(DbMeter::new(metrics)),
            reruns: reruns.of([]),
            started,
        }
    }
}

/// Counts requests by route, which has a handle of its own: nothing is looked up by what a stranger sends.
#[derive(Debug)]
pub(crate) struct HttpMeter {
    routes: HashMap<&'static str, RouteMeter>,
    unmatched: RouteMeter,
    refused: Vec<(StatusCode, Counter)>,
    refused_otherwise: Counter,
    in_flight: Gauge,
    abandoned: Counter,
}

#[derive(Debug, Clone)]
struct RouteMeter {
    by_class: [Counter; 5],
    seconds: Histogram,
}

impl HttpMeter {
    fn new(metrics: &Metrics, routes: &Routes, config: &HttpConfig) -> Self {
        let templates: Vec<_> = routes
            .routes()
            .map(|route| (route.operation(), [route.method().to_string(), mounted(route, config)]))
            .collect();
        let rows = || templates.iter().map(|(_, row)| row.clone()).chain([UNMATCHED.map(str::to_owned)]);
        let listed = || Labels::listed(["method", "route"], rows());
        let requests = metrics.counter(
            "http_requests_total",
            "Requests that were answered, by method, template of the route and class of the status.",
            listed().and("status", CLASSES),
        );
        let seconds = metrics.histogram(
            "http_request_duration_seconds",
            "From the end of a request's head to its answer, in seconds.",
            listed(),
            SECONDS,
        );
        let meter = |method: &str, route: &str| RouteMeter {
            by_class: CLASSES.map(|class| requests.of([method, route, class])),
            seconds: seconds.of([method, route]),
        };
        let gauge = |name, help| metrics.gauge(name, help, Labels::none()).of([]);
        let abandoned = metrics.counter(
            "http_requests_abandoned_total",
            "Requests whose client left before there was an answer.",
            Labels::none(),
        );
        let refused = metrics.counter(
            "http_requests_refused_total",
            "Requests that were answered with 4xx or 5xx, by exact status.",
            Labels::of("status", refusals().map(|status| status.as_str().to_owned())),
        );
        Self {
            refused: refusals().map(|status| (status, refused.of([status.as_str()]))).to_vec(),
            // A status that only a handler of the host's own, or a response that was made by hand, can have.
            refused_otherwise: refused.of([""]),
            routes: templates.iter().map(|(name, [method, route])| (*name, meter(method, route))).collect(),
            unmatched: meter(UNMATCHED[0], UNMATCHED[1]),
            in_flight: gauge("http_requests_in_flight", "Requests that are being answered."),
            abandoned: abandoned.of([]),
        }
    }

    fn refused(&self, status: StatusCode) -> &Counter {
        let known = self.refused.iter().find(|(known, _)| *known == status);
        known.map_or(&self.refused_otherwise, |(_, counter)| counter)
    }

    fn route(&self, operation: Option<&str>) -> &RouteMeter {
        operation.and_then(|operation| self.routes.get(operation)).unwrap_or(&self.unmatched)
    }
}

impl AsRef<Self> for HttpMeter {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsRef<HttpMeter> for App {
    fn as_ref(&self) -> &HttpMeter {
        &self.shared.vitals.http
    }
}

/// A request under way. Dropped without an answer, its client has left.
#[derive(Debug)]
pub(crate) struct Flight<M: AsRef<HttpMeter>> {
    meter: M,
    operation: Option<&'static str>,
    since: Instant,
    landed: bool,
}

impl<M: AsRef<HttpMeter>> Flight<M> {
    /// Notes that a request has come in, for the route of this operation.
    pub(crate) fn begin(meter: M, operation: Option<&'static str>, since: Instant) -> Self {
        meter.as_ref().in_flight.add(1.0);
        Self { meter, operation, since, landed: false }
    }

    /// The request is answered; without a status, a socket has opened.
    pub(crate) fn land(mut self, status: Option<StatusCode>) {
        self.landed = true;
        let class = status.map_or(1, |status| usize::from(status.as_u16() / 100)).clamp(1, CLASSES.len());
        let meter = self.meter.as_ref();
        if let Some(status) = status.filter(|status| status.is_client_error() || status.is_server_error()) {
            meter.refused(status).add(1);
        }
        let route = meter.route(self.operation);
        route.by_class[class - 1].add(1);
        route.seconds.record_duration(self.since.elapsed());
    }
}

impl<M: AsRef<HttpMeter>> Drop for Flight<M> {
    fn drop(&mut self) {
        let meter = self.meter.as_ref();
        meter.in_flight.add(-1.0);
        if !self.landed {
            meter.abandoned.add(1);
        }
    }
}

/// Counts transactions by login, by whether they are in a workspace, and by how they end.
#[derive(Debug)]
pub(crate) struct DbMeter {
    ended: Vec<[Counter; 5]>,
    seconds: Vec<Histogram>,
    begin: Vec<Histogram>,
    opening: Gauges,
}

impl DbMeter {
    fn new(metrics: &Metrics) -> Self {
        let logins = || Labels::of("login", LOGINS.map(Login::name));
        let ended = metrics.counter(
            "kernel_db_transactions_total",
            "Transactions by login, scope and end; refused ones never began.",
            logins().and("scope", SCOPES).and("outcome", OUTCOMES),
        );
        let seconds = metrics.histogram(
            "kernel_db_transaction_seconds",
            "From the begin of a transaction to its end, in seconds.",
            logins().and("scope", SCOPES),
            SECONDS,
        );
        let begin = metrics.histogram(
            "kernel_db_begin_seconds",
            "Waiting for a connection and beginning a transaction on it, in seconds.",
            logins(),
            SECONDS,
        );
        let opening = metrics.gauge(
            "kernel_db_transactions_opening",
            "Callers that wait for a connection or for their transaction to begin.",
            logins(),
        );
        let both = || LOGINS.into_iter().flat_map(|login| SCOPES.map(|scope| (login.name(), scope)));
        Self {
            ended: both()
                .map(|(login, scope)| OUTCOMES.map(|outcome| ended.of([login, scope, outcome])))
                .collect(),
            seconds: both().map(|(login, scope)| seconds.of([login, scope])).collect(),
            begin: LOGINS.iter().map(|login| begin.of([login.name()])).collect(),
            opening,
        }
    }
}

/// Sees to it that what a login does is measured. Before the app is built, nothing is.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) meter: Option<Arc<DbMeter>>,
    pub(crate) login: Login,
}

impl Watch {
    /// Measures the wait for a connection.
    pub(crate) fn wait(&self) -> Wait {
        let index = self.login as usize;
        let opening = self.meter.as_ref().and_then(|meter| meter.opening.iter().nth(index).cloned());
        if let Some(opening) = &opening {
            opening.add(1.0);
        }
        Wait { watch: self.clone(), opening, since: Instant::now() }
    }

    fn slot(&self, workspace: WorkspaceId) -> usize {
        self.login as usize * SCOPES.len() + usize::from(workspace == WorkspaceId::SYSTEM)
    }

    /// Notes a transaction that could not begin.
    pub(crate) fn refused(&self, workspace: WorkspaceId) {
        if let Some(meter) = &self.meter {
            meter.ended[self.slot(workspace)][4].add(1);
        }
    }

    /// Measures a transaction that has begun.
    pub(crate) fn begun(&self, workspace: WorkspaceId) -> Course {
        let span = tracing::debug_span!(target: TRANSACTION, "transaction", login = self.login.name());
        let slot = self.slot(workspace);
        Course { meter: self.meter.clone(), slot, since: Instant::now(), span, end: End::Dropped }
    }
}

/// A caller that waits for a connection.
#[derive(Debug)]
pub(crate) struct Wait {
    watch: Watch,
    opening: Option<Gauge>,
    since: Instant,
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(opening) = &self.opening {
            opening.add(-1.0);
        }
        if let Some(meter) = &self.watch.meter {
            meter.begin[self.watch.login as usize].record_duration(self.since.elapsed());
        }
    }
}

/// How a transaction ends; the order is that of the label's values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Committed,
    RolledBack,
    Failed,
    Dropped,
}

/// A transaction under way, and its span.
#[derive(Debug)]
pub(crate) struct Course {
    meter: Option<Arc<DbMeter>>,
    slot: usize,
    since: Instant,
    span: Span,
    end: End,
}

impl Course {
    /// Of a transaction that the host opened and ends: measured by whoever opened it.
    pub(crate) fn elsewhere() -> Self {
        Self { meter: None, slot: 0, since: Instant::now(), span: Span::none(), end: End::Dropped }
    }

    pub(crate) fn ends(&mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        // The span ends with this, whoever still has it entered.
        let _ = &self.span;
        if let Some(meter) = &self.meter {
            meter.ended[self.slot][self.end as usize].add(1);
            meter.seconds[self.slot].record_duration(self.since.elapsed());
        }
    }
}

/// What the pools hold, asked when somebody looks.
fn connections(metrics: &Metrics, db: &Db) {
    let count = |number: usize| precise(u64::try_from(number).unwrap_or(u64::MAX));
    let pools: Vec<_> = db.pools().map(|(login, pool)| (login.name(), pool.clone())).collect();
    let names: Vec<_> = pools.iter().map(|(login, _)| *login).collect();
    let most: Vec<_> =
        pools.iter().map(|(_, pool)| f64::from(pool.options().get_max_connections())).collect();
    metrics.observe(
        Kind::Gauge,
        "kernel_db_connections_max",
        "Connections that a login may have in this process.",
        Labels::of("login", names.clone()),
        move || most.clone(),
    );
    metrics.observe(
        Kind::Gauge,
        "kernel_db_connections",
        "Connections that a login has, by whether they are in use.",
        Labels::of("login", names).and("state", ["idle", "used"]),
        move || {
            let of = |size: u32, idle: usize| [count(idle), f64::from(size) - count(idle)];
            // A connection may come back between the two looks.
            pools.iter().flat_map(|(_, pool)| of(pool.size(), pool.num_idle()).map(|n| n.max(0.0))).collect()
        },
    );
}
