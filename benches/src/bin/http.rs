//! What the chain costs: a tenant route behind the whole of it, with a session, against the same handler behind
//! tower-http's request id, trace and CORS, and against the handler behind nothing.
//!
//! Each server is a process of its own, so that its CPU time is its own; the load comes from this process.

use std::io::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use axum::extract::{Path, State};
use axum::routing::get;
use axum::serve::{Listener, ListenerExt};
use axum::{Json, Router};
use benches::cpu;
use benches::ratio::{Ratio, median};
use benches::ticket::{self, LIST, LIST_PLAIN, Size, Ticket};
use http::{HeaderName, Method};
use kernel_auth::Auth;
use kernel_core::http::{Json as KernelJson, Route};
use kernel_core::testkit::{Client, TestKernel, config, roles};
use kernel_core::{App, Db, DbConfig, Error, Pillar, TenantTx, Tx, WorkspaceId};
use kernel_tenancy::Tenancy;
use sqlx::PgConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tower_http::cors::CorsLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing::Level;
use uuid::Uuid;
use xtask::outcome::Outcome;

kernel_core::permissions! {
    /// Read tickets.
    pub READ = "bench.ticket.read" for Viewer;
}

const CONNECTIONS: usize = 8;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("kernel") => serve_kernel(&arguments[1]).await,
        Some("peer") => serve_plain(&arguments[1], true).await,
        Some("floor") => serve_plain(&arguments[1], false).await,
        _ => measure(arguments.iter().any(|argument| argument == "--short")).await,
    }
}

fn pillar() -> Pillar {
    ticket::pillar().permissions(ALL).routes([Route::tenant(
        Method::GET,
        "/tickets",
        "bench.ticket.list",
        READ,
        (),
        list,
    )])
}

async fn list(_: (), tx: &mut TenantTx, (): ()) -> Result<KernelJson<Vec<Ticket>>, Error> {
    let id = tx.workspace_id();
    Ok(KernelJson(sqlx::query_as(LIST).bind(id).bind("open").fetch_all(tx.conn()).await?))
}

fn register(app: kernel_core::AppBuilder) -> kernel_core::AppBuilder {
    app.with(Auth::default()).with(Tenancy).with(pillar())
}

fn logging() {
    // Who logs writes one line per request, to the same kind of place.
    tracing_subscriber::fmt().json().with_max_level(Level::INFO).with_writer(std::io::sink).init();
}

fn announce(address: SocketAddr) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{}", address.port())?;
    Ok(out.flush()?)
}

async fn serve_kernel(app_url: &str) -> Result<ExitCode> {
    logging();
    let mut db = DbConfig::new(app_url);
    db.roles = roles();
    let mut config = config();
    config.clock = kernel_core::Clock::system();
    for quota in
        [&mut config.http.quotas.address, &mut config.http.quotas.actor, &mut config.http.quotas.workspace]
    {
        // Counted like any other, and never spent.
        quota.requests = NonZeroU32::MAX;
        quota.window = Duration::from_millis(u64::from(u32::MAX));
    }
    let app = register(App::builder(Db::new(&db)?, config)).build().await?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    announce(listener.local_addr()?)?;
    let router = kernel_axum::mount(Router::new(), app.clone());
    kernel_axum::serve(&app, listener, router, std::future::pending()).await?;
    Ok(ExitCode::SUCCESS)
}

async fn serve_plain(app_url: &str, layers: bool) -> Result<ExitCode> {
    let name = if layers { "peer" } else { "floor" };
    let options = app_url.parse::<PgConnectOptions>()?.application_name(name);
    let pool = PgPoolOptions::new().max_connections(16).test_before_acquire(false).connect_lazy_with(options);
    let mut router = Router::new().route("/w/{workspace}/tickets", get(plain_list)).with_state(pool);
    if layers {
        logging();
        let id = HeaderName::from_static("x-request-id");
        let trace = TraceLayer::new_for_http()
            .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
            .on_response(DefaultOnResponse::new().level(Level::INFO));
        router = router
            .layer(CorsLayer::new())
            .layer(PropagateRequestIdLayer::new(id.clone()))
            .layer(trace)
            .layer(SetRequestIdLayer::new(id, MakeRequestUuid));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?.tap_io(|stream| drop(stream.set_nodelay(true)));
    announce(listener.local_addr()?)?;
    axum::serve(listener, router).await?;
    Ok(ExitCode::SUCCESS)
}

async fn plain_list(State(pool): State<PgPool>, Path(workspace): Path<Uuid>) -> Json<Vec<Ticket>> {
    let mut tx = pool.begin_with("BEGIN READ ONLY").await.expect("the database answers");
    let rows = sqlx::query_as(LIST_PLAIN).bind(workspace).bind("open").fetch_all(&mut *tx).await;
    tx.commit().await.expect("the database answers");
    Json(rows.expect("the database answers"))
}

/// A server and how to ask it for the list.
struct Served {
    name: &'static str,
    child: Child,
    pid: u32,
    port: u16,
    request: String,
}

async fn start(mode: &str, url: &str) -> Result<(Child, u16)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([mode, url])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start a server")?;
    let mut line = Vec::new();
    let mut out = child.stdout.take().context("no output")?;
    while !line.ends_with(b"\n") {
        ensure!(out.read_buf(&mut line).await? > 0, "the server did not start");
    }
    Ok((child, String::from_utf8(line)?.trim().parse()?))
}

