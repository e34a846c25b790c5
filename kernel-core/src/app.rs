//! The app: pillars put together, checked at once, and ready to be mounted.

mod check;
mod reseal;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::activity::ActivityConfig;
use crate::audit::{self, AuditAction, AuditConfig};
use crate::cache::{CacheStore, Front};
use crate::chore::Chore;
use crate::clock::Clock;
use crate::ctx::Ctx;
use crate::db::{Db, DbError, WorkerDb, purge_chore};
use crate::entropy::Entropy;
use crate::health::{self, Checks};
use crate::hook::Hooks;
use crate::http::{HttpConfig, Limits, Readings, Spool, Table as Routes};
use crate::job::{JobDef, Subscriber};
use crate::message::{Language, Messages};
use crate::migration::MigrationPlan;
use crate::pillar::Pillar;
use crate::product::Product;
use crate::seam::{Auth, Entitlements, TenantResolver};
use crate::secret::{KeyProvider, Keyring};
use crate::telemetry::vital::Vitals;
use crate::telemetry::{Metrics, Reports, TelemetryConfig};

pub use check::{Problem, Problems};
pub use reseal::Resealed;

/// What an app is configured with. A plain struct: the host reads its environment and files.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// How requests are served.
    pub http: HttpConfig,
    /// Who wraps the data keys, which seal stored secrets and sign cursors.
    pub keys: Arc<dyn KeyProvider>,
    /// Where time comes from.
    pub clock: Clock,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// How the audit log is kept.
    pub audit: AuditConfig,
    /// Brand, features and plans, if the host has them in a file. What it names and no pillar declares is a problem.
    pub product: Option<Arc<Product>>,
    /// What the app tells about itself.
    pub telemetry: TelemetryConfig,
    /// How the activity feed is kept.
    pub activity: ActivityConfig,
    /// Where [`cached`](crate::cache::cached) values are kept.
    pub cache: CacheStore,
    /// The languages that answers are given in besides English, by their tags: those of the pillars'
    /// [translations](crate::Pillar::translation) that the product wants.
    pub languages: Vec<String>,
}

impl Config {
    /// The usual configuration: the system's clock and randomness, HTTP defaults.
    #[must_use]
    pub fn new(keys: impl KeyProvider + 'static) -> Self {
        Self {
            http: HttpConfig::default(),
            keys: Arc::new(keys),
            clock: Clock::system(),
            entropy: Entropy::system(),
            audit: AuditConfig::default(),
            product: None,
            telemetry: TelemetryConfig::default(),
            activity: ActivityConfig::default(),
            cache: CacheStore::default(),
            languages: Vec::new(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("http", &self.http).field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// Pillars on their way to an [`App`].
#[derive(Debug)]
pub struct AppBuilder {
    db: Db,
    config: Config,
    pillars: Vec<Pillar>,
}

/// A finished app. Cheap to clone; mount it with `kernel-axum` or `kernel-actix`, or call it as a `tower::Service`.
#[derive(Clone)]
pub struct App {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) db: Db,
    pub(crate) config: Config,
    pub(crate) keyring: Keyring,
    resealing: tokio::sync::Mutex<reseal::Pass>,
    pub(crate) routes: Routes,
    pub(crate) spool: Spool,
    pub(crate) readings: Readings,
    pub(crate) limits: Limits,
    pub(crate) checks: Checks,
    pub(crate) vitals: Vitals,
    pub(crate) reports: Arc<Reports>,
    pub(crate) messages: Arc<Messages>,
    /// What answers are given in: English first.
    pub(crate) languages: Vec<Language>,
    pub(crate) auth: Option<Arc<dyn Auth>>,
    pub(crate) tenants: Option<Arc<dyn TenantResolver>>,
    pub(crate) entitlements: Option<Arc<dyn Entitlements>>,
    pub(crate) jobs: HashMap<&'static str, JobDef>,
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) chores: Vec<Chore>,
    pub(crate) plan: MigrationPlan,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("db", &self.shared.db).finish_non_exhaustive()
    }
}

impl App {
    /// Starts an app on a database.
    #[must_use]
    pub fn builder(db: Db, config: Config) -> AppBuilder {
        AppBuilder { db, config, pillars: vec![crate::core_pillar()] }
    }

    /// The database, for the host's own code.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.shared.db
    }

    /// A context for work of the system itself: a command, a seed.
    #[must_use]
    pub fn system(&self, name: &'static str) -> Ctx {
        Ctx::system(name, &self.shared.config.clock, &self.shared.config.entropy)
    }

    /// Brand, features and plans, if the app was configured with them.
    #[must_use]
    pub fn product(&self) -> Option<&Product> {
        self.shared.config.product.as_deref()
    }

