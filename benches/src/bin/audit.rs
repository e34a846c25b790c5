//! What auditing costs a busy workspace: the same write with and without its audit row, eight clients at once, while the
//! sealer is at work; and how long a row waits for its seal. A write is a request as products write: with an
//! `Idempotency-Key`, and with an event for those who listen. For comparison the same request with nothing but its row,
//! and the bare transaction of one row.

use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::cpu;
use benches::ratio::{Ratio, median};
use benches::ticket;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use kernel_auth::Auth;
use kernel_core::http::{Json, Route};
use kernel_core::job::JobNoun;
use kernel_core::testkit::{Client, TestKernel, config};
use kernel_core::{
    AppBuilder, AuditAction, AuditEntry, Clock, Entropy, Error, Event, Id, Pillar, TenantTx, Tx, Workspace, audit, publish,
};
use kernel_jobs::{Jobs, Runner, RunnerConfig};
use kernel_tenancy::Tenancy;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use tokio::task::JoinSet;
use uuid::Uuid;
use xtask::outcome::Outcome;

kernel_core::permissions! {
    /// Write tickets.
    pub WRITE = "bench.ticket.create" for Member;
}

const CLIENTS: usize = 8;
/// How long one turn lasts; a block has two of each kind.
const TURN: Duration = Duration::from_millis(500);
/// The audited rate is at least nine tenths of the other one: a write takes at most so many times as long.
const GOAL: f64 = 1.0 / 0.9;
/// How long a row may wait for its seal.
const WINDOW: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let blocks = if std::env::args().any(|argument| argument == "--short") { 12 } else { 40 };
    let mut config = config();
    (config.clock, config.entropy) = (Clock::system(), Entropy::system());
    let quotas = &mut config.http.quotas;
    for quota in [&mut quotas.address, &mut quotas.actor, &mut quotas.workspace] {
        // Counted like any other, and never spent.
        (quota.requests, quota.window) = (NonZeroU32::MAX, Duration::from_millis(u64::from(u32::MAX)));
    }
    let kernel = TestKernel::with(config, register).await;
    let mut admin = kernel.admin().await;
    let runner = Runner::new(&kernel.app, RunnerConfig::default())?;
    let sealer = tokio::spawn(async move { runner.run(std::future::pending()).await });
    let longest = Arc::new(AtomicU64::new(0));
    let watch = tokio::spawn(watch(kernel.admin().await, longest.clone()));

    let client = client(&kernel).await?;
    let request = measure(&mut admin, blocks, &Requesting { client: client.clone(), whole: true }).await?;
    let row = measure(&mut admin, blocks, &Requesting { client, whole: false }).await?;
    let bare = measure(&mut admin, blocks, &writing(&kernel).await?).await?;

    let caught_up = catch_up(&mut admin).await?;
    ensure!(!watch.is_finished(), "the wait for seals was not watched to the end: {:?}", watch.await);
    watch.abort();
    sealer.abort();
    let longest = Duration::from_millis(longest.load(Ordering::Relaxed));
    let ratio = request.ratio();
    let outcome = Outcome::new()
        .value("clients", CLIENTS)
        .value("blocks", blocks)
        .value("audited_rows", request.rows + row.rows + bare.rows)
        .value("of", "audited/plain")
        .value("bare_cpu", bare.cpus())
        .value("bare_per_s", bare.rates())
        .value("bare_ratio", bare.ratio())
        .value("row_cpu", row.cpus())
        .value("row_per_s", row.rates())
        .value("row_ratio", row.ratio())
        .value("lag_ms", longest.as_millis())
        .value("catch_up_ms", caught_up.as_millis())
        .value("cpu", request.cpus())
        .value("requests_per_s", request.rates())
        .value("ratio", ratio)
        .require(
            !ratio.misses(GOAL),
            format!("{ratio} times as long as without an audit row, goal {GOAL:.3}"),
        )
        .require(longest <= WINDOW, format!("a row waited {longest:?} for its seal"));
    Ok(outcome.report("audit"))
}

fn register(app: AppBuilder) -> AppBuilder {
    app.with(Auth::default()).with(Tenancy).with(Jobs::new()).with(pillar())
}

