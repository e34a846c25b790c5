//! What the server says of itself.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Server {
    /// As PostgreSQL numbers it: 150018 is 15.18.
    pub(crate) version: i32,
    pub(crate) now: DateTime<Utc>,
    pub(crate) encoding: String,
    /// Transactions since the oldest one that this database still tells apart; at two thousand million it stops.
    pub(crate) age: i32,
    /// Whether this connection is encrypted; nothing where it does not leave the machine.
    pub(crate) encrypted: Option<bool>,
    /// Tables of these schemas whose rows nobody has ever counted, so that the planner guesses.
    pub(crate) unanalysed: i64,
}

pub(crate) async fn server(conn: &mut PgConnection, schemas: &[&str]) -> Result<Server, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT current_setting('server_version_num')::integer AS version,
               clock_timestamp() AS now,
               current_setting('server_encoding') AS encoding,
               (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()) AS age,
               CASE WHEN inet_client_addr() IS NULL OR inet_client_addr() <<= inet '127.0.0.0/8'
                         OR inet_client_addr() = inet '::1' THEN NULL
                    ELSE (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) END AS encrypted,
               (SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                WHERE n.nspname = ANY ($1) AND c.relkind = 'r' AND c.reltuples < 0
                  AND pg_relation_size(c.oid) > 8 * 1024 * 1024) AS unanalysed
        ",
    )
    .bind(schemas)
    .fetch_one(conn)
    .await
}

/// The values of settings, as this connection has them.
pub(crate) async fn settings(
    conn: &mut PgConnection,
    names: &[&str],
) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY ($1)")
            .bind(names)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().collect())
}

/// Which process of the server answers. One message and nothing prepared: whoever stands between may give the next
/// statement to another process.
pub(crate) async fn process(conn: &mut PgConnection) -> Result<i32, sqlx::Error> {
    use sqlx::Row as _;
    sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(conn).await?.try_get(0)
}

pub(crate) async fn begin(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("BEGIN").execute(conn).await.map(drop)
}

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Applied {
    pub(crate) version: i64,
    pub(crate) success: bool,
    pub(crate) checksum: Vec<u8>,
}

/// The ledger of a schema; nothing where there is none yet.
pub(crate) async fn ledger(conn: &mut PgConnection, schema: &str) -> Result<Vec<Applied>, sqlx::Error> {
    let table = format!("\"{schema}\".migration");
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(&table).fetch_one(&mut *conn).await?;
    if !exists {
        return Ok(Vec::new());
    }
    let statement = format!("SELECT version, success, checksum FROM {table} ORDER BY version");
    sqlx::query_as(sqlx::AssertSqlSafe(statement)).fetch_all(conn).await
}

/// Rows of the audit log that no partition was made for, and until when partitions have been made.
pub(crate) async fn audit_partitions(conn: &mut PgConnection) -> Result<(bool, Option<String>), sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT coalesce(pg_relation_size(to_regclass('kernel_core.audit_log_default')) > 0, false),
               (SELECT max(substr(c.relname, 11)) FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
                WHERE i.inhparent = to_regclass('kernel_core.audit_log') AND c.relname ~ '^audit_log_\d{4}_\d{2}$')
        ",
    )
    .fetch_one(conn)
    .await
}
