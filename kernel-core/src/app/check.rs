//! What `build` refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sqlx::PgConnection;

use super::Config;
use crate::activity::ActivityKind;
use crate::catalog::Finding;
use crate::data_key::DataKeyError;
use crate::db::{Db, DbError, Login, RoleNames, unsafe_login};
use crate::error::causes;
use crate::health;
use crate::http::Access;
use crate::message::{Language, Messages};
use crate::migration::MigrationPlan;
use crate::pillar::Pillar;
use crate::secret::SealedColumn;
use crate::table::Table;

/// Why an app cannot be served.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// No catalogue says what people read of a kind of activity.
    ActivityUntold(&'static str),
    /// The data keys cannot be had.
    DataKeys(DataKeyError),
    /// The database cannot be asked.
    Database(DbError),
    /// A table, policy or grant is not as declared.
    Catalog(Finding),
    /// The same thing is declared by two pillars, or twice by one.
    DeclaredTwice {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A login may do more than its part.
    Login(DbError),
    /// A message catalogue cannot be used.
    Message {
        /// Whose catalogue.
        pillar: &'static str,
        /// Why.
        reason: String,
    },
    /// Something needs a seam that no pillar provides.
    NoProvider {
        /// The seam.
        seam: &'static str,
        /// Who needs it.
        needed_by: String,
    },
    /// A route cannot be served.
    Route(String),
    /// A setting cannot be as it is.
    Setting(String),
    /// A sealed column could never be sealed again under a newer key: its rows are not to be changed.
    SealedForEver(SealedColumn),
    /// A table has no column with a class.
    TableWithoutClass(String),
    /// A seam is provided twice.
    TwoProviders(&'static str),
    /// A permission or feature is used and no pillar declares it.
    Undeclared {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: &'static str,
        /// The operation that uses it.
        used_by: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ActivityUntold(name) => write!(f, "no message activity.{name} says what people read of it"),
            Self::Catalog(finding) => write!(f, "{finding}"),
            Self::DataKeys(error) => f.write_str(&causes(error)),
            Self::Database(error) => write!(f, "the database cannot be asked: {}", causes(error)),
            Self::DeclaredTwice { what, name } => write!(f, "the {what} {name} is declared twice"),
            Self::Login(error) => write!(f, "{error}"),
            Self::Message { pillar, reason } => write!(f, "the messages of {pillar}: {reason}"),
            Self::NoProvider { seam, needed_by } => {
                write!(f, "{needed_by} needs {seam}, and no pillar provides it")
            }
            Self::Route(reason) | Self::Setting(reason) => f.write_str(reason),
            Self::SealedForEver(column) => {
                write!(
                    f,
                    "{column} is sealed, and the table's rows cannot be changed: no newer key could seal it"
                )
            }
            Self::TableWithoutClass(table) => {
                write!(f, "the table {table} declares no column with its class")
            }
            Self::TwoProviders(seam) => write!(f, "two pillars provide {seam}; a host chooses one"),
            Self::Undeclared { what, name, used_by } => {
                write!(f, "{used_by} uses the {what} {name}, which no pillar declares")
            }
        }
    }
}

/// Every reason why an app cannot be served.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the app cannot be served, for {} reason(s):", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

impl std::error::Error for Problems {}

/// The catalogue, and the languages that answers are given in.
pub(super) fn messages(
    pillars: &[Pillar],
    config: &Config,
    problems: &mut Vec<Problem>,
) -> (Messages, Vec<Language>) {
    let (messages, refused) = Messages::gathered(&pillars.iter().collect::<Vec<_>>());
    let refused = refused.into_iter();
    problems.extend(refused.map(|(pillar, error)| Problem::Message { pillar, reason: error.to_string() }));
    let wanted = |language: &Language| config.languages.iter().any(|tag| tag == language.tag());
    let english = |language: &Language| *language == Language::ENGLISH;
    let languages: Vec<_> = messages.languages().filter(|known| english(known) || wanted(known)).collect();
    let unknown =
        config.languages.iter().filter(|tag| !languages.iter().any(|known| known.tag() == tag.as_str()));
    let told = unknown.map(|tag| Problem::Setting(format!("languages: no pillar has texts in {tag:?}")));
    problems.extend(told);
    (messages, languages)
}

/// Every kind of activity has a text.
pub(super) fn activities(kinds: &[ActivityKind], messages: &Messages, problems: &mut Vec<Problem>) {
    let untold = kinds.iter().filter(|kind| !messages.has(&format!("activity.{}", kind.name())));
    problems.extend(untold.map(|kind| Problem::ActivityUntold(kind.name())));
}

/// What the declarations themselves show.
pub(super) fn declarations(pillars: &[Pillar], config: &Config, problems: &mut Vec<Problem>) {
    twice("pillar", pillars.iter().map(|p| p.name.to_owned()), problems);
    let of_all = |names: fn(&Pillar) -> Vec<String>| pillars.iter().flat_map(names);
    twice("permission", of_all(|p| p.permissions.iter().map(|x| x.name().to_owned()).collect()), problems);
    twice("feature", of_all(|p| p.features.iter().map(|x| x.name().to_owned()).collect()), problems);
    twice("limit", of_all(|p| p.limits.iter().map(|x| x.name().to_owned()).collect()), problems);
    twice("job", of_all(job_kinds), problems);
    twice("chore", of_all(|p| p.chores.iter().map(|chore| chore.name().to_owned()).collect()), problems);
    twice(
        "audit action",
        of_all(|p| p.audits.iter().map(|action| action.name().to_owned()).collect()),
        problems,
    );
    let checks = of_all(|p| p.health_checks.iter().map(|(name, _)| (*name).to_owned()).collect());
    twice("health check", checks.chain(health::OWN.map(str::to_owned)), problems);
    twice("activity", of_all(|p| p.activities.iter().map(|kind| kind.name().to_owned()).collect()), problems);
    twice("noun", of_all(|p| p.names.iter().map(|(noun, _)| (*noun).to_owned()).collect()), problems);
    let tables = of_all(|p| p.tables.iter().map(|t| format!("{}.{}", t.schema(), t.name())).collect());
    twice("table", tables, problems);
    let schemas = of_all(|p| p.migrations.iter().map(|m| m.schema().to_owned()).collect());
    twice("schema", schemas, problems);

    problems.extend(config.telemetry.metrics.problems().into_iter().map(Problem::Setting));
    if !(0.0..=1.0).contains(&config.telemetry.traced) {
        let reason = "telemetry: the part of requests that is traced lies between 0 and 1";
        problems.push(Problem::Setting(reason.to_owned()));
    }
    let unclassed = pillars.iter().flat_map(|p| &p.tables).filter(|table| table.columns().len() < 2);
    problems.extend(unclassed.map(|t| Problem::TableWithoutClass(format!("{}.{}", t.schema(), t.name()))));
    let unchanging = pillars.iter().flat_map(|p| &p.tables).filter(|table| !table.can_change());
    problems.extend(unchanging.flat_map(Table::sealed_columns).map(Problem::SealedForEver));
    problems.extend(config.http.problems().into_iter().map(Problem::Route));
    problems.extend(config.activity.problem().map(|reason| Problem::Setting(reason.to_owned())));
    problems.extend(config.audit.problem().map(|reason| Problem::Setting(reason.to_owned())));
    let product = config.product.iter().flat_map(|product| product.problems(pillars));
    problems.extend(product.map(Problem::Setting));
    routes(pillars, problems);
    seams(pillars, problems);
}

fn job_kinds(pillar: &Pillar) -> Vec<String> {
    let reactions = pillar.subscribers.iter().map(|subscriber| subscriber.job().kind());
    pillar.jobs.iter().map(crate::job::JobDef::kind).chain(reactions).map(str::to_owned).collect()
}

fn twice(what: &'static str, names: impl Iterator<Item = String>, problems: &mut Vec<Problem>) {
    let mut count = BTreeMap::new();
    names.for_each(|name| *count.entry(name).or_insert(0) += 1);
    let repeated = count.into_iter().filter(|(_, times)| *times > 1);
    problems.extend(repeated.map(|(name, _)| Problem::DeclaredTwice { what, name }));
}

fn routes(pillars: &[Pillar], problems: &mut Vec<Problem>) {
    let permissions: BTreeSet<_> =
        pillars.iter().flat_map(|pillar| &pillar.permissions).map(|permission| permission.name()).collect();
    let features: BTreeSet<_> =
        pillars.iter().flat_map(|pillar| &pillar.features).map(|feature| feature.name()).collect();
    let kinds = pillars.iter().flat_map(|pillar| &pillar.activities);
    for kind in kinds.filter(|kind| !permissions.contains(kind.sees().name())) {
        let (name, used_by) = (kind.sees().name(), kind.name().to_owned());
        problems.push(Problem::Undeclared { what: "permission", name, used_by });
    }
    for route in pillars.iter().flat_map(|pillar| &pillar.routes) {
        problems.extend(route.problems().into_iter().map(Problem::Route));
        let mut undeclared = |what, name: &'static str| {
            problems.push(Problem::Undeclared { what, name, used_by: route.operation().to_owned() });
        };
        if let Some(permission) = route.permission().filter(|p| !permissions.contains(p.name())) {
            undeclared("permission", permission.name());
        }
        if let Some(feature) = route.required_feature().filter(|f| !features.contains(f.name())) {
            undeclared("feature", feature.name());
        }
    }
}