fn pillar() -> Pillar {
    let post = Method::POST;
    ticket::pillar().permissions(ALL).routes([
        Route::tenant(post.clone(), "/rows", "bench.row.create", WRITE, (), create),
        Route::tenant(post.clone(), "/audited-rows", "bench.row.create_audited", WRITE, (), create_audited),
        Route::tenant(post.clone(), "/tickets", "bench.ticket.create", WRITE, (), open),
        Route::tenant(post, "/audited-tickets", "bench.ticket.create_audited", WRITE, (), open_audited),
    ])
}

/// What others may want to know of.
#[derive(Serialize, Deserialize)]
struct Opened {
    id: Id<JobNoun>,
}

impl Event for Opened {
    const NAME: &'static str = "bench.ticket.opened";

    fn aggregate(&self) -> Uuid {
        self.id.uuid()
    }
}

async fn open(_: (), tx: &mut TenantTx, (): ()) -> Result<Json<Id<JobNoun>>, Error> {
    let id = insert(tx, false).await?;
    publish(tx, &Opened { id }).await?;
    Ok(Json(id))
}

async fn open_audited(_: (), tx: &mut TenantTx, (): ()) -> Result<Json<Id<JobNoun>>, Error> {
    let id = insert(tx, true).await?;
    publish(tx, &Opened { id }).await?;
    Ok(Json(id))
}

async fn create(_: (), tx: &mut TenantTx, (): ()) -> Result<Json<Id<JobNoun>>, Error> {
    insert(tx, false).await.map(Json)
}

async fn create_audited(_: (), tx: &mut TenantTx, (): ()) -> Result<Json<Id<JobNoun>>, Error> {
    insert(tx, true).await.map(Json)
}

async fn insert(tx: &mut TenantTx, audits: bool) -> Result<Id<JobNoun>, Error> {
    let (workspace, id, now) = (tx.workspace_id(), tx.ctx().new_id::<JobNoun>(), tx.ctx().now());
    sqlx::query(
        "INSERT INTO bench.ticket (workspace_id, id, title, status, created_at) VALUES ($1, $2, $3, 'open', $4)",
    )
    .bind(workspace)
    .bind(id)
    .bind("A ticket")
    .bind(now)
    .execute(tx.conn())
    .await?;
    if audits {
        audit(tx, AuditEntry::new(AuditAction::new("bench.ticket.create")).target("ticket", id)).await?;
    }
    Ok(id)
}

/// Whoever writes until its turn is over, and says how often.
trait Writer: Clone + Send + 'static {
    fn write(&mut self, audits: bool) -> impl Future<Output = Result<()>> + Send;
}

#[derive(Clone)]
struct Requesting {
    client: Client,
    /// With all that belongs to a write; otherwise with its row alone.
    whole: bool,
}

/// A client that has logged in and founded a workspace.
async fn client(kernel: &TestKernel) -> Result<Client> {
    let mut client = Client::new(&kernel.app);
    let person = json!({ "name": "Ada", "email": "ada@example.com", "password": "correct horse battery" });
    ensure!(client.post("/api/v1/auth/sign-up", &person).await.status == 201, "sign-up failed");
    let founded = client.post("/api/v1/workspaces", &json!({ "name": "Acme", "slug": "acme" })).await;
    ensure!(founded.status == 201, "no workspace");
    Ok(client)
}

impl Writer for Requesting {
    async fn write(&mut self, audits: bool) -> Result<()> {
        let path = match (self.whole, audits) {
            (true, false) => "tickets",
            (true, true) => "audited-tickets",
            (false, false) => "rows",
            (false, true) => "audited-rows",
        };
        let mut request = Request::post(format!("/api/v1/w/acme/{path}")).header(CONTENT_TYPE, "application/json");
        if self.whole {
            request = request.header("idempotency-key", Uuid::new_v4().to_string());
        }
        let answer = self.client.send(request, "{}".into()).await;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        Ok(())
    }
}

#[derive(Clone)]
struct Writing {
    kernel: Arc<(kernel_core::App, Workspace)>,
}

async fn writing(kernel: &TestKernel) -> Result<Writing> {
    Ok(Writing { kernel: Arc::new((kernel.app.clone(), kernel.found_workspace().await)) })
}

