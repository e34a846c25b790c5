//! Whether the process lives, and whether it can serve: what an orchestrator and a load balancer ask. They are told yes or
//! no; what operators are told is in [`App::scrape`](crate::App::scrape).

mod detail;
mod memory;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::join_all;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::ctx::Ctx;
use crate::db::Db;
use crate::error::{Error, ErrorKind};
use crate::http::{Access, Call, Json, RateClass, Route, Shutdown};
use crate::telemetry::metric::{Kind, Labels, Metrics};

pub(crate) use memory::limit_bytes;

/// How long a check may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer stands, however many ask.
const STANDS: TimeDelta = TimeDelta::seconds(1);

/// Something that requests cannot be served without. A pillar registers it with
/// [`Pillar::health_check`](crate::Pillar::health_check).
#[async_trait]
pub trait HealthCheck: Send + Sync {
    /// Finds out whether it is there, within two seconds.
    ///
    /// # Errors
    /// Why not; that is for the log and for operators, callers of `/readyz` do not see it.
    async fn check(&self, ctx: &Ctx, db: &Db) -> Result<(), Error>;
}

/// A check under its name, which the log mentions.
pub(crate) type NamedCheck = (&'static str, Arc<dyn HealthCheck>);

/// The names of what the kernel itself looks at.
pub(crate) const OWN: [&str; 3] = [DATABASE, MEMORY, SHUTDOWN];
const DATABASE: &str = "database";
const MEMORY: &str = "memory";
const SHUTDOWN: &str = "shutdown";

/// The database, which every app needs.
struct Database;

#[async_trait]
impl HealthCheck for Database {
    async fn check(&self, _: &Ctx, db: &Db) -> Result<(), Error> {
        Ok(db.reach().await?)
    }
}

/// What the two routes answer when all is well.
#[derive(Debug, Serialize, JsonSchema)]
struct Health {
    status: &'static str,
}

/// The checks, and what came of them last.
#[derive(Clone)]
pub(crate) struct Checks {
    all: Arc<[NamedCheck]>,
    last: Arc<Mutex<Option<Last>>>,
    /// Whether all passed then, for whoever cannot wait; nothing before somebody has asked.
    passed: Arc<OnceLock<AtomicBool>>,
}

/// What came of the checks, and when.
struct Last {
    at: DateTime<Utc>,
    found: Arc<[Found]>,
}

/// What came of one check.
#[derive(Debug)]
pub(crate) struct Found {
    name: &'static str,
    /// Why it did not pass.
    trouble: Option<String>,
    took: Duration,
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|(name, _)| name)).finish()
    }
}

/// `GET /healthz`, which depends on nothing, and `GET /readyz`, which asks every check.
pub(crate) fn routes(checks: Checks) -> [Route; 2] {
    let get = Method::GET;
    [
        Route::free(get.clone(), "/healthz", "core.health.live", Access::Public, (), live)
            .page()
            .rate(RateClass::Probe),
        Route::free(get, "/readyz", "core.health.ready", Access::Public, checks, ready)
            .page()
            .rate(RateClass::Probe),
    ]
}

async fn live((): (), _: Call, (): ()) -> Result<Json<Health>, Error> {
    Ok(Json(Health { status: "alive" }))
}

/// A process that is about to stop is not ready either, so that a load balancer sends it nothing new.
async fn ready(checks: Checks, call: Call, (): ()) -> Result<Json<Health>, Error> {
    if !call.shutdown.is_announced() && checks.pass(&call.ctx, &call.db).await {
        return Ok(Json(Health { status: "ready" }));
    }
    Err(Error::new(ErrorKind::Unavailable, "not_ready"))
}

impl Checks {
    /// The database's, and these of pillars.
    pub(crate) fn new(of_pillars: impl Iterator<Item = NamedCheck>) -> Self {
        let database: NamedCheck = (DATABASE, Arc::new(Database));
        let all = std::iter::once(database).chain(of_pillars).collect();
        Self { all, last: Arc::default(), passed: Arc::default() }
    }

    /// Shows what `/readyz` would have said when the checks were asked last.
    pub(crate) fn show(&self, metrics: &Metrics, shutdown: &Shutdown) {
        let (passed, shutdown) = (self.passed.clone(), shutdown.clone());
        metrics.observe(
            Kind::Gauge,
            "kernel_ready",
            "Whether the process takes requests: 1, or 0 when a check fails or it is about to stop.",
            Labels::none(),
            move || {
                let ready =
                    passed.get().map(|passed| passed.load(Ordering::Relaxed) && !shutdown.is_announced());
                ready.map(|ready| f64::from(u8::from(ready))).into_iter().collect()
            },
        );
    }

    async fn pass(&self, ctx: &Ctx, db: &Db) -> bool {
        passed(&self.ask(ctx, db).await)
    }

    /// What comes of every check. Those who ask while the checks run wait for the same answer.
    async fn ask(&self, ctx: &Ctx, db: &Db) -> Arc<[Found]> {
        let mut last = self.last.lock().await;
        if let Some(last) = &*last
            && (ctx.now() - last.at).abs() < STANDS
        {
            return last.found.clone();
        }
        let found: Arc<[Found]> = join_all(self.all.iter().map(|check| ask(check, ctx, db))).await.into();
        // From when it is known: asking a database that hangs takes longer than an answer stands.
        *last = Some(Last { at: ctx.now(), found: found.clone() });
        self.passed.get_or_init(AtomicBool::default).store(passed(&found), Ordering::Relaxed);
        found
    }
}

fn passed(found: &[Found]) -> bool {
    found.iter().all(|found| found.trouble.is_none())
}

async fn ask((name, check): &NamedCheck, ctx: &Ctx, db: &Db) -> Found {
    let since = Instant::now();
    // A check that panics would take whoever asks with it, Prometheus too.
    let asked = AssertUnwindSafe(async { check.check(ctx, db).await }).catch_unwind();
    let trouble = match timeout(PATIENCE, asked).await {
        Ok(Ok(Ok(()))) => None,
        Ok(Err(_)) => {
            tracing::error!(check = name, "not ready: the check panicked");
            Some("it panicked".to_owned())
        }
        Ok(Ok(Err(error))) => {
            let error = error.with_causes();
            tracing::warn!(check = name, error, "not ready");
            Some(error)
        }
        Err(_) => {
            tracing::warn!(check = name, limit = ?PATIENCE, "not ready: the check took too long");
            Some(format!("it took longer than {PATIENCE:?}"))
        }
    };
    Found { name, trouble, took: since.elapsed() }
}