fn seams(pillars: &[Pillar], problems: &mut Vec<Problem>) {
    let mut provided = |seam: &'static str, has: fn(&Pillar) -> bool| {
        let count = pillars.iter().filter(|pillar| has(pillar)).count();
        if count > 1 {
            problems.push(Problem::TwoProviders(seam));
        }
        count > 0
    };
    let auth = provided("Auth", |pillar| pillar.provides.auth.is_some());
    let tenants = provided("TenantResolver", |pillar| pillar.provides.tenants.is_some());
    provided("People", |pillar| pillar.hooks.people.is_some());
    provided("Entitlements", |pillar| pillar.provides.entitlements.is_some());
    let runner = provided("a job runner", |pillar| pillar.provides.runner);

    let mut needs = |seam, needed_by: &str| {
        problems.push(Problem::NoProvider { seam, needed_by: needed_by.to_owned() });
    };
    for pillar in pillars {
        if let (false, Some(kind)) = (runner, job_kinds(pillar).first()) {
            needs("a job runner", kind);
        }
        // The core's own are done wherever there is a runner; an app without one does without them.
        let chore = pillar.chores.first().filter(|_| pillar.name != crate::CORE);
        if let (false, Some(chore)) = (runner, chore) {
            needs("a job runner", chore.name());
        }
        let routes = &pillar.routes;
        if let (false, Some(route)) = (auth, routes.iter().find(|route| route.access() != Access::Public)) {
            needs("Auth", route.operation());
        }
        if let (false, Some(route)) = (tenants, routes.iter().find(|route| route.permission().is_some())) {
            needs("TenantResolver", route.operation());
        }
    }
}

