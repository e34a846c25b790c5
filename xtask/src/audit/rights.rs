//! What the logins may do to the log and its seals: write new rows, and read.

use anyhow::Result;
use kernel_core::testkit::{TestKernel, roles};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// The fault of a log that the app may change.
pub(super) const WRITABLE: &str = "GRANT UPDATE ON kernel_core.audit_log TO kernel_test_app";

/// How many statements were tried, and those that were not refused for want of the right.
pub(super) async fn tried(kernel: &TestKernel) -> Result<(usize, Vec<String>)> {
    let (logins, roles) = (kernel.database.logins(), roles());
    let (mut tried, mut allowed) = (0, Vec::new());
    for role in [&roles.app, &roles.worker, &roles.operator] {
        let mut conn = PgConnection::connect(&logins.of(role)).await?;
        for statement in statements() {
            tried += 1;
            let outcome = conn.execute(AssertSqlSafe(statement.clone())).await;
            let refused =
                outcome.err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
            if refused.as_deref() != Some("42501") {
                allowed.push(format!("{role}: {statement} ({refused:?})"));
            }
        }
        conn.close().await?;
    }
    Ok((tried, allowed))
}

fn statements() -> Vec<String> {
    let tables = ["audit_log", "audit_unsealed", "audit_seal", "audit_head", "audit_total"];
    let mut all = Vec::new();
    for table in tables.map(|table| format!("kernel_core.{table}")) {
        all.push(format!("UPDATE {table} SET {} = NULL", if table.ends_with("head") { "seq" } else { "id" }));
        all.push(format!("DELETE FROM {table}"));
        all.push(format!("TRUNCATE {table}"));
        all.push(format!("DROP TABLE {table}"));
        all.push(format!("ALTER TABLE {table} DISABLE TRIGGER ALL"));
    }
    for table in ["audit_log", "audit_seal", "audit_head", "audit_total"] {
        all.push(format!("INSERT INTO kernel_core.{table} DEFAULT VALUES"));
    }
    all.push("UPDATE kernel_core.audit_log_default SET action = 'x'".to_owned());
    all.push("DELETE FROM kernel_core.audit_log_default".to_owned());
    all
}
