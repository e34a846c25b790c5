//! Databases that the proof may break: copied from one another, dropped when done with.

use std::sync::Arc;

use anyhow::{Context, Result};
use kernel_core::Entropy;
use kernel_core::migration::MigrationPlan;
use kernel_core::testkit::Logins;
use kernel_core::testkit::postgres::Postgres;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

use super::product;

/// A database and its logins, dropped with this value.
#[derive(Debug)]
pub(super) struct Scratch {
    logins: Logins,
    plan: MigrationPlan,
    server: Arc<Postgres>,
    is_gone: bool,
}

impl Scratch {
    /// A database with the schema of `plan` and no rows.
    pub(super) async fn create(server: &Arc<Postgres>, plan: &MigrationPlan) -> Result<Self> {
        let logins = Logins::new(server.options(), &fresh_name(), &product::roles());
        let scratch = Self { logins, plan: plan.clone(), server: server.clone(), is_gone: false };
        scratch.logins.prepare(plan).await.context("preparing a database")?;
        Ok(scratch)
    }

    /// A copy, rows and all. Nobody may be connected to the original.
    pub(super) async fn copy(&self) -> Result<Self> {
        let name = fresh_name();
        let mut admin = self.server.options().clone().database("postgres").connect().await?;
        let statement = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{}\"", self.logins.database());
        admin.execute(AssertSqlSafe(statement)).await.context("copying a database")?;
        let logins = Logins::new(self.server.options(), &name, &product::roles());
        let copy = Self { logins, plan: self.plan.clone(), server: self.server.clone(), is_gone: false };
        // Grants on the database itself are not copied with it.
        let mut inside = copy.admin().await?;
        inside.execute(AssertSqlSafe(self.plan.bootstrap(&name))).await?;
        inside.close().await?;
        admin.close().await?;
        Ok(copy)
    }

    /// Its logins.
    pub(super) fn logins(&self) -> &Logins {
        &self.logins
    }

    /// A connection of the superuser, who sees every row.
    pub(super) async fn admin(&self) -> Result<PgConnection> {
        PgConnection::connect(&self.logins.admin()).await.context("connecting as superuser")
    }

    /// Drops the database. Where several trials share a thread this is the way: to be dropped with the value blocks the
    /// thread, and the server waits until a connection that another trial is opening has proved who it is.
    pub(super) async fn remove(mut self) -> Result<()> {
        self.is_gone = true;
        let mut admin = self.server.options().clone().database("postgres").connect().await?;
        admin.execute(AssertSqlSafe(self.farewell())).await.context("dropping a database")?;
        Ok(admin.close().await?)
    }

    fn farewell(&self) -> String {
        format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.logins.database())
    }

    /// Runs statements as superuser.
    pub(super) async fn execute(&self, sql: impl Into<String>) -> Result<()> {
        let mut admin = self.admin().await?;
        let sql = sql.into();
        admin.execute(AssertSqlSafe(sql.clone())).await.with_context(|| format!("as superuser: {sql}"))?;
        Ok(admin.close().await?)
    }
}

fn fresh_name() -> String {
    let random: String = Entropy::system().bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("kernel_isolation_{random}")
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_gone {
            return;
        }
        let options = self.server.options().clone().database("postgres");
        let statement = self.farewell();
        // The runtime may be ending, so the farewell brings its own.
        let farewell = std::thread::spawn(move || -> std::io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = options.connect().await.map_err(std::io::Error::other)?;
                admin.execute(AssertSqlSafe(statement)).await.map_err(std::io::Error::other)?;
                Ok(())
            })
        });
        if let Ok(Err(error)) = farewell.join() {
            eprintln!("a database stays behind: {error}");
        }
    }
}