impl Writer for Writing {
    async fn write(&mut self, audits: bool) -> Result<()> {
        let (app, workspace) = &*self.kernel;
        let write = async |tx: &mut TenantTx| insert(tx, audits).await;
        app.db().tenant(&app.system("bench"), workspace, write).await?;
        Ok(())
    }
}

/// What a write took, in microseconds, block by block: without its audit row and with it.
#[derive(Default)]
struct Spent {
    wall: [Vec<f64>; 2],
    cpu: [Vec<f64>; 2],
    /// Audited rows.
    rows: u64,
}

impl Spent {
    fn ratio(&self) -> Ratio {
        Ratio::between(&self.wall[1], &self.wall[0])
    }

    fn rates(&self) -> String {
        let [plain, audited] = self.wall.each_ref().map(|wall| CLIENTS as f64 * 1e6 / median(wall));
        format!("{audited:.0}/{plain:.0}")
    }

    fn cpus(&self) -> String {
        let [plain, audited] = self.cpu.each_ref().map(|cpu| median(cpu));
        format!("{audited:.0}/{plain:.0}µs")
    }
}

async fn measure(admin: &mut PgConnection, blocks: usize, writer: &impl Writer) -> Result<Spent> {
    let mut spent = Spent::default();
    // The first two blocks fill caches.
    for block in 0..blocks + 2 {
        let (mut walls, mut cpus) = ([0.0_f64; 2], [0.0_f64; 2]);
        // Whoever goes first changes from block to block, and who goes first within one goes last in it.
        let first = block % 2;
        for audits in [first, 1 - first, 1 - first, first] {
            let before = spent_by_all(admin).await?;
            let (wall, writes) = turn(writer, audits == 1).await?;
            // The sealer's part belongs to the rows that it seals.
            catch_up(admin).await?;
            let after = spent_by_all(admin).await?;
            walls[audits] += wall / 2.0;
            cpus[audits] += cpu::since(before, after)?.as_secs_f64() * 1e6 / writes as f64 / 2.0;
            spent.rows += if audits == 1 { writes } else { 0 };
        }
        if block >= 2 {
            for kind in 0..2 {
                spent.wall[kind].push(walls[kind]);
                spent.cpu[kind].push(cpus[kind]);
            }
        }
    }
    Ok(spent)
}

/// CPU time of this process and of all that the database does for it.
async fn spent_by_all(admin: &mut PgConnection) -> Result<Duration> {
    Ok(cpu::of_process(std::process::id())? + cpu::of_database(admin, "kernel").await?)
}

/// Writes for one turn; returns how many microseconds a write took, and how many there were.
async fn turn(writer: &impl Writer, audits: bool) -> Result<(f64, u64)> {
    let (mut clients, started) = (JoinSet::new(), Instant::now());
    for _ in 0..CLIENTS {
        let mut writer = writer.clone();
        clients.spawn(async move {
            let mut writes = 0;
            while started.elapsed() < TURN {
                writer.write(audits).await?;
                writes += 1;
            }
            Ok::<_, anyhow::Error>(writes)
        });
    }
    let mut writes = 0;
    while let Some(ended) = clients.join_next().await {
        writes += ended.context("a client broke down")??;
    }
    ensure!(writes > 0, "nothing was written");
    Ok((started.elapsed().as_secs_f64() * 1e6 * CLIENTS as f64 / writes as f64, writes))
}

/// Keeps in `longest` how many milliseconds a row has waited for its seal at most.
async fn watch(mut admin: PgConnection, longest: Arc<AtomicU64>) -> Result<()> {
    loop {
        let age: Option<f64> = sqlx::query_scalar(
            "SELECT extract(epoch FROM clock_timestamp() - min(a.created_at))::float8 * 1000
             FROM kernel_core.audit_unsealed AS a",
        )
        .fetch_one(&mut admin)
        .await?;
        longest.fetch_max(age.unwrap_or_default().max(0.0) as u64, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn catch_up(admin: &mut PgConnection) -> Result<Duration> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        let left: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM kernel_core.audit_unsealed)")
            .fetch_one(&mut *admin)
            .await?;
        if !left {
            return Ok(started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("the sealer does not catch up")
}