async fn measure(short: bool) -> Result<ExitCode> {
    let kernel = TestKernel::start(register).await;
    let mut admin = kernel.admin().await;
    ticket::fill(&mut admin, Size { tenants: 1_000, rows: 100_000 }).await?;
    let mut client = Client::new(&kernel.app);
    let person =
        serde_json::json!({ "name": "Ada", "email": "ada@example.com", "password": "correct horse battery" });
    ensure!(client.post("/api/v1/auth/sign-up", &person).await.status == 201, "sign-up failed");
    let founded =
        client.post("/api/v1/workspaces", &serde_json::json!({ "name": "Acme", "slug": "acme" })).await;
    let workspace: WorkspaceId = founded.json()["id"].as_str().context("no workspace")?.parse()?;
    for table in ["bench", "plain"] {
        let text = format!(
            "INSERT INTO {table}.ticket SELECT $1, id, title, status, created_at FROM plain.ticket \
             WHERE workspace_id = md5('tenant 7')::uuid"
        );
        sqlx::query(sqlx::AssertSqlSafe(text)).bind(workspace).execute(&mut admin).await?;
    }
    // The session must outlive the standing clock of the test app: the served one uses the system's.
    sqlx::query("UPDATE kernel_auth.session SET expires_at = '2099-01-01', ends_at = '2099-01-01'")
        .execute(&mut admin)
        .await?;
    let url = kernel.database.logins().of(&roles().app);
    let cookie = client.cookie().context("no session")?.to_owned();
    let plain = format!("/w/{}/tickets", workspace.uuid());
    let mut served = Vec::new();
    for (mode, path, extra) in [
        ("kernel", "/api/v1/w/acme/tickets".to_owned(), format!("Cookie: {cookie}\r\n")),
        ("peer", plain.clone(), String::new()),
        ("floor", plain, String::new()),
    ] {
        let (child, port) = start(mode, &url).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n{extra}\r\n");
        let pid = child.id().context("the server is gone")?;
        served.push(Served { name: mode, child, pid, port, request });
    }
    let (blocks, requests) = if short { (20, 400) } else { (60, 800) };
    let outcome = compare(&served, &mut admin, blocks, requests).await?;
    for server in &mut served {
        server.child.kill().await?;
    }
    Ok(outcome.report("http"))
}

/// What one request cost, in microseconds, block by block.
#[derive(Default)]
struct Spent {
    cpu: Vec<f64>,
    database: Vec<f64>,
    wall: Vec<f64>,
}

async fn compare(
    served: &[Served],
    admin: &mut PgConnection,
    blocks: usize,
    requests: usize,
) -> Result<Outcome> {
    let mut spent: Vec<_> = served.iter().map(|_| Spent::default()).collect();
    // The first two blocks fill caches.
    for block in 0..blocks + 2 {
        for turn in 0..served.len() {
            // Whoever goes first changes from block to block.
            let who = (turn + block) % served.len();
            let (server, spent) = (&served[who], &mut spent[who]);
            let (process, database) =
                (cpu::of_process(server.pid)?, cpu::of_database(admin, server.name).await?);
            let started = Instant::now();
            load(server, requests).await?;
            let wall = started.elapsed();
            if block >= 2 {
                let each = |time: Duration| time.as_secs_f64() * 1e6 / requests as f64;
                spent.wall.push(each(wall));
                spent.cpu.push(each(cpu::since(process, cpu::of_process(server.pid)?)?));
                spent.database.push(each(cpu::since(database, cpu::of_database(admin, server.name).await?)?));
            }
        }
    }
    let [kernel, peer, floor] = spent.as_slice() else { bail!("three servers are compared") };
    let (ratio, over_floor) =
        (Ratio::between(&kernel.cpu, &peer.cpu), Ratio::between(&kernel.cpu, &floor.cpu));
    let each = |pick: fn(&Spent) -> &[f64]| {
        let [kernel, peer, floor] = [kernel, peer, floor].map(|spent| median(pick(spent)));
        format!("{kernel:.0}/{peer:.0}/{floor:.0}µs")
    };
    Ok(Outcome::new()
        .value("blocks", blocks)
        .value("requests", requests)
        .value("of", "kernel/peer/floor")
        .value("cpu", each(|spent| &spent.cpu))
        .value("database_cpu", each(|spent| &spent.database))
        .value("wall", each(|spent| &spent.wall))
        .value("cpu_ratio_floor", over_floor)
        .value("cpu_ratio", ratio)
        .require(!ratio.misses(2.0), format!("{ratio} times the peer's CPU time, goal 2")))
}

async fn load(server: &Served, requests: usize) -> Result<()> {
    let each = requests / CONNECTIONS;
    let clients = (0..CONNECTIONS).map(|_| ask(server.port, server.request.clone(), each));
    let mut running = tokio::task::JoinSet::new();
    clients.for_each(|client| drop(running.spawn(client)));
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

async fn ask(port: u16, request: String, times: usize) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(64 * 1024);
    for _ in 0..times {
        stream.write_all(request.as_bytes()).await?;
        buffer.clear();
        loop {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the server hung up");
            if length(&buffer)?.is_some_and(|whole| buffer.len() >= whole) {
                break;
            }
        }
        if !buffer.starts_with(b"HTTP/1.1 200") {
            bail!("{}", String::from_utf8_lossy(&buffer[..buffer.len().min(400)]));
        }
    }
    Ok(())
}

/// The length of the whole response, once its head is there.
fn length(buffer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&buffer[..end])?.to_lowercase();
    let length = head.split("content-length: ").nth(1).context("no content-length")?;
    let length: usize = length.split("\r\n").next().unwrap_or_default().parse()?;
    Ok(Some(end + 4 + length))
}