    /// The numbers of the app, for those of the host's own.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.config.telemetry.metrics
    }

    /// The message catalogue.
    #[must_use]
    pub fn messages(&self) -> &Messages {
        &self.shared.messages
    }

    /// The deeds that pillars tell the audit log of, by name.
    pub fn audit_actions(&self) -> impl Iterator<Item = AuditAction> {
        self.shared.db.hooks().audits.iter().copied()
    }

    /// What the pillars need of the database.
    #[must_use]
    pub fn plan(&self) -> &MigrationPlan {
        &self.shared.plan
    }

    /// What a job runner works with.
    ///
    /// # Errors
    /// [`DbError::NoLogin`] when the process was given no worker login.
    pub fn worker(&self) -> Result<WorkerDb, DbError> {
        self.shared.db.worker()
    }

    /// The registered job of this kind.
    #[must_use]
    pub fn job(&self, kind: &str) -> Option<&JobDef> {
        self.shared.jobs.get(kind)
    }

    /// Every registered job, those that react to events included, in no order.
    pub fn jobs(&self) -> impl Iterator<Item = &JobDef> {
        self.shared.jobs.values()
    }

    /// Every reaction to an event, in order of registration.
    #[must_use]
    pub fn subscribers(&self) -> &[Subscriber] {
        &self.shared.subscribers
    }

    /// Every chore, the core's own first.
    #[must_use]
    pub fn chores(&self) -> &[Chore] {
        &self.shared.chores
    }
}

impl AppBuilder {
    /// Registers a pillar. Its migrations run after those of the pillars before it.
    #[must_use]
    pub fn with(mut self, pillar: impl Into<Pillar>) -> Self {
        self.pillars.push(pillar.into());
        self
    }

    /// What the registered pillars need of the database: run it, export it, or verify it before building.
    #[must_use]
    pub fn plan(&self) -> MigrationPlan {
        MigrationPlan {
            lines: self.pillars.iter().filter_map(|pillar| pillar.migrations.clone()).collect(),
            tables: self.pillars.iter().flat_map(|pillar| pillar.tables.clone()).collect(),
            functions: self.pillars.iter().flat_map(|pillar| pillar.functions.clone()).collect(),
            roles: self.db.roles().clone(),
        }
    }

    pub(crate) fn parts(&self) -> (&Db, &Config, &[Pillar]) {
        (&self.db, &self.config, &self.pillars)
    }

    /// Checks everything at once, the database included, and finishes the app.
    ///
    /// # Errors
    /// Every problem found: what is declared twice or used undeclared, unsafe logins, tables that are not as
    /// declared. An app with a problem is never served.
    pub async fn build(self) -> Result<App, Problems> {
        let plan = self.plan();
        let mut problems = Vec::new();
        check::declarations(&self.pillars, &self.config, &mut problems);
        check::database(&self.db, &plan, &mut problems).await;

        let Self { db, config, pillars } = self;
        let (messages, languages) = check::messages(&pillars, &config, &mut problems);
        let checks = Checks::new(pillars.iter().flat_map(|pillar| pillar.health_checks.clone()));
        let (mut hooks, mut routes) = (Hooks::default(), Vec::new());
        let (mut jobs, mut subscribers, mut chores) = (HashMap::new(), Vec::new(), Vec::new());
        let (mut auth, mut tenants, mut entitlements) = (None, None, None);
        for pillar in pillars {
            hooks.add(pillar.hooks);
            hooks.add_deeds(pillar.activities, pillar.audits, pillar.names);
            routes.extend(pillar.routes);
            let reactions = pillar.subscribers.iter().map(|subscriber| subscriber.job().clone());
            jobs.extend(pillar.jobs.into_iter().chain(reactions).map(|job| (job.kind(), job)));
            subscribers.extend(pillar.subscribers);
            chores.extend(pillar.chores);
            auth = auth.or(pillar.provides.auth);
            tenants = tenants.or(pillar.provides.tenants);
            entitlements = entitlements.or(pillar.provides.entitlements);
        }
        check::activities(&hooks.activities, &messages, &mut problems);
        routes.extend(health::routes(checks.clone()));
        let cookie = auth.as_ref().map(|auth: &Arc<dyn Auth>| auth.cookie_name());
        let routes = Routes::new(routes, &config.http, cookie);
        let routes = routes.map_err(|reasons| problems.extend(reasons.into_iter().map(Problem::Route)));
        let (Ok(routes), true) = (routes, problems.is_empty()) else { return Err(Problems(problems)) };
        // Only now is the table of data keys known to be there, and as it should be.
        let ctx = Ctx::system("build", &config.clock, &config.entropy);
        let keys = crate::data_key::load(&db, config.keys.clone(), &ctx).await;
        let keyring = keys.map_err(|error| Problems(vec![Problem::DataKeys(error)]))?;
        hooks.keyring = Some(keyring.clone());
        let own = audit::chores(&config, &keyring).into_iter().chain([purge_chore(config.activity)]);
        let chores = own.chain(chores).collect();
        hooks.learn(&plan.tables, &config.telemetry.redaction);
        let (spool, messages, metrics) =
            (Spool::new(&config.http), Arc::new(messages), &config.telemetry.metrics);
        let vitals = Vitals::new(&config, &routes, &checks, &db);
        let reports = Arc::new(Reports::new(&config.telemetry));
        (hooks.meter, hooks.reports) = (Some(vitals.db.clone()), Some(reports.clone()));
        (hooks.messages, hooks.cache) = (messages.clone(), Some(Front::open(&config, &db, &keyring)));
        let db = db.with_hooks(hooks);
        let limits = Limits::new(&config.http, &config.clock, &db, metrics);
        let shared = Shared {
            db,
            config,
            keyring,
            resealing: tokio::sync::Mutex::default(),
            routes,
            spool,
            readings: Readings::default(),
            limits,
            checks,
            vitals,
            reports,
            messages,
            languages,
            auth,
            tenants,
            entitlements,
            jobs,
            subscribers,
            chores,
            plan,
        };
        Ok(App { shared: Arc::new(shared) })
    }
}
