//! What is private: it lies in columns that say so, and is looked for everywhere else.

use std::net::Ipv6Addr;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};
use kernel_core::Entropy;
use kernel_core::telemetry::{ErrorReporter, Report};
use sqlx::{AssertSqlSafe, PgConnection};

use super::canary::Canaries;

/// How many places are controlled.
pub(super) const CONTROLS: usize = 2;

/// Hears of errors, and keeps what it hears.
#[derive(Default)]
pub(super) struct Reports(Mutex<Vec<Report>>);

impl ErrorReporter for Reports {
    fn report(&self, report: Report) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(report);
    }
}

impl Reports {
    /// All of it as a text.
    pub(super) fn take(&self) -> String {
        format!("{:?}", std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// An address that nobody else has.
pub(super) fn address() -> String {
    let random = u64::from_be_bytes(Entropy::system().bytes());
    Ipv6Addr::from(0x2001_0db8_0001_0001_u128 << 64 | u128::from(random)).to_string()
}

/// Every column that is declared as public, and the details of audit rows, of every row.
pub(super) async fn search(admin: &mut PgConnection, canaries: &mut Canaries) -> Result<()> {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT format('%I.%I', n.nspname, c.relname), format('%I', a.attname)
         FROM pg_class AS c
         JOIN pg_namespace AS n ON n.oid = c.relnamespace
         JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
             AND (col_description(c.oid, a.attnum) = 'class: public'
                 OR n.nspname = 'kernel_core' AND c.relname IN ('audit_log', 'audit_unsealed') AND a.attname = 'metadata')",
    )
    .fetch_all(&mut *admin)
    .await?;
    ensure!(columns.len() > 50, "hardly any column is public: {}", columns.len());
    for (table, column) in columns {
        let statement = format!("SELECT {column}::text FROM {table} WHERE {column} IS NOT NULL");
        let values: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&mut *admin).await?;
        canaries.search(&format!("{table}.{column}"), &values.join("\n"));
    }
    Ok(())
}

/// What is private did come to the database, and is found where it is put into a public column; each counts.
pub(super) async fn controls(admin: &mut PgConnection, address: &str) -> Result<usize> {
    let kept = sqlx::query_scalar(
        "SELECT count(*)
         FROM (TABLE kernel_core.audit_log UNION ALL TABLE kernel_core.audit_unsealed) AS a
         WHERE strpos(a.ip_address::text, $1) > 0",
    );
    let kept: i64 = kept.bind(address).fetch_one(&mut *admin).await?;
    sqlx::query("UPDATE kernel_tenancy.workspace SET name = $1").bind(address).execute(&mut *admin).await?;
    let mut own = Canaries::default();
    own.add("an address", address.as_bytes());
    search(admin, &mut own).await?;
    let found = own.take().iter().any(|place| place.ends_with("in kernel_tenancy.workspace.name"));
    Ok(usize::from(kept > 0) + usize::from(found))
}
