//! What isolation costs: the typed handle with row-level security against a plain sqlx transaction with a hand-written
//! `WHERE`, on the same rows, and against the bare statement; with the driver's cache of prepared statements and without.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use benches::cpu;
use benches::ratio::{Ratio, median, p99};
use benches::ticket::{self, LIST, LIST_PLAIN, Size, Ticket};
use kernel_core::testkit::{TestKernel, roles};
use kernel_core::{Ctx, Db, DbConfig, DbError, TenantTx, Tx, Workspace, WorkspaceId};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection};
use xtask::outcome::Outcome;
use xtask::wire::{Identity, PgTarget, Proxy};

/// How often each takes its turn in a block, and how many calls a turn has.
const TURNS: usize = 10;
const CALLS: usize = 20;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let short = std::env::args().any(|argument| argument == "--short");
    let size = if short {
        Size { tenants: 1_000, rows: 100_000 }
    } else {
        Size { tenants: 10_000, rows: 10_000_000 }
    };
    let kernel = TestKernel::start(|app| app.with(ticket::pillar())).await;
    let mut admin = kernel.admin().await;
    let (big, small) = ticket::fill(&mut admin, size).await?;
    let blocks = if short { 20 } else { 60 };
    let outcome =
        Outcome::new().value("rows", size.rows).value("tenants", size.tenants).value("blocks", blocks);
    let outcome = outcome.value("of", "kernel/plain/autocommit");
    let outcome = messages(outcome, &kernel, small).await?;
    let outcome = plans(outcome, &kernel, &[("big", big), ("small", small)]).await?;
    let outcome = times(outcome, &kernel, &mut admin, &CACHED, small, blocks).await?;
    let outcome = times(outcome, &kernel, &mut admin, &UNCACHED, small, blocks).await?;
    Ok(outcome.report("tenancy"))
}

fn reading(kernel: &TestKernel) -> Ctx {
    kernel.app.system("bench").reading()
}

async fn ours(db: &Db, cache: &Cache, ctx: &Ctx, workspace: &Workspace) -> Result<Vec<Ticket>, DbError> {
    db.tenant(ctx, workspace, async |tx: &mut TenantTx| {
        let list = sqlx::query_as(LIST).bind(tx.workspace_id()).bind("open");
        Ok(list.persistent(cache.keeps()).fetch_all(tx.conn()).await?)
    })
    .await
}

async fn plain(pool: &PgPool, cache: &Cache, workspace: WorkspaceId) -> Result<Vec<Ticket>, sqlx::Error> {
    let mut tx = pool.begin_with(cache.begin).await?;
    let list = sqlx::query_as(LIST_PLAIN).bind(workspace).bind("open");
    let rows = list.persistent(cache.keeps()).fetch_all(&mut *tx).await?;
    tx.commit().await?;
    Ok(rows)
}

async fn autocommit(
    pool: &PgPool,
    cache: &Cache,
    workspace: WorkspaceId,
) -> Result<Vec<Ticket>, sqlx::Error> {
    sqlx::query_as(LIST_PLAIN).bind(workspace).bind("open").persistent(cache.keeps()).fetch_all(pool).await
}

/// Whether statements are prepared once per connection, or each time, as behind a pooler; and the keys of the figures.
struct Cache {
    statements: usize,
    /// How a hand-written transaction begins. Behind a pooler a connection is its own for one transaction only, so it sets
    /// its limits there.
    begin: &'static str,
    cpu: &'static str,
    wall: &'static str,
    p99: &'static str,
    cpu_ratio: &'static str,
    ratio_autocommit: &'static str,
    ratio: &'static str,
    p99_ratio: &'static str,
    /// How many times as long ours may take: at the median and at the 99th percentile.
    goals: [f64; 2],
}

