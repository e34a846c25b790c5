//! Bringing a database to the schema that the registered pillars declare: run, export, verify, bootstrap.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::catalog::{Finding, Plan as Catalog};
use crate::db::RoleNames;
use crate::secure;
use crate::table::{Column, Function, Table};

/// Of several instances that start at once one secures, and the others then find that nothing is left to do.
const TAKE_TURN: &str = "SELECT pg_advisory_lock(hashtextextended('kernel secure', 0))";
const GIVE_TURN: &str = "SELECT pg_advisory_unlock(hashtextextended('kernel secure', 0))";
/// How often a step of securing is tried while other transactions hold what it needs.
const TRIES: u32 = 10;
/// How long those that waited behind it have until the next try.
const LET_BY: Duration = Duration::from_secs(1);

/// The numbered files of one crate and the schema that they own. Each schema keeps its own ledger, so the host's
/// stays its own.
#[derive(Debug, Clone)]
pub struct Migrations {
    schema: &'static str,
    migrator: Arc<Migrator>,
}

impl Migrations {
    /// Files read by `sqlx::migrate!`, for the schema of this name.
    ///
    /// ```no_run
    /// let migrations = kernel_core::Migrations::new("tracker", sqlx::migrate!("../migrations/core"));
    /// ```
    #[must_use]
    pub fn new(schema: &'static str, mut migrator: Migrator) -> Self {
        migrator.dangerous_set_table_name(format!("{schema}.migration"));
        migrator.create_schemas = Cow::Owned(vec![Cow::Borrowed(schema)]);
        Self { schema, migrator: Arc::new(migrator) }
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &'static str {
        self.schema
    }

    /// The number of the last file.
    fn version(&self) -> i64 {
        self.migrator.iter().map(|migration| migration.version).max().unwrap_or_default()
    }

    /// Number and checksum of each file.
    pub(crate) fn files(&self) -> impl Iterator<Item = (i64, Vec<u8>)> {
        self.migrator.iter().map(|migration| (migration.version, migration.checksum.to_vec()))
    }
}

/// One file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationFile {
    /// A name that sorts in the order to run: `kernel_core_0001_tenant_create.sql`.
    pub name: String,
    /// Its statements.
    pub sql: String,
}

/// Why migrating failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// A file that was applied has changed since.
    #[error(
        "{schema}: the file {version:04} is not the one that was applied; put it back as it was, or, where \
         the database's rows are not needed, drop the database and migrate again"
    )]
    Changed {
        /// Whose file.
        schema: &'static str,
        /// Its number.
        version: i64,
    },
    /// A numbered file failed.
    #[error("a migration of {schema} failed")]
    File {
        /// Whose file.
        schema: &'static str,
        /// What the database said.
        source: MigrateError,
    },
    /// The securing step failed: is the migrate login a member of the owner, resolver and search roles? Or does
    /// another transaction hold a table for long?
    #[error("securing the tables failed")]
    Secure(#[source] sqlx::Error),
}

/// Everything that the registered pillars need of a database.
#[derive(Debug, Clone)]
pub struct MigrationPlan {
    pub(crate) lines: Vec<Migrations>,
    pub(crate) tables: Vec<Table>,
    pub(crate) functions: Vec<Function>,
    pub(crate) roles: RoleNames,
}

impl MigrationPlan {
    /// Every declared column with its class, and the table that it is in: where a report on personal data begins. The
    /// database says the same in its comments on columns.
    pub fn columns(&self) -> impl Iterator<Item = (&Table, &Column)> {
        self.tables.iter().flat_map(|table| table.columns().iter().map(move |column| (table, column)))
    }

    /// The SQL for a database administrator: creates the roles, and lets the migrate login work in `database`.
    #[must_use]
    pub fn bootstrap(&self, database: &str) -> String {
        secure::bootstrap(database, &self.roles)
    }

    /// Applies what is missing, then secures every table if anything is not as declared. `conn` is the migrate login
    /// on a direct connection, not through a pooler: the lock against a second migrator belongs to the session.
    ///
    /// Securing locks one table at a time and waits for it for two seconds, ten times at most, so that the program's
    /// requests are held up for so long and no longer.
    ///
    /// # Errors
    /// [`MigrationError`]; what had been applied before stays applied.
    pub async fn run(&self, conn: &mut PgConnection) -> Result<(), MigrationError> {
        for line in &self.lines {
            let schema = line.schema;
            let file = |source| match source {
                MigrateError::VersionMismatch(version) => MigrationError::Changed { schema, version },
                source => MigrationError::File { schema, source },
            };
            line.migrator.run_direct(None, conn, false).await.map_err(file)?;
        }
        conn.execute(TAKE_TURN).await.map_err(MigrationError::Secure)?;
        let secured = self.secure(conn).await;
        let given_up = conn.execute(GIVE_TURN).await;
        secured.and(given_up.map(drop)).map_err(MigrationError::Secure)
    }

    async fn secure(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        // In a database that is as declared no table is locked.
        if self.verify(conn).await?.is_empty() {
            return Ok(());
        }
        for step in self.steps() {
            let mut tries = 1;
            while let Err(error) = secure_step(conn, &step).await {
                if tries == TRIES || !is_held_up(&error) {
                    return Err(error);
                }
                tries += 1;
                tokio::time::sleep(LET_BY).await;
            }
        }
        Ok(())
    }

    /// The same work as files for the host's own migration tool, in order. The last one secures the tables.
    #[must_use]
    pub fn export(&self) -> Vec<MigrationFile> {
        let mut files = Vec::new();
        for line in &self.lines {
            for (index, migration) in line.migrator.iter().enumerate() {
                let create = if index == 0 {
                    format!("CREATE SCHEMA IF NOT EXISTS \"{}\";\n", line.schema)
                } else {
                    String::new()
                };
                let name = migration.description.replace(' ', "_");
                files.push(MigrationFile {
                    name: format!("{}_{:04}_{name}.sql", line.schema, migration.version),
                    sql: create + migration.sql.as_str(),
                });
            }
        }
        files.push(MigrationFile { name: "secure.sql".to_owned(), sql: self.steps().concat() });
        files
    }

    fn steps(&self) -> Vec<String> {
        secure::steps(&self.tables, &self.functions, &self.roles, &self.versions())
    }

    /// Each schema with the number of its last file.
    fn versions(&self) -> Vec<(&'static str, i64)> {
        self.lines.iter().map(|line| (line.schema, line.version())).collect()
    }

    /// Compares the database with the declarations, whoever applied them. No finding means that it is as declared. A
    /// schema that a newer version of the program has migrated may hold more than is declared: what that version has
    /// added is its own affair, so that processes of this one can still start.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn verify(&self, conn: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
        let Self { tables, functions, roles, .. } = self;
        Catalog { tables, functions, roles, versions: &self.versions() }.audit(conn).await
    }
}

/// Runs one step in a transaction of its own.
async fn secure_step(conn: &mut PgConnection, step: &str) -> Result<(), sqlx::Error> {
    let mut tx = conn.begin().await?;
    // Whoever waits for a table's lock has everybody behind it wait as well.
    tx.execute("SET LOCAL lock_timeout = '2s'").await?;
    tx.execute(AssertSqlSafe(step)).await?;
    tx.commit().await
}

/// Whether another transaction was in the way: a lock that was not to be had, or a deadlock.
fn is_held_up(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "55P03" | "40P01"))
}
