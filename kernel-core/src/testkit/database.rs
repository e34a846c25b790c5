//! Databases with the schema of a plan, copied from a template in a moment, and the logins to reach them.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

use super::postgres::{Postgres, Search};
use crate::db::{DbConfig, RoleNames};
use crate::entropy::Entropy;
use crate::migration::{MigrationError, MigrationPlan};
use crate::secret::sha256;

/// What went wrong while a database was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The server refused.
    #[error("the database server refused")]
    Sql(#[from] sqlx::Error),
    /// The schema could not be made.
    #[error("the schema could not be made")]
    Migration(#[from] MigrationError),
    /// There is no server.
    #[error(transparent)]
    NoPostgres(#[from] super::postgres::NoPostgres),
}

/// The server of this process: found once, shared by every test in it.
///
/// # Errors
/// [`DatabaseError::NoPostgres`].
pub async fn server() -> Result<Arc<Postgres>, DatabaseError> {
    static SERVER: OnceCell<Arc<Postgres>> = OnceCell::const_new();
    let found = SERVER
        .get_or_try_init(|| async {
            Postgres::find(&Search::from_env(target_dir()), &mut |line| eprintln!("{line}"))
                .await
                .map(Arc::new)
        })
        .await?;
    Ok(found.clone())
}

/// The folder that cargo builds into: the test programs lie in it.
pub(super) fn target_dir() -> std::path::PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    target.map_or_else(|| std::env::temp_dir().join("kernel-test"), std::path::Path::to_path_buf)
}

/// The URLs of one database, by login.
#[derive(Clone)]
pub struct Logins {
    server: PgConnectOptions,
    database: String,
    roles: RoleNames,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logins").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Logins {
    /// The logins of `database` on a server of which `server` is the superuser.
    #[must_use]
    pub fn new(server: &PgConnectOptions, database: &str, roles: &RoleNames) -> Self {
        Self {
            server: server.clone().database(database),
            database: database.to_owned(),
            roles: roles.clone(),
        }
    }

    /// The name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The superuser's URL, for looking at all rows and for bootstrapping.
    #[must_use]
    pub fn admin(&self) -> String {
        self.server.to_url_lossy().to_string()
    }

    /// The URL of a login role.
    #[must_use]
    pub fn of(&self, role: &str) -> String {
        self.server.clone().username(role).password(&self.password(role)).to_url_lossy().to_string()
    }

    /// Known to whoever knows the superuser's password, and to nobody else. The port does not count: a private server
    /// has another one each time it starts.
    fn password(&self, role: &str) -> String {
        let login = self.server.clone().host("localhost").port(5432).database("postgres").to_url_lossy();
        let seed = format!("{login}/{role}");
        hex(&sha256(seed.as_bytes()))
    }

    /// The text of [`Logins::keys`], as configuration holds it.
    #[must_use]
    pub fn app_key(&self) -> String {
        STANDARD.encode(sha256(format!("{}/key/{}", self.password("key"), self.database).as_bytes()))
    }

    /// The configuration of a process that uses every login.
    #[must_use]
    pub fn config(&self) -> DbConfig {
        let mut config = DbConfig::new(self.of(&self.roles.app));
        config.worker = Some(self.of(&self.roles.worker));
        config.operator = Some(self.of(&self.roles.operator));
        config.roles = self.roles.clone();
        config
    }

    /// Sets the passwords of the login roles.
    async fn let_in(&self, admin: &mut PgConnection) -> Result<(), sqlx::Error> {
        let RoleNames { app, worker, operator, migrate, .. } = &self.roles;
        for role in [app, worker, operator, migrate] {
            let password = self.password(role);
            // Unchanged passwords are left alone: two processes that change a role at once trip over each other.
            let same: bool = sqlx::query_scalar(
                "SELECT coalesce(shobj_description(oid, 'pg_authid') = $2, false) FROM pg_roles WHERE rolname = $1",
            )
            .bind(role)
            .bind(fingerprint(&password))
            .fetch_one(&mut *admin)
            .await?;
            if !same {
                let statement = format!(
                    "ALTER ROLE \"{role}\" PASSWORD '{password}'; COMMENT ON ROLE \"{role}\" IS '{}'",
                    fingerprint(&password)
                );
                admin.execute(AssertSqlSafe(statement)).await?;
            }
        }
        Ok(())
    }

    /// Creates the database if there is none, the roles with their passwords, and the schema; safe to run again.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn prepare(&self, plan: &MigrationPlan) -> Result<(), DatabaseError> {
        let mut server = self.server.clone().database("postgres").connect().await?;
        lock(&mut server).await?;
        if !self.exists().await? {
            server.execute(AssertSqlSafe(format!("CREATE DATABASE \"{}\"", self.database))).await?;
        }
        let mut admin = self.server.connect().await?;
        admin.execute(AssertSqlSafe(plan.bootstrap(&self.database))).await?;
        self.let_in(&mut admin).await?;
        admin.close().await?;
        let mut migrate = PgConnection::connect(&self.of(&self.roles.migrate)).await?;
        plan.run(&mut migrate).await?;
        migrate.close().await?;
        server.close().await?;
        Ok(())
    }
}