const CACHED: Cache = Cache {
    statements: 100,
    begin: "BEGIN READ ONLY",
    cpu: "cpu",
    wall: "wall",
    p99: "p99",
    cpu_ratio: "cpu_ratio",
    ratio_autocommit: "ratio_autocommit",
    ratio: "ratio",
    p99_ratio: "p99_ratio",
    goals: [1.10, 1.15],
};
const UNCACHED: Cache = Cache {
    statements: 0,
    begin: "BEGIN READ ONLY; SET LOCAL statement_timeout = 5000; SET LOCAL idle_in_transaction_session_timeout = 10000",
    cpu: "uncached_cpu",
    wall: "uncached_wall",
    p99: "uncached_p99",
    cpu_ratio: "uncached_cpu_ratio",
    ratio_autocommit: "uncached_ratio_autocommit",
    ratio: "uncached_ratio",
    p99_ratio: "uncached_p99_ratio",
    // The policy is planned with each statement, and what the pooler's other clients have prepared is dropped first, which
    // the hand-written program does not do.
    goals: [1.25, 1.25],
};

impl Cache {
    fn keeps(&self) -> bool {
        self.statements > 0
    }
}

fn plain_pool(url: &str, name: &str, connections: u32, cache: &Cache) -> Result<PgPool> {
    // The same limits as the kernel's, made as a hand-written program would make them: once per connection.
    let config = DbConfig::new(url);
    let limits = [
        ("statement_timeout", config.statement_timeout),
        ("idle_in_transaction_session_timeout", config.idle_timeout),
    ];
    let mut options = url.parse::<PgConnectOptions>()?.application_name(name);
    options = options.statement_cache_capacity(cache.statements);
    if cache.keeps() {
        options = options.options(limits.map(|(name, limit)| (name, limit.as_millis())));
    }
    let pool = PgPoolOptions::new().max_connections(connections).test_before_acquire(false);
    Ok(pool.connect_lazy_with(options))
}

/// How the database knows whom it works for; `kernel` is the core's own name.
const CLIENTS: [&str; 3] = ["kernel", PLAIN, "autocommit"];
const PLAIN: &str = "plain";

/// Messages and round trips of one call.
type Count = (u64, u64);

/// Counts what goes over the wire for one call, once its statements are prepared.
async fn counted<E>(proxy: &Proxy, mut call: impl AsyncFnMut() -> Result<(), E>) -> Result<Count, E> {
    // The driver pings a connection that is given back, after the call has returned.
    let settle = || tokio::time::sleep(Duration::from_millis(50));
    for _ in 0..2 {
        call().await?;
        settle().await;
    }
    proxy.reset();
    call().await?;
    settle().await;
    let counts = proxy.counts();
    Ok((counts.frontend_messages, counts.round_trips))
}

async fn messages(outcome: Outcome, kernel: &TestKernel, id: WorkspaceId) -> Result<Outcome> {
    let app_url = kernel.database.logins().of(&roles().app);
    let proxy = Proxy::start(&PgTarget::from_url(&app_url)?, Arc::new(Identity)).await?;
    let mut config = kernel.database.logins().config();
    config.app = proxy.url(&app_url)?;
    config.max_connections = 1;
    let (db, pool) = (Db::new(&config)?, plain_pool(&config.app, PLAIN, 1, &CACHED)?);
    let (ctx, workspace) = (reading(kernel), kernel.workspace(id));
    let writing = kernel.app.system("bench");

    let nothing = async |_: &mut TenantTx| Ok::<_, DbError>(());
    let open = counted(&proxy, async || db.tenant(&ctx, &workspace, nothing).await).await?;
    let open_plain =
        counted(&proxy, async || pool.begin_with("BEGIN READ ONLY").await?.commit().await).await?;
    let read = counted(&proxy, async || ours(&db, &CACHED, &ctx, &workspace).await.map(drop)).await?;
    let read_plain = counted(&proxy, async || plain(&pool, &CACHED, id).await.map(drop)).await?;
    let write = counted(&proxy, async || db.tenant(&writing, &workspace, nothing).await).await?;
    let write_plain = counted(&proxy, async || pool.begin().await?.commit().await).await?;
    let pair = |ours: Count, plain: Count| format!("{}/{}", ours.0, plain.0);
    Ok(outcome
        .value("messages_open", pair(open, open_plain))
        .value("messages_read", pair(read, read_plain))
        // One more by design: it brings to light what a COMMIT would swallow.
        .value("messages_write", pair(write, write_plain))
        .value("round_trips_read", format!("{}/{}", read.1, read_plain.1))
        .require(
            open == open_plain,
            "opening and ending a tenant transaction takes more than BEGIN and COMMIT",
        )
        .require(read == read_plain, "a tenant transaction sends more than BEGIN, the statement and COMMIT"))
}