/// What the database shows: whether each login is safe, and whether each table is as declared.
pub(super) async fn database(db: &Db, plan: &MigrationPlan, problems: &mut Vec<Problem>) {
    let RoleNames { app, worker, operator, migrate, owner, resolver, search } = db.roles().clone();
    twice("role", [app, worker, operator, migrate, owner, resolver, search].into_iter(), problems);
    for (login, pool) in db.pools() {
        let checked = db.outside((login, pool), async |conn: &mut PgConnection| {
            unsafe_login(conn, db.roles(), login).await?;
            if !db.has_limits(conn).await? {
                return Err(DbError::LimitsLost(login.name()));
            }
            queue_functions(conn, login, plan).await
        });
        match checked.await {
            Ok(()) => {}
            Err(DbError::Sql(error)) => problems.push(Problem::Database(error.into())),
            Err(error) => problems.push(Problem::Login(error)),
        }
        if login != Login::App {
            continue;
        }
        let audited = db.outside((login, pool), async |conn: &mut PgConnection| {
            plan.verify(conn).await.map_err(DbError::from)
        });
        match audited.await {
            Ok(findings) => problems.extend(findings.into_iter().map(Problem::Catalog)),
            Err(error) => problems.push(Problem::Database(error)),
        }
    }
}

/// Refuses a serving login that may run the queue: whoever can claim sees the jobs of every tenant.
async fn queue_functions(conn: &mut PgConnection, login: Login, plan: &MigrationPlan) -> Result<(), DbError> {
    if login == Login::Worker {
        return Ok(());
    }
    let queue = plan.functions.iter().filter(|function| function.is_queue());
    let signatures: Vec<_> =
        queue.map(|function| format!("{}.{}", function.schema, function.signature)).collect();
    if crate::store::role::may_execute_any(conn, &signatures).await? {
        let login = login.name().to_owned();
        return Err(DbError::UnsafeLogin {
            login,
            reason: "may run the queue, whose functions see every tenant",
        });
    }
    Ok(())
}
