//! A pillar as data: everything that a part of a product registers with the kernel.

use std::fmt;
use std::sync::Arc;

use crate::activity::{ActivityKind, Things};
use crate::audit::AuditAction;
use crate::chore::Chore;
use crate::db::{GlobalTx, TenantTx};
use crate::doctor::{self, Check};
use crate::health::{HealthCheck, NamedCheck};
use crate::hook::{Hook, Hooks, SignUp, WorkspaceCreated};
use crate::http::Route;
use crate::job::{JobDef, Subscriber};
use crate::migration::Migrations;
use crate::role::{Feature, Limit, Permission};
use crate::seam::{Auth, Entitlements, People, TenantResolver};
use crate::table::{Function, Table};

/// A part of a product: the kernel's own pillars and the product's domain are made of the same fields.
///
/// ```
/// use kernel_core::{Pillar, Table};
/// let tracker = Pillar::new("tracker")
///     .tables([Table::tenant("tracker", "project").public(&["id", "key"]).private(&["name"])]);
/// assert_eq!(tracker.name(), "tracker");
/// ```
#[derive(Default)]
pub struct Pillar {
    pub(crate) name: &'static str,
    pub(crate) migrations: Option<Migrations>,
    pub(crate) tables: Vec<Table>,
    pub(crate) functions: Vec<Function>,
    pub(crate) permissions: Vec<Permission>,
    pub(crate) features: Vec<Feature>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) routes: Vec<Route>,
    pub(crate) jobs: Vec<JobDef>,
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) chores: Vec<Chore>,
    pub(crate) audits: Vec<AuditAction>,
    pub(crate) activities: Vec<ActivityKind>,
    pub(crate) names: Vec<(&'static str, Arc<dyn Things>)>,
    pub(crate) hooks: Hooks,
    pub(crate) messages: Vec<&'static str>,
    pub(crate) translations: Vec<(&'static str, &'static str)>,
    pub(crate) provides: Provides,
    pub(crate) health_checks: Vec<NamedCheck>,
    pub(crate) checks: Vec<doctor::NamedCheck>,
}

/// The seams that a pillar provides.
#[derive(Default)]
pub(crate) struct Provides {
    pub(crate) auth: Option<Arc<dyn Auth>>,
    pub(crate) tenants: Option<Arc<dyn TenantResolver>>,
    pub(crate) entitlements: Option<Arc<dyn Entitlements>>,
    pub(crate) runner: bool,
}