/// Plans and buffers, under the app login: the same scans over the same indexes, and no more pages.
async fn plans(outcome: Outcome, kernel: &TestKernel, tenants: &[(&str, WorkspaceId)]) -> Result<Outcome> {
    let pool = plain_pool(&kernel.database.logins().of(&roles().app), PLAIN, 1, &CACHED)?;
    let (ctx, mut outcome) = (reading(kernel), outcome);
    for (name, id) in tenants {
        let workspace = kernel.workspace(*id);
        let found = kernel.app.db().tenant(&ctx, &workspace, async |tx: &mut TenantTx| {
            explain(tx.conn(), LIST, *id).await.map_err(DbError::from)
        });
        let secured = found.await?;
        let plain = explain(&mut *pool.acquire().await?, LIST_PLAIN, *id).await?;
        for (planned, secured, plain) in
            [("custom", &secured[0], &plain[0]), ("generic", &secured[1], &plain[1])]
        {
            let ratio = secured.buffers as f64 / plain.buffers.max(1) as f64;
            outcome = outcome
                .require(
                    secured.shape.replace("bench.", "") == plain.shape.replace("plain.", ""),
                    format!(
                        "another {planned} plan for the {name} tenant: {} instead of {}",
                        secured.shape, plain.shape
                    ),
                )
                .require(
                    ratio <= 1.05,
                    format!("{ratio:.3} times the buffers for the {name} tenant, {planned} plan"),
                );
        }
        let key = if *name == "big" { "buffers_big" } else { "buffers_small" };
        outcome = outcome.value(key, format!("{}/{}", secured[0].buffers, plain[0].buffers));
    }
    Ok(outcome)
}

struct Plan {
    shape: String,
    buffers: i64,
}

/// The plan for these very values and the one for any.
async fn explain(conn: &mut PgConnection, sql: &str, id: WorkspaceId) -> Result<[Plan; 2], sqlx::Error> {
    let custom = explain_as(conn, "force_custom_plan", sql, id).await?;
    Ok([custom, explain_as(conn, "force_generic_plan", sql, id).await?])
}

async fn explain_as(
    conn: &mut PgConnection,
    mode: &str,
    sql: &str,
    id: WorkspaceId,
) -> Result<Plan, sqlx::Error> {
    let prepare = format!("SET plan_cache_mode = {mode}; PREPARE listed (uuid, text) AS {sql}");
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *conn).await?;
    let statement =
        format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE listed ('{}', 'open')", id.uuid());
    let mut plan = Value::Null;
    // What a fresh connection reads of the catalogs, and what is not in memory yet, counts as buffers too.
    for _ in 0..3 {
        plan = sqlx::query_scalar(AssertSqlSafe(statement.clone())).fetch_one(&mut *conn).await?;
    }
    sqlx::raw_sql("DEALLOCATE listed; RESET plan_cache_mode").execute(conn).await?;
    let top = &plan[0]["Plan"];
    let buffers =
        ["Shared Hit Blocks", "Shared Read Blocks"].iter().filter_map(|key| top[*key].as_i64()).sum();
    let mut nodes = Vec::new();
    walk(top, &mut nodes);
    Ok(Plan { shape: nodes.join(" > "), buffers })
}

/// The plan's nodes without `Result`, which is where the policy's comparison sits: once per statement, not per row.
fn walk(node: &Value, nodes: &mut Vec<String>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    if kind != "Result" {
        let index = node["Index Name"].as_str().unwrap_or_default();
        nodes.push(format!("{kind} {index}").trim().to_owned());
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        walk(child, nodes);
    }
}

/// What one call took and cost, in microseconds, block by block.
#[derive(Default)]
struct Spent {
    wall: Vec<f64>,
    p99: Vec<f64>,
    cpu: Vec<f64>,
}

