//! Those who write and read sealed values all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use kernel_core::secret::ExposeSecret;
use kernel_core::testkit::TestKernel;
use kernel_core::{App, Ctx, DbError, Error, TenantTx, Tx, Workspace, open, seal};
use sqlx::AssertSqlSafe;
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use super::product::{self, ChannelId, TOKEN};
use super::rotation::Node;

const WORKSPACES: usize = 3;
/// Rows per workspace; each has one writer, so that the last value that it was told is committed is the right one.
const ROWS: usize = 20;
const WRITERS: usize = 6;
/// How long each of those who write and read rests, so that the turning of keys gets its share of the machine.
const REST: Duration = Duration::from_millis(3);

#[derive(Default)]
pub(super) struct Tally {
    pub(super) stop: AtomicBool,
    /// Held by whoever reads or writes: minutes pass between transactions, as no transaction lasts for minutes.
    pub(super) under_way: RwLock<()>,
    pub(super) writes: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) unopened: AtomicU64,
    pub(super) lost: AtomicU64,
}

/// A row, and the last value that its writer was told is committed.
pub(super) struct Row {
    workspace: Workspace,
    id: ChannelId,
    pub(super) last: AtomicU64,
}

pub(super) async fn rows(kernel: &TestKernel, node: &Node) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for _ in 0..WORKSPACES {
        let workspace = kernel.found_workspace().await;
        let ctx = node.app.system("secrets");
        for _ in 0..ROWS {
            let id = ctx.new_id();
            let insert = async |tx: &mut TenantTx| product::insert(tx, id, "row", "0", None).await;
            node.app.db().tenant(&ctx, &workspace, insert).await?;
            rows.push(Row { workspace: workspace.clone(), id, last: AtomicU64::new(0) });
        }
    }
    Ok(rows)
}

pub(super) fn traffic(nodes: &[Node], rows: &Arc<Vec<Row>>, tally: &Arc<Tally>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let node = nodes[writer % nodes.len()].clone();
        tasks.spawn(write(node, rows.clone(), writer, tally.clone()));
    }
    for node in nodes.iter().take(3).cloned() {
        tasks.spawn(look(node, rows.clone(), tally.clone()));
    }
    tasks
}

/// Counts up in the rows that are this writer's.
async fn write(node: Node, rows: Arc<Vec<Row>>, writer: usize, tally: Arc<Tally>) {
    let ctx = node.app.system("writer");
    while !tally.stop.load(Ordering::SeqCst) {
        for row in rows.iter().skip(writer).step_by(WRITERS) {
            tokio::time::sleep(REST).await;
            let _under_way = tally.under_way.read().await;
            let next = row.last.load(Ordering::SeqCst) + 1;
            match set(&node.app, &ctx, row, next).await {
                Ok(before) => {
                    tally.lost.fetch_add(
                        u64::from(before.is_some_and(|before| before + 1 != next)),
                        Ordering::SeqCst,
                    );
                    tally.unopened.fetch_add(u64::from(before.is_none()), Ordering::SeqCst);
                    row.last.store(next, Ordering::SeqCst);
                    tally.writes.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => {
                    eprintln!("a write failed: {}", kernel_core::causes(&error));
                    tally.failed.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }
}

/// Writes a value, and returns the one that was there; `None` if that did not open.
async fn set(app: &App, ctx: &Ctx, row: &Row, value: u64) -> Result<Option<u64>, Error> {
    app.db()
        .tenant(ctx, &row.workspace, async |tx: &mut TenantTx| {
            let before = read(tx, row, " FOR UPDATE").await?;
            let sealed = seal(tx, TOKEN, row.id, value.to_string().as_bytes())?;
            let workspace = tx.workspace_id();
            sqlx::query("UPDATE vault.channel SET token = $3 WHERE workspace_id = $1 AND id = $2")
                .bind(workspace)
                .bind(row.id)
                .bind(sealed)
                .execute(tx.conn())
                .await
                .map_err(DbError::from)?;
            Ok(before)
        })
        .await
}

/// Reads every row; none may be older than what was committed before.
async fn look(node: Node, rows: Arc<Vec<Row>>, tally: Arc<Tally>) {
    let ctx = node.app.system("reader");
    while !tally.stop.load(Ordering::SeqCst) {
        for row in rows.iter() {
            tokio::time::sleep(REST).await;
            let _under_way = tally.under_way.read().await;
            let least = row.last.load(Ordering::SeqCst);
            match get(&node.app, &ctx, row).await {
                Ok(Some(value)) => {
                    tally.reads.fetch_add(1, Ordering::SeqCst);
                    tally.lost.fetch_add(u64::from(value < least), Ordering::SeqCst);
                }
                Ok(None) => {
                    tally.unopened.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => {
                    eprintln!("a read failed: {}", kernel_core::causes(&error));
                    tally.failed.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }
}

/// What the row holds; `None` if it does not open.
pub(super) async fn get(app: &App, ctx: &Ctx, row: &Row) -> Result<Option<u64>, Error> {
    let look = async |tx: &mut TenantTx| read(tx, row, "").await;
    app.db().tenant(&ctx.reading(), &row.workspace, look).await
}

async fn read(tx: &mut TenantTx, row: &Row, lock: &str) -> Result<Option<u64>, Error> {
    let workspace = tx.workspace_id();
    let statement = format!("SELECT token FROM vault.channel WHERE workspace_id = $1 AND id = $2{lock}");
    let found =
        sqlx::query_scalar(AssertSqlSafe(statement)).bind(workspace).bind(row.id).fetch_one(tx.conn());
    let sealed: Vec<u8> = found.await.map_err(DbError::from)?;
    let plain = open(tx, TOKEN, row.id, &sealed).ok();
    Ok(plain.and_then(|plain| std::str::from_utf8(plain.expose_secret()).ok()?.parse().ok()))
}
