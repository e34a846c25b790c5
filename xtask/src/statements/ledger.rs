//! PostgreSQL's count of statements: the extension `pg_stat_statements`.

use std::fmt;

use anyhow::Result;
use kernel_core::testkit::{TestKernel, roles};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

/// One kind of statement that the program's logins sent.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) calls: i64,
    /// How long one took on average, in milliseconds.
    pub(super) ms: f64,
    /// How many pages of the database one read on average, from memory or not.
    pub(super) pages: f64,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} pages, {:.1} ms: {:.160}", self.pages, self.ms, self.text)
    }
}

pub(super) struct Ledger {
    admin: PgConnection,
}

impl Ledger {
    /// Has the statements of the kernel's database counted from now on; nothing where the server cannot.
    pub(super) async fn open(kernel: &TestKernel) -> Result<Option<Self>> {
        let mut admin = kernel.admin().await;
        let preloaded: String =
            sqlx::query_scalar("SHOW shared_preload_libraries").fetch_one(&mut admin).await?;
        if !preloaded.contains("pg_stat_statements") {
            return Ok(None);
        }
        let database: String =
            sqlx::query_scalar("SELECT quote_ident(current_database())").fetch_one(&mut admin).await?;
        for setting in ["compute_query_id = on", "pg_stat_statements.track = top"] {
            admin.execute(AssertSqlSafe(format!("ALTER DATABASE {database} SET {setting}"))).await?;
        }
        admin.execute("CREATE EXTENSION pg_stat_statements").await?;
        // Only connections from now on count.
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        admin.execute(end).await?;
        Ok(Some(Self { admin }))
    }

    pub(super) async fn clear(&mut self) -> Result<()> {
        // Those of other databases are somebody else's.
        let reset =
            "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = current_database()";
        self.admin.execute(reset).await?;
        Ok(())
    }

    /// The statements since the last clearing, but for those that only begin or end a transaction.
    pub(super) async fn read(&mut self) -> Result<Vec<Statement>> {
        let statements = sqlx::query_as(
            "SELECT regexp_replace(s.query, '\\s+', ' ', 'g') AS text, s.calls, s.mean_exec_time AS ms,
                    (s.shared_blks_hit + s.shared_blks_read)::float8 / s.calls AS pages
             FROM pg_stat_statements AS s
             WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND s.userid::regrole::text = ANY ($1)
               AND s.query !~* '^(begin|commit|rollback|deallocate|reset|discard|savepoint|release|set) *'",
        )
        .bind([roles().app, roles().worker, roles().operator].as_slice())
        .fetch_all(&mut self.admin)
        .await?;
        Ok(statements)
    }
}