/// One client's part of a block.
#[derive(Default)]
struct Part {
    walls: Vec<f64>,
    cpu: Duration,
}

/// Interleaved blocks of ours, the plain transaction and autocommit.
async fn times(
    outcome: Outcome,
    kernel: &TestKernel,
    admin: &mut PgConnection,
    cache: &Cache,
    id: WorkspaceId,
    blocks: usize,
) -> Result<Outcome> {
    let url = kernel.database.logins().of(&roles().app);
    // Two connections each, so that a call need not wait for the ping with which the driver takes the last one back. With
    // more, how many processes of the server the calls are spread over, each with caches of its own, is a matter of luck.
    let (pool, single) = (plain_pool(&url, PLAIN, 2, cache)?, plain_pool(&url, CLIENTS[2], 2, cache)?);
    let mut config = kernel.database.logins().config();
    (config.max_connections, config.statement_cache) = (2, cache.statements);
    let (ctx, workspace, db) = (reading(kernel), kernel.workspace(id), Db::new(&config)?);
    let rows = ours(&db, cache, &ctx, &workspace).await?.len();
    ensure!(rows == plain(&pool, cache, id).await?.len() && rows > 0, "the two tables differ");
    let mut spent = CLIENTS.map(|_| Spent::default());
    // The first two blocks fill caches.
    for block in 0..blocks + 2 {
        let mut parts = CLIENTS.map(|_| Part::default());
        for turn in 0..TURNS * 3 {
            // Whoever goes first changes from block to block.
            let who = (turn + block) % 3;
            let before = (cpu::of_database(admin, CLIENTS[who]).await?, cpu::of_process(std::process::id())?);
            for _ in 0..CALLS {
                let started = Instant::now();
                match who {
                    0 => ours(&db, cache, &ctx, &workspace).await.map(drop)?,
                    1 => plain(&pool, cache, id).await.map(drop)?,
                    _ => autocommit(&single, cache, id).await.map(drop)?,
                }
                parts[who].walls.push(started.elapsed().as_secs_f64() * 1e6);
            }
            parts[who].cpu += cpu::since(before.1, cpu::of_process(std::process::id())?)?;
            parts[who].cpu += cpu::since(before.0, cpu::of_database(admin, CLIENTS[who]).await?)?;
        }
        if block >= 2 {
            let calls = (TURNS * CALLS) as f64;
            for (spent, part) in spent.iter_mut().zip(parts) {
                spent.wall.push(part.walls.iter().sum::<f64>() / calls);
                spent.p99.push(p99(&part.walls));
                spent.cpu.push(part.cpu.as_secs_f64() * 1e6 / calls);
            }
        }
    }
    // The next ones bear the same names: the server must have ended these by then.
    drop(db);
    pool.close().await;
    single.close().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(compared(outcome, cache, &spent))
}

fn compared(outcome: Outcome, cache: &Cache, spent: &[Spent; 3]) -> Outcome {
    let [ours, plain, single] = spent;
    let (ratio, tail) = (Ratio::between(&ours.wall, &plain.wall), Ratio::between(&ours.p99, &plain.p99));
    let each = |pick: fn(&Spent) -> &[f64]| {
        let [ours, plain, single] = [ours, plain, single].map(|spent| median(pick(spent)));
        format!("{ours:.0}/{plain:.0}/{single:.0}µs")
    };
    let [typical, late] = cache.goals;
    let kept = if cache.keeps() { "with statements kept" } else { "with each statement prepared anew" };
    outcome
        .value(cache.cpu, each(|spent| &spent.cpu))
        .value(cache.wall, each(|spent| &spent.wall))
        .value(cache.p99, each(|spent| &spent.p99))
        .value(cache.cpu_ratio, Ratio::between(&ours.cpu, &plain.cpu))
        .value(cache.ratio_autocommit, Ratio::between(&ours.wall, &single.wall))
        .value(cache.ratio, ratio)
        .value(cache.p99_ratio, tail)
        .require(
            !ratio.misses(typical),
            format!("{ratio} times the hand-written transaction {kept}, goal {typical:.2}"),
        )
        .require(!tail.misses(late), format!("{tail} times its p99 {kept}, goal {late:.2}"))
}
