//! What the examinations judge, gathered once.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::app::Config;
use crate::catalog::Finding;
use crate::db::{Db, DbError, Login, powers};
use crate::error::causes;
use crate::migration::MigrationPlan;
use crate::pillar::Pillar;
use crate::store::catalog;
use crate::store::role::{Powers, may_execute_any};
use crate::store::server::{self, Applied, Server};

/// The settings that the examinations ask for.
const SETTINGS: &[&str] = &[
    "autovacuum",
    "data_checksums",
    "fsync",
    "full_page_writes",
    "log_parameter_max_length",
    "log_statement",
    "max_connections",
    "password_encryption",
    "row_security",
    "standard_conforming_strings",
    "superuser_reserved_connections",
    "synchronous_commit",
];

/// Nobody's password.
const WRONG_PASSWORD: &str = "the doctor does not know it";

/// Everything there is to judge. What could not be found out is the reason instead.
pub(super) struct Facts<'a> {
    pub(super) config: &'a Config,
    pub(super) pillars: &'a [Pillar],
    pub(super) logins: Vec<(Login, Option<Result<Seen, String>>)>,
    /// The connections that the pools of this process may open together.
    pub(super) connections: u32,
    /// Whether the configuration says that a pooler stands between.
    pub(super) expects_pooler: bool,
    pub(super) server: Result<Seer, String>,
    pub(super) findings: Result<Vec<Finding>, String>,
    pub(super) ledgers: Result<Vec<Ledger>, String>,
    /// Whether the migrating connection goes through a pooler.
    pub(super) migrates_pooled: Option<bool>,
}

/// What one login may do, and how its connections are made.
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of its own")]
pub(super) struct Seen {
    pub(super) powers: Powers,
    pub(super) has_limits: bool,
    pub(super) runs_queue: bool,
    pub(super) pooled: bool,
    /// Lets anybody in who knows its name.
    pub(super) trusts: bool,
}

/// The server, and what the examiner's clock said when it was asked.
pub(super) struct Seer {
    pub(super) server: Server,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) now: DateTime<Utc>,
    pub(super) audit: (bool, Option<String>),
    /// Foreign keys without an index.
    pub(super) unindexed: Vec<String>,
}

/// The files of one schema, and those that the database has.
pub(super) struct Ledger {
    pub(super) schema: &'static str,
    pub(super) files: Vec<(i64, Vec<u8>)>,
    pub(super) applied: Vec<Applied>,
}

impl<'a> Facts<'a> {
    pub(super) async fn gather(
        db: &Db,
        config: &'a Config,
        pillars: &'a [Pillar],
        plan: &MigrationPlan,
        migrate: Option<&str>,
    ) -> Self {
        let mut logins = Vec::new();
        let mut app = None;
        for login in [Login::App, Login::Worker, Login::Operator] {
            let pool = db.pools().find_map(|(other, pool)| (other == login).then_some(pool));
            let seen = match pool {
                Some(pool) => Some(seen(db, pool, login, plan).await.map_err(|error| causes(&error))),
                None => None,
            };
            app = app.or(pool);
            logins.push((login, seen));
        }
        let (server, findings) = match app {
            Some(pool) => (
                look(db, pool, config, plan).await.map_err(|error| causes(&error)),
                db.outside((Login::App, pool), async |conn: &mut PgConnection| {
                    plan.verify(conn).await.map_err(DbError::from)
                })
                .await
                .map_err(|error| causes(&error)),
            ),
            None => (Err("there is no app login".to_owned()), Err("there is no app login".to_owned())),
        };
        let (ledgers, migrates_pooled) = match migrate {
            None => (Err("the login that migrates was not given".to_owned()), None),
            Some(url) => match ledgers(url, plan).await {
                Ok((ledgers, pooled)) => (Ok(ledgers), Some(pooled)),
                Err(error) => (Err(causes(&error)), None),
            },
        };
        let pooled: u32 = db.pools().map(|(_, pool)| pool.options().get_max_connections()).sum();
        let connections = pooled + config.cache.connections();
        let expects_pooler = db.expects_pooler();
        Self {
            config,
            pillars,
            logins,
            connections,
            expects_pooler,
            server,
            findings,
            ledgers,
            migrates_pooled,
        }
    }
}

async fn seen(db: &Db, pool: &PgPool, login: Login, plan: &MigrationPlan) -> Result<Seen, DbError> {
    let queue = plan.functions.iter().filter(|function| function.is_queue());
    let queue: Vec<_> = queue.map(|function| format!("{}.{}", function.schema, function.signature)).collect();
    let (powers, has_limits, runs_queue) = db
        .outside((login, pool), async |conn: &mut PgConnection| {
            let powers = powers(conn, db.roles(), login).await?;
            let has_limits = db.has_limits(conn).await?;
            Ok::<_, DbError>((powers, has_limits, may_execute_any(conn, &queue).await?))
        })
        .await?;
    let options = pool.connect_options();
    let pooled = pooled(&options).await?;
    let trusts = options.as_ref().clone().password(WRONG_PASSWORD).connect().await.is_ok();
    Ok(Seen { powers, has_limits, runs_queue, pooled, trusts })
}

/// Whether somebody stands between who hands two clients' transactions to the same process of the server, or one client's
/// to two: while a second client is in a transaction, the first one must find its own process again.
async fn pooled(options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let (mut one, mut other) = (options.connect().await?, options.connect().await?);
    let first = server::process(&mut one).await?;
    server::begin(&mut other).await?;
    let second = server::process(&mut other).await?;
    let again = server::process(&mut one).await?;
    // A transaction that is open ends with its connection.
    drop((one, other));
    Ok(first != again || first == second)
}

async fn look(db: &Db, pool: &PgPool, config: &Config, plan: &MigrationPlan) -> Result<Seer, DbError> {
    let schemas: Vec<_> = plan.lines.iter().map(crate::Migrations::schema).collect();
    db.outside((Login::App, pool), async |conn: &mut PgConnection| {
        let settings = server::settings(conn, SETTINGS).await?;
        let audit = server::audit_partitions(conn).await?;
        let server = server::server(conn, &schemas).await?;
        let unindexed = catalog::unindexed_keys(conn, &schemas).await?;
        Ok(Seer { server, settings, now: config.clock.now(), audit, unindexed })
    })
    .await
}

async fn ledgers(url: &str, plan: &MigrationPlan) -> Result<(Vec<Ledger>, bool), DbError> {
    let options: PgConnectOptions = url.parse()?;
    let pooled = pooled(&options).await?;
    let mut conn = options.connect().await?;
    let mut ledgers = Vec::new();
    for line in &plan.lines {
        let applied = server::ledger(&mut conn, line.schema()).await?;
        ledgers.push(Ledger { schema: line.schema(), files: line.files().collect(), applied });
    }
    conn.close().await?;
    Ok((ledgers, pooled))
}
