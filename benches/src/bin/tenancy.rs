//! What isolation costs: the typed handle with row-level security against a plain sqlx transaction with a hand-written
//! `WHERE`, on the same rows.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use benches::ratio::Ratio;
use benches::ticket::{self, LIST, LIST_PLAIN, Size, Ticket};
use kernel_core::testkit::{TestKernel, roles};
use kernel_core::{Ctx, Db, DbError, TenantTx, Tx, Workspace, WorkspaceId};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection};
use xtask::outcome::Outcome;
use xtask::wire::{Identity, PgTarget, Proxy};

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let short = std::env::args().any(|argument| argument == "--short");
    let size = if short { Size { tenants: 1_000, rows: 100_000 } } else { Size { tenants: 10_000, rows: 1_000_000 } };
    let kernel = TestKernel::start(|app| app.with(ticket::pillar())).await;
    let mut admin = kernel.admin().await;
    let (big, small) = ticket::fill(&mut admin, size).await?;
    let blocks = if short { 20 } else { 60 };
    let outcome = Outcome::new().value("rows", size.rows).value("tenants", size.tenants).value("blocks", blocks);
    let outcome = messages(outcome, &kernel, small).await?;
    let outcome = plans(outcome, &kernel, &[("big", big), ("small", small)]).await?;
    let outcome = times(outcome, &kernel, small, blocks).await?;
    Ok(outcome.report("tenancy"))
}

fn reading(kernel: &TestKernel) -> Ctx {
    kernel.app.system("bench").reading()
}

async fn ours(db: &Db, ctx: &Ctx, workspace: &Workspace) -> Result<Vec<Ticket>, DbError> {
    db.tenant(ctx, workspace, async |tx: &mut TenantTx| {
        let id = tx.workspace_id();
        Ok(sqlx::query_as(LIST).bind(id).bind("open").fetch_all(tx.conn()).await?)
    })
    .await
}

async fn floor(pool: &PgPool, workspace: WorkspaceId) -> Result<Vec<Ticket>, sqlx::Error> {
    let mut tx = pool.begin_with("BEGIN READ ONLY").await?;
    let rows = sqlx::query_as(LIST_PLAIN).bind(workspace).bind("open").fetch_all(&mut *tx).await?;
    tx.commit().await?;
    Ok(rows)
}

async fn autocommit(pool: &PgPool, workspace: WorkspaceId) -> Result<Vec<Ticket>, sqlx::Error> {
    sqlx::query_as(LIST_PLAIN).bind(workspace).bind("open").fetch_all(pool).await
}

fn plain_pool(url: &str) -> Result<PgPool> {
    let options: PgConnectOptions = url.parse()?;
    Ok(PgPoolOptions::new().max_connections(8).test_before_acquire(false).connect_lazy_with(options))
}

/// Counts what goes over the wire for one call of each, once statements are prepared.
async fn messages(outcome: Outcome, kernel: &TestKernel, id: WorkspaceId) -> Result<Outcome> {
    let app_url = kernel.database.logins().of(&roles().app);
    let proxy = Proxy::start(&PgTarget::from_url(&app_url)?, Arc::new(Identity)).await?;
    let through = proxy.url(&app_url)?;
    let mut config = kernel.database.logins().config();
    config.app = through.clone();
    config.max_connections = 1;
    let db = Db::new(&config)?;
    let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false).connect(&through).await?;
    let (ctx, workspace) = (reading(kernel), kernel.workspace(id));

    for _ in 0..2 {
        ours(&db, &ctx, &workspace).await?;
        floor(&pool, id).await?;
    }
    proxy.reset();
    ours(&db, &ctx, &workspace).await?;
    let kernel_counts = proxy.counts();
    proxy.reset();
    floor(&pool, id).await?;
    let floor_counts = proxy.counts();
    let same = kernel_counts.round_trips == floor_counts.round_trips
        && kernel_counts.frontend_messages == floor_counts.frontend_messages;
    Ok(outcome
        .value("messages", format!("{}/{}", kernel_counts.frontend_messages, floor_counts.frontend_messages))
        .value("round_trips", format!("{}/{}", kernel_counts.round_trips, floor_counts.round_trips))
        .require(same, "a tenant transaction sends more than BEGIN, the statement and COMMIT"))
}

