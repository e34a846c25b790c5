//! *Roles*: an app does not start with a login that could see past its tenant, and starts with every sound one.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use kernel_core::testkit::{TestDatabase, config};
use kernel_core::{App, AppBuilder, Db, DbConfig, Problem, RoleNames};
use kernel_jobs::Jobs;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

use crate::outcome::Outcome;
use crate::prove::Options;

mod case;

use case::{Case, Expected, Login, Setup};

/// Takes a sound login for each bad one: an app that starts must be noticed.
pub const SOUND_FOR_BAD: &str = "roles-sound-for-bad";
/// Takes a superuser for each sound login: a refusal must be noticed.
pub const BAD_FOR_SOUND: &str = "roles-bad-for-sound";

/// What this part can plant.
pub const FAULTS: &[&str] = &[SOUND_FOR_BAD, BAD_FOR_SOUND];

/// Builds an app with every bad and every sound login.
///
/// # Errors
///
/// When there is no PostgreSQL, and when a login cannot be made as its case wants it.
pub async fn run(options: &Options) -> Result<Outcome> {
    // Of their own: the tests of other runs use the roles of the test kit at the same time.
    let prefix = format!("kernel_roles_{}", std::process::id());
    let trial = Trial::start(RoleNames::prefixed(&prefix)).await?;
    let outcome = trial.run(options).await;
    trial.clear_away().await?;
    outcome
}

struct Trial {
    roles: RoleNames,
    database: TestDatabase,
    admin: PgConnectOptions,
    major: u32,
}

fn app(db: Db) -> AppBuilder {
    App::builder(db, config()).with(Jobs::new())
}

impl Trial {
    async fn start(roles: RoleNames) -> Result<Self> {
        let mut nowhere = DbConfig::new("postgres://localhost/nowhere");
        nowhere.roles = roles.clone();
        let plan = app(Db::new(&nowhere)?).plan();
        let database = TestDatabase::create(&plan).await?;
        let admin: PgConnectOptions = database.logins().admin().parse()?;
        let mut conn = admin.connect().await?;
        let version: String = sqlx::query_scalar("SHOW server_version_num").fetch_one(&mut conn).await?;
        let major = version.parse::<u32>().context("the server's version is no number")? / 10_000;
        Ok(Self { roles, database, admin, major })
    }

    async fn run(&self, options: &Options) -> Result<Outcome> {
        let queue = self.queue_functions().await?;
        let cases = case::all(&self.roles, &queue, self.major);
        let (mut bad, mut sound, mut wrong) = (0, 0, Vec::new());
        // Each case takes an app's start; a short run starts every eighth.
        let step = if options.short { 8 } else { 1 };
        for case in cases.iter().step_by(step) {
            let verdict = self.judge(case, options).await;
            if let Some(found) = verdict.with_context(|| format!("roles: {case}"))? {
                wrong.push(format!("roles: {case}: {found}"));
            }
            match case.expected {
                Expected::Refused => bad += 1,
                Expected::Accepted => sound += 1,
            }
        }
        let outcome = Outcome::new()
            .value("roles_bad", bad)
            .value("roles_sound", sound)
            .value("roles_faults", wrong.len())
            .require(
                cases.len() >= 200 && bad * step >= 100 && sound > 0,
                "roles: the list of logins is not whole",
            );
        Ok(wrong.into_iter().fold(outcome, |outcome, wrong| outcome.require(false, wrong)))
    }

