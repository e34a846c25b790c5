//! Whether the process lives, and whether it can serve: what an orchestrator and a load balancer ask.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::ctx::Ctx;
use crate::db::Db;
use crate::error::{Error, ErrorKind};
use crate::http::{Access, Call, Json, RateClass, Route};

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
    /// Why not; that is for the log, callers of `/readyz` do not see it.
    async fn check(&self, ctx: &Ctx, db: &Db) -> Result<(), Error>;
}

/// A check under its name, which the log mentions.
pub(crate) type NamedCheck = (&'static str, Arc<dyn HealthCheck>);

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
struct Checks {
    all: Arc<[NamedCheck]>,
    last: Arc<Mutex<Option<Last>>>,
}

/// An answer, and when it was found.
#[derive(Clone, Copy)]
struct Last {
    at: DateTime<Utc>,
    passed: bool,
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|(name, _)| name)).finish()
    }
}

/// `GET /healthz`, which depends on nothing, and `GET /readyz`, which asks the database and every check of a pillar.
pub(crate) fn routes(checks: Vec<NamedCheck>) -> [Route; 2] {
    let database: NamedCheck = ("database", Arc::new(Database));
    let checks = Checks { all: std::iter::once(database).chain(checks).collect(), last: Arc::default() };
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
    if !call.shutdown.has_begun() && checks.pass(&call).await {
        return Ok(Json(Health { status: "ready" }));
    }
    Err(Error::new(ErrorKind::Unavailable, "not_ready"))
}

impl Checks {
    /// Whether all pass. Those who ask while the checks run wait for the same answer.
    async fn pass(&self, call: &Call) -> bool {
        let mut last = self.last.lock().await;
        let now = call.ctx.now();
        if let Some(last) = *last
            && (now - last.at).abs() < STANDS
        {
            return last.passed;
        }
        let passed = join_all(self.all.iter().map(|check| passes(check, call))).await;
        let passed = passed.into_iter().all(|passed| passed);
        *last = Some(Last { at: now, passed });
        passed
    }
}

async fn passes((name, check): &NamedCheck, call: &Call) -> bool {
    match timeout(PATIENCE, check.check(&call.ctx, &call.db)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(check = name, error = error.with_causes(), "not ready"),
        Err(_) => tracing::warn!(check = name, limit = ?PATIENCE, "not ready: the check took too long"),
    }
    false
}