impl Logins {
    /// Whether the server has the database.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn exists(&self) -> Result<bool, DatabaseError> {
        let mut server = self.server.clone().database("postgres").connect().await?;
        let exists = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)");
        Ok(exists.bind(&self.database).fetch_one(&mut server).await?)
    }

    /// Drops the database with all that is in it, whoever is connected; its roles stay.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn drop_database(&self) -> Result<(), DatabaseError> {
        let mut server = self.server.clone().database("postgres").connect().await?;
        server
            .execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.database)))
            .await?;
        server.close().await?;
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Tells whether a password is the one set, without telling the password.
fn fingerprint(password: &str) -> String {
    hex(&sha256(password.as_bytes())[..8])
}

/// Roles belong to the whole server: two processes that make them at once would trip over each other.
async fn lock(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    conn.execute("SELECT pg_advisory_lock(hashtextextended('kernel testkit', 0))").await?;
    Ok(())
}

/// A database of its own for one test, dropped with it.
#[derive(Debug)]
pub struct TestDatabase {
    logins: Logins,
    /// Keeps a private server running.
    server: Arc<Postgres>,
}

impl TestDatabase {
    /// Copies the template of `plan`, made when it is first asked for.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn create(plan: &MigrationPlan) -> Result<Self, DatabaseError> {
        let server = server().await?;
        let script: String = plan.export().into_iter().map(|file| file.sql).collect();
        let template = format!("kernel_template_{}", hex(&sha256(script.as_bytes())[..8]));
        ensure_template(&server, &template, plan).await?;

        let name = format!("kernel_test_{}", hex(&Entropy::system().bytes::<8>()));
        let mut admin = server.options().clone().database("postgres").connect().await?;
        let statement = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"");
        admin.execute(AssertSqlSafe(statement)).await?;
        admin.close().await?;
        let logins = Logins::new(server.options(), &name, &plan.roles);
        // Grants on a database are not copied with it.
        let mut admin = logins.server.connect().await?;
        admin.execute(AssertSqlSafe(plan.bootstrap(&name))).await?;
        admin.close().await?;
        Ok(Self { logins, server })
    }

    /// Its logins.
    #[must_use]
    pub fn logins(&self) -> &Logins {
        &self.logins
    }
}

async fn ensure_template(
    server: &Postgres,
    template: &str,
    plan: &MigrationPlan,
) -> Result<(), DatabaseError> {
    let mut admin = server.options().clone().database("postgres").connect().await?;
    admin.execute("SELECT pg_advisory_lock(hashtextextended('kernel template', 0))").await?;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(template)
        .fetch_one(&mut admin)
        .await?;
    let logins = Logins::new(server.options(), template, &plan.roles);
    if exists {
        // The roles are the server's, and an older run may have left them with other passwords.
        logins.let_in(&mut admin).await?;
    } else {
        // Under another name until it is whole: a run that is killed leaves no half-made template.
        let making = format!("{template}_making");
        admin.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS \"{making}\" WITH (FORCE)"))).await?;
        Logins::new(server.options(), &making, &plan.roles).prepare(plan).await?;
        admin.execute(AssertSqlSafe(format!("ALTER DATABASE \"{making}\" RENAME TO \"{template}\""))).await?;
    }
    admin.close().await?;
    Ok(())
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (options, name) =
            (self.server.options().clone().database("postgres"), self.logins.database.clone());
        // A test's runtime may be ending, so the farewell brings its own.
        let farewell = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = options.connect().await.map_err(std::io::Error::other)?;
                let statement = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
                admin.execute(AssertSqlSafe(statement)).await.map_err(std::io::Error::other)
            })
        });
        if let Ok(Err(error)) = farewell.join() {
            eprintln!("a test database stays behind: {error}");
        }
    }
}