    /// The definer functions of the queue, of which the app login may execute none.
    async fn queue_functions(&self) -> Result<Vec<String>> {
        let mut conn = self.admin.connect().await?;
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT oid::regprocedure::text FROM pg_proc
             WHERE pronamespace = 'kernel_jobs'::regnamespace AND prosecdef ORDER BY 1",
        )
        .fetch_all(&mut conn)
        .await?;
        ensure!(!names.is_empty(), "the queue has no functions");
        Ok(names)
    }

    /// What is wrong with how the app took the login, if anything is.
    async fn judge(&self, case: &Case, options: &Options) -> Result<Option<String>> {
        let mut admin = self.admin.connect().await?;
        let mut setup = case.setup.clone();
        if options.plants(SOUND_FOR_BAD) && case.expected == Expected::Refused {
            setup = Setup::default();
        }
        if options.plants(BAD_FOR_SOUND) && case.expected == Expected::Accepted {
            setup.login = Some("SUPERUSER".to_owned());
        }
        admin.execute(AssertSqlSafe(self.script(case, &setup))).await?;
        let problems = self.problems(case, &setup).await;
        self.undo(&mut admin, &setup).await?;
        admin.close().await?;
        let texts: Vec<_> = problems?.iter().map(describe).collect();
        let refused = texts.iter().any(|text| case.reasons.iter().any(|reason| text.contains(reason)));
        Ok(match case.expected {
            Expected::Refused if refused => None,
            Expected::Refused if texts.is_empty() => Some("the app starts".to_owned()),
            Expected::Refused => Some(format!("refused for another reason: {texts:?}")),
            Expected::Accepted if texts.is_empty() => None,
            Expected::Accepted => Some(format!("the app does not start: {texts:?}")),
        })
    }

    fn script(&self, case: &Case, setup: &Setup) -> String {
        let (tried, via, further) = (self.tried(), self.named("via"), self.named("further"));
        let mut script = String::new();
        if let Some(attributes) = &setup.login {
            let own = case.slot.role(&self.roles);
            let _ = write!(script, "CREATE ROLE \"{tried}\" LOGIN PASSWORD 'x' {attributes};");
            let _ = write!(script, "GRANT \"{own}\" TO \"{tried}\";");
        }
        let text =
            setup.more.replace("{tried}", &tried).replace("{via}", &via).replace("{further}", &further);
        script + &text
    }

    /// The login whose soundness is tried.
    fn tried(&self) -> String {
        self.named("tried")
    }

    fn named(&self, what: &str) -> String {
        format!("{}_{what}", self.roles.app)
    }

    async fn problems(&self, case: &Case, setup: &Setup) -> Result<Vec<Problem>> {
        let logins = self.database.logins();
        let mut config = logins.config();
        config.max_connections = 2;
        let url = match (&setup.login, &setup.instead) {
            (Some(_), _) => {
                let tried = self.admin.clone().username(&self.tried()).password("x");
                Some(tried.to_url_lossy().to_string())
            }
            (None, Some(Login::Superuser)) => Some(logins.admin()),
            (None, Some(Login::Role(role))) => Some(logins.of(role)),
            (None, None) => None,
        };
        if let Some(url) = url {
            *case.slot.of(&mut config) = url;
        }
        let db = Db::new(&config)?;
        let built = app(db.clone()).build().await;
        db.close().await;
        Ok(built.err().map(|problems| problems.0).unwrap_or_default())
    }

    /// Takes back what a case has set up.
    async fn undo(&self, admin: &mut PgConnection, setup: &Setup) -> Result<()> {
        for what in ["tried", "via", "further"] {
            self.drop_role(admin, &self.named(what)).await?;
        }
        if setup.outlasts_its_roles() {
            // The securing step sets all owners and grants.
            let plan = app(Db::new(&self.database.logins().config())?).plan();
            plan.run(admin).await.context("cannot restore the grants")?;
        }
        Ok(())
    }

    async fn drop_role(&self, admin: &mut PgConnection, role: &str) -> Result<()> {
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
            .bind(role)
            .fetch_one(&mut *admin)
            .await?;
        if exists {
            let owner = &self.roles.owner;
            let drop = format!(
                "REASSIGN OWNED BY \"{role}\" TO \"{owner}\"; DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\""
            );
            admin.execute(AssertSqlSafe(drop)).await.with_context(|| format!("cannot drop {role}"))?;
        }
        Ok(())
    }

    /// Drops the database with its template, and the roles.
    async fn clear_away(self) -> Result<()> {
        let server = self.admin.clone().database("postgres");
        drop(self.database);
        let mut admin = server.connect().await?;
        let RoleNames { app, worker, operator, migrate, owner, resolver, search } = &self.roles;
        let templates: Vec<String> = sqlx::query_scalar(
            "SELECT datname::text FROM pg_database WHERE datname LIKE 'kernel\\_template\\_%'
             AND EXISTS (SELECT FROM aclexplode(datacl) AS g JOIN pg_roles r ON r.oid = g.grantee WHERE r.rolname = $1)",
        )
        .bind(app)
        .fetch_all(&mut admin)
        .await?;
        for template in templates {
            admin.execute(AssertSqlSafe(format!("DROP DATABASE \"{template}\" WITH (FORCE)"))).await?;
        }
        for role in [app, worker, operator, migrate, owner, resolver, search] {
            admin.execute(AssertSqlSafe(format!("DROP ROLE IF EXISTS \"{role}\""))).await?;
        }
        admin.close().await?;
        Ok(())
    }
}

/// The problem with the kind of thing it is about.
fn describe(problem: &Problem) -> String {
    match problem {
        Problem::Login(_) => format!("login: {problem}"),
        Problem::Catalog(_) => format!("catalog: {problem}"),
        _ => problem.to_string(),
    }
}
