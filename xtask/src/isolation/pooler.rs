//! *Pooler*: behind a PgBouncer in transaction mode, which hands each transaction to another server connection, no
//! transaction sees or leaves anything of another, however it ends.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kernel_core::testkit::pgbouncer::PgBouncer;
use kernel_core::testkit::{TestDatabase, TestKernel, config, left_out, roles};
use kernel_core::{App, AppBuilder, Db, DbConfig, DbError, TenantTx, Workspace};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::outcome::Outcome;
use crate::prove::Options;

mod client;
mod deed;
mod ledger;
mod link;
mod product;
mod trial;

use client::Client;
use ledger::Ledger;
use link::Link;
use trial::{CONNECTIONS, Trial};

/// Opens transactions with sqlx's own `begin`, which is not safe to drop half-way: the leak must be noticed.
pub const PLAIN_BEGIN: &str = "pooler-plain-begin";
/// Names the workspace for the session instead of the transaction: the leak must be noticed.
pub const SESSION_SET: &str = "pooler-session-set";

/// What this part can plant.
pub const FAULTS: &[&str] = &[PLAIN_BEGIN, SESSION_SET];

/// How many server connections PgBouncer has for all clients together, in one round after the other.
const POOL_SIZES: [u32; 4] = [1, 2, 3, 4];
const WORKSPACES: usize = 8;
const SEED: u64 = 0x706f_6f6c;

/// Runs transactions through PgBouncer, most of which do not end as they should.
///
/// # Errors
///
/// When there is no PostgreSQL, and when the clients get stuck.
pub async fn run(options: &Options) -> Result<Outcome> {
    let transactions: u64 = if options.short || options.fault.is_some() { 2_000 } else { 100_000 };
    let kernel = product().await?;
    let workspaces = workspaces(&kernel).await?;
    let logins = kernel.database.logins();
    let login: PgConnectOptions = logins.of(&roles().app).parse()?;
    let (search, ledger) = (options.search()?, Arc::new(Ledger::default()));
    for (round, size) in POOL_SIZES.into_iter().enumerate() {
        let progress = &mut |line: &str| eprintln!("{line}");
        let bouncer = match PgBouncer::start(&search, std::slice::from_ref(&login), size, progress).await {
            Ok(bouncer) => bouncer,
            Err(error) => {
                left_out("prove isolation, pooler", &error.to_string());
                return Ok(Outcome::new().value("pooler_transactions", 0));
            }
        };
        let link = Link::to(bouncer.port()).await?;
        let through = bouncer.options(&roles().app).context("PgBouncer does not know the app's login")?;
        let url = through.port(link.port()).database(logins.database()).to_url_lossy().to_string();
        let trial = Trial {
            client: client(options, url).await?,
            link,
            ledger: ledger.clone(),
            workspaces: workspaces.clone(),
            ctx: kernel.app.system("pooler"),
            left: AtomicU64::new(transactions / POOL_SIZES.len() as u64),
        };
        trial.run(&kernel, &bouncer, SEED + 1000 * round as u64).await?;
    }
    ledger.compare(&product::all(&mut kernel.admin().await).await?);
    Ok(ledger.outcome(transactions))
}

async fn client(options: &Options, url: String) -> Result<Client> {
    if options.plants(PLAIN_BEGIN) {
        return Ok(Client::PlainBegin(Client::pool(&url, CONNECTIONS)?));
    }
    if options.plants(SESSION_SET) {
        return Ok(Client::SessionSet(Client::pool(&url, CONNECTIONS)?));
    }
    let mut config = DbConfig::new(url);
    config.roles = roles();
    config.statement_cache = 0;
    config.max_connections = CONNECTIONS;
    config.statement_timeout = Duration::from_millis(400);
    let mut forgetful = config.clone();
    forgetful.statement_cache = 100;
    let refused = product_on(Db::new(&forgetful)?).build().await.err().map(|problems| problems.to_string());
    ensure!(
        refused.as_deref().is_some_and(|problems| problems.contains("has not its time limits")),
        "an app that takes PgBouncer for the server must not start: {refused:?}"
    );
    let db = Db::new(&config)?;
    // An app must also start here, whatever others have left on the connections that it gets.
    for _ in 0..3 {
        product_on(db.clone()).build().await.context("an app does not start behind PgBouncer")?;
    }
    Ok(Client::Kernel(db))
}

fn product_on(db: Db) -> AppBuilder {
    App::builder(db, config()).with(product::pillar())
}

/// A database of the product, and an app that reaches it without a pooler.
async fn product() -> Result<TestKernel> {
    let mut nowhere = DbConfig::new("postgres://localhost/nowhere");
    nowhere.roles = roles();
    let database = TestDatabase::create(&product_on(Db::new(&nowhere)?).plan()).await?;
    let app = product_on(Db::new(&database.logins().config())?).build().await?;
    Ok(TestKernel { app, clock: config().clock, database })
}

/// Workspaces, each with the mark that says whose it is.
async fn workspaces(kernel: &TestKernel) -> Result<Vec<Workspace>> {
    let (mut workspaces, ctx) = (Vec::new(), kernel.app.system("pooler"));
    for _ in 0..WORKSPACES {
        let workspace = kernel.found_workspace().await;
        let mark = async |tx: &mut TenantTx| product::mark(tx).await.map_err(DbError::from);
        kernel.app.db().tenant(&ctx, &workspace, mark).await?;
        workspaces.push(workspace);
    }
    Ok(workspaces)
}