impl fmt::Debug for Pillar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pillar").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Pillar {
    /// A pillar with a name, which its permissions, events and error codes start with.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// The pillar's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The schema and its numbered files.
    #[must_use]
    pub fn migrations(mut self, migrations: Migrations) -> Self {
        self.migrations = Some(migrations);
        self
    }

    /// The tables that the files make.
    #[must_use]
    pub fn tables(mut self, tables: impl IntoIterator<Item = Table>) -> Self {
        self.tables.extend(tables);
        self
    }

    /// The definer functions that the files make.
    #[must_use]
    pub fn functions(mut self, functions: impl IntoIterator<Item = Function>) -> Self {
        self.functions.extend(functions);
        self
    }

    /// The permissions that its routes and rules use: `ALL` of [`permissions!`](crate::permissions).
    #[must_use]
    pub fn permissions(mut self, permissions: &[Permission]) -> Self {
        self.permissions.extend(permissions);
        self
    }

    /// The plan features that its routes use: `ALL` of [`features!`](crate::features).
    #[must_use]
    pub fn features(mut self, features: &[Feature]) -> Self {
        self.features.extend(features);
        self
    }

    /// The limits that plans may set for it: `ALL` of [`limits!`](crate::limits). Keeping to them is the pillar's own part.
    #[must_use]
    pub fn limits(mut self, limits: &[Limit]) -> Self {
        self.limits.extend(limits);
        self
    }

    /// The routes it serves.
    #[must_use]
    pub fn routes(mut self, routes: impl IntoIterator<Item = Route>) -> Self {
        self.routes.extend(routes);
        self
    }

    /// The jobs it runs.
    #[must_use]
    pub fn jobs(mut self, jobs: impl IntoIterator<Item = JobDef>) -> Self {
        self.jobs.extend(jobs);
        self
    }

    /// The events it reacts to.
    #[must_use]
    pub fn subscribers(mut self, subscribers: impl IntoIterator<Item = Subscriber>) -> Self {
        self.subscribers.extend(subscribers);
        self
    }

    /// Work that it does again and again, without a request.
    #[must_use]
    pub fn chore(mut self, chore: Chore) -> Self {
        self.chores.push(chore);
        self
    }

    /// The deeds that it tells the audit log of.
    #[must_use]
    pub fn audits(mut self, actions: &[AuditAction]) -> Self {
        self.audits.extend(actions);
        self
    }

    /// What it records in the activity feed; the texts are among its [messages](Self::messages).
    #[must_use]
    pub fn activities(mut self, kinds: &[ActivityKind]) -> Self {
        self.activities.extend(kinds);
        self
    }

    /// Tells the activity feed what the things of this noun are called.
    #[must_use]
    pub fn names(mut self, noun: &'static str, things: impl Things + 'static) -> Self {
        self.names.push((noun, Arc::new(things)));
        self
    }

    /// Code that runs in the transaction of every sign-up.
    #[must_use]
    pub fn on_signup(mut self, hook: impl Hook<GlobalTx, SignUp> + 'static) -> Self {
        self.hooks.signup.push(Arc::new(hook));
        self
    }

    /// Code that runs in the transaction that founds a workspace, inside that workspace.
    #[must_use]
    pub fn on_workspace_created(mut self, hook: impl Hook<TenantTx, WorkspaceCreated> + 'static) -> Self {
        self.hooks.workspace_created.push(Arc::new(hook));
        self
    }

    /// English texts: a JSON object of key to ICU message, usually `include_str!("../locales/en.json")`.
    #[must_use]
    pub fn messages(mut self, json: &'static str) -> Self {
        self.messages.push(json);
        self
    }

    /// Texts in another language, for any keys of the app: `("de", include_str!("../locales/de.json"))`. Answers are
    /// given in those languages that [`Config::languages`](crate::Config::languages) names.
    #[must_use]
    pub fn translation(mut self, language: &'static str, json: &'static str) -> Self {
        self.translations.push((language, json));
        self
    }

    /// Provides the seam that turns credentials into actors.
    #[must_use]
    pub fn provides_auth(mut self, auth: Arc<dyn Auth>) -> Self {
        self.provides.auth = Some(auth);
        self
    }

    /// Provides the seam that knows people's names.
    #[must_use]
    pub fn provides_people(mut self, people: Arc<dyn People>) -> Self {
        self.hooks.people = Some(people);
        self
    }

    /// Adds to what `GET /readyz` asks: without it this process should get no requests.
    #[must_use]
    pub fn health_check(mut self, name: &'static str, check: impl HealthCheck + 'static) -> Self {
        self.health_checks.push((name, Arc::new(check)));
        self
    }

    /// Adds to what the [doctor](crate::doctor) examines. The name is dotted: `jobs.dead`.
    #[must_use]
    pub fn check(mut self, name: &'static str, check: impl Check + 'static) -> Self {
        self.checks.push((name, Arc::new(check)));
        self
    }

    /// Provides the seam that finds a request's workspace.
    #[must_use]
    pub fn provides_tenants(mut self, tenants: Arc<dyn TenantResolver>) -> Self {
        self.provides.tenants = Some(tenants);
        self
    }

    /// Provides the seam that says what a plan includes.
    #[must_use]
    pub fn provides_entitlements(mut self, entitlements: Arc<dyn Entitlements>) -> Self {
        self.provides.entitlements = Some(entitlements);
        self
    }

    /// Promises that whoever registers this pillar also runs its queue, so that other pillars may have jobs.
    #[must_use]
    pub fn provides_runner(mut self) -> Self {
        self.provides.runner = true;
        self
    }
}