/// Plans and buffers, under the app login: the same scans over the same indexes, and no more pages.
async fn plans(outcome: Outcome, kernel: &TestKernel, tenants: &[(&str, WorkspaceId)]) -> Result<Outcome> {
    let pool = plain_pool(&kernel.database.logins().of(&roles().app))?;
    let (ctx, mut outcome) = (reading(kernel), outcome);
    for (name, id) in tenants {
        let workspace = kernel.workspace(*id);
        let mut secured = (String::new(), 0);
        let mut plain = (String::new(), 0);
        // Twice: the first one reads what is not in memory yet.
        for _ in 0..2 {
            let found = kernel.app.db().tenant(&ctx, &workspace, async |tx: &mut TenantTx| {
                explain(tx.conn(), LIST, *id).await.map_err(DbError::from)
            });
            secured = found.await?;
            plain = explain(&mut *pool.acquire().await?, LIST_PLAIN, *id).await?;
        }
        let shape = secured.0.replace("bench.", "") == plain.0.replace("plain.", "");
        let ratio = secured.1 as f64 / plain.1.max(1) as f64;
        outcome = outcome
            .value(if *name == "big" { "buffers_big" } else { "buffers_small" }, format!("{}/{}", secured.1, plain.1))
            .require(shape, format!("another plan for the {name} tenant: {} instead of {}", secured.0, plain.0))
            .require(ratio <= 1.05, format!("{ratio:.3} times the buffers for the {name} tenant"));
    }
    Ok(outcome)
}

/// The plan's nodes without `Result`, which is where the policy's one-time comparison sits, and the buffers touched.
async fn explain(conn: &mut PgConnection, sql: &str, id: WorkspaceId) -> Result<(String, i64), sqlx::Error> {
    let sql = sql.replace("$1", &format!("'{}'", id.uuid())).replace("$2", "'open'");
    let statement = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}");
    let plan: Value = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(conn).await?;
    let top = &plan[0]["Plan"];
    let buffers = ["Shared Hit Blocks", "Shared Read Blocks"].iter().filter_map(|key| top[*key].as_i64()).sum();
    let mut nodes = Vec::new();
    walk(top, &mut nodes);
    Ok((nodes.join(" > "), buffers))
}

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

/// Interleaved blocks of ours, the floor and autocommit.
async fn times(outcome: Outcome, kernel: &TestKernel, id: WorkspaceId, blocks: usize) -> Result<Outcome> {
    let pool = plain_pool(&kernel.database.logins().of(&roles().app))?;
    let (ctx, workspace, db) = (reading(kernel), kernel.workspace(id), kernel.app.db());
    let rows = ours(db, &ctx, &workspace).await?.len();
    ensure!(rows == floor(&pool, id).await?.len() && rows > 0, "the two tables differ");
    let (mut against_floor, mut against_autocommit) = (Vec::new(), Vec::new());
    let mut fastest = [Duration::MAX; 3];
    for block in 0..blocks + 2 {
        let mut spent = [Duration::ZERO; 3];
        for turn in 0..3 {
            // Whoever goes first changes from block to block.
            let who = (turn + block) % 3;
            let started = Instant::now();
            for _ in 0..200 {
                match who {
                    0 => ours(db, &ctx, &workspace).await.map(drop)?,
                    1 => floor(&pool, id).await.map(drop)?,
                    _ => autocommit(&pool, id).await.map(drop)?,
                }
            }
            spent[who] = started.elapsed();
        }
        if block < 2 {
            continue;
        }
        for (best, now) in fastest.iter_mut().zip(spent) {
            *best = (*best).min(now / 200);
        }
        against_floor.push(spent[0].as_secs_f64() / spent[1].as_secs_f64());
        against_autocommit.push(spent[0].as_secs_f64() / spent[2].as_secs_f64());
    }
    let (ratio, auto) = (Ratio::of(against_floor), Ratio::of(against_autocommit));
    let [mine, plain, single] = fastest.map(|time| format!("{:.0}µs", time.as_secs_f64() * 1e6));
    Ok(outcome
        .value("kernel", mine)
        .value("plain_tx", plain)
        .value("autocommit", single)
        .value("ratio", ratio)
        .value("ratio_autocommit", auto)
        .require(!ratio.misses(1.10), format!("{ratio} times the hand-written transaction, goal 1.10")))

}
