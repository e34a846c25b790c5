//! What a rate limit costs per admitted request: counted in the process, leased and in the database, against what each
//! cannot be cheaper than (an atomic integer, a bare UPDATE) and against governor, which counts in the process.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use benches::cpu;
use benches::ratio::{Ratio, median};
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use kernel_core::Db;
use kernel_core::http::{Counting, Quota};
use kernel_core::testkit::{RateLimit, TestKernel, roles};
use sqlx::PgConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use xtask::outcome::Outcome;
use xtask::wire::{Identity, PgTarget, Proxy};

/// Requests in a turn: where hardly anything leaves the process, so many that the kernel's accounting of CPU time, which
/// goes by ticks of milliseconds, tells them apart; and where everything does.
const LOCAL: u32 = 400_000;
const REMOTE: u32 = 400;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// Counted like any other, and never spent: one request a millisecond, four thousand million at once.
const WIDE: Quota =
    Quota { requests: NonZeroU32::MAX, window: Duration::from_millis(NonZeroU32::MAX.get() as u64) };

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let short = std::env::args().any(|argument| argument == "--short");
    let blocks = if short { 20 } else { 60 };
    let kernel = TestKernel::start(|app| app).await;
    let outcome = Outcome::new().value("blocks", blocks);
    let outcome = local(outcome, kernel.app.db(), blocks).await?;
    let outcome = remote(outcome, &kernel, blocks).await?;
    let outcome = statements(outcome, &kernel).await?;
    Ok(outcome.report("limits"))
}

/// GCRA on one integer that all threads share: what no limiter that knows its subject can beat.
struct Floor {
    start: Instant,
    whole_at: AtomicU64,
}

impl Floor {
    fn admits(&self) -> bool {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let spend = |whole_at: u64| {
            let then = whole_at.max(now) + 1000;
            (then <= now + 1000 * u64::from(u32::MAX)).then_some(then)
        };
        self.whole_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }
}

/// CPU time of this process per request, in nanoseconds.
async fn each(times: u32, mut admits: impl AsyncFnMut() -> bool) -> Result<f64> {
    let before = cpu::of_process(std::process::id())?;
    let mut admitted = 0;
    for _ in 0..times {
        admitted += u32::from(admits().await);
    }
    let spent = cpu::since(before, cpu::of_process(std::process::id())?)?;
    ensure!(admitted == times, "{} were refused", times - admitted);
    Ok(spent.as_secs_f64() * 1e9 / f64::from(times))
}

async fn local(outcome: Outcome, db: &Db, blocks: usize) -> Result<Outcome> {
    let floor = Floor { start: Instant::now(), whole_at: AtomicU64::new(0) };
    let governor: DefaultKeyedRateLimiter<IpAddr> = RateLimiter::keyed(
        governor::Quota::with_period(Duration::from_millis(1))
            .expect("a millisecond is no empty period")
            .allow_burst(NonZeroU32::MAX),
    );
    let process = RateLimit::new(db, Counting::Process, WIDE);
    let leased = RateLimit::new(db, Counting::Leased, WIDE);
    let mut spent: [Vec<f64>; 4] = Default::default();
    // The first two blocks fill caches, and let leases grow.
    for block in 0..blocks + 2 {
        for turn in 0..4 {
            // Whoever goes first changes from block to block.
            let who = (turn + block) % 4;
            let each = match who {
                0 => each(LOCAL, async || floor.admits()).await?,
                1 => each(LOCAL, async || governor.check_key(&ADDRESS).is_ok()).await?,
                2 => each(LOCAL, async || process.admits(ADDRESS).await).await?,
                _ => each(LOCAL, async || leased.admits(ADDRESS).await).await?,
            };
            if block >= 2 {
                spent[who].push(each);
            }
        }
    }
    let [floor, governor, process, leased] = &spent;
    let (alone, ratio) = (Ratio::between(process, governor), Ratio::between(leased, governor));
    let [a, b, c, d] = [floor, governor, process, leased].map(|spent| median(spent));
    Ok(outcome
        .value("local", "atomic/governor/process/leased")
        .value("cpu", format!("{a:.0}/{b:.0}/{c:.0}/{d:.0}ns"))
        .value("process_ratio", alone)
        .value("leased_ratio", ratio)
        .require(!alone.misses(4.0), format!("counting costs {alone} times what governor does, goal 4")))
}

/// The same statement that the function's GCRA comes down to, prepared and by primary key.
const UPDATE: &str = "UPDATE bench.floor SET whole_at = greatest(whole_at, $2) + 1000 \
     WHERE id = $1 AND greatest(whole_at, $2) + 1000 <= $2 + $3 RETURNING whole_at";

async fn update(pool: &PgPool, start: Instant) -> bool {
    let now = i64::try_from(start.elapsed().as_micros()).unwrap_or(i64::MAX);
    let most = 1000 * i64::from(u32::MAX);
    let updated: Result<Option<i64>, _> =
        sqlx::query_scalar(UPDATE).bind(1).bind(now).bind(most).fetch_optional(pool).await;
    updated.is_ok_and(|whole_at| whole_at.is_some())
}

/// Wall-clock time of one request after the other, in microseconds, and the CPU time of both sides.
async fn remote(outcome: Outcome, kernel: &TestKernel, blocks: usize) -> Result<Outcome> {
    let mut admin = kernel.admin().await;
    sqlx::raw_sql(
        "CREATE SCHEMA bench; CREATE UNLOGGED TABLE bench.floor (id integer PRIMARY KEY, whole_at bigint NOT NULL) \
         WITH (fillfactor = 50); INSERT INTO bench.floor VALUES (1, 0)",
    )
    .execute(&mut admin)
    .await?;
    let app = roles().app;
    let grant = format!("GRANT USAGE ON SCHEMA bench TO {app}; GRANT SELECT, UPDATE ON bench.floor TO {app}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(grant)).execute(&mut admin).await?;
    let options: PgConnectOptions = kernel.database.logins().of(&app).parse()?;
    // Two connections each: a call need not wait for the ping with which the driver takes the last one back.
    let pool = PgPoolOptions::new().max_connections(2).test_before_acquire(false);
    let pool = pool.connect_lazy_with(options.application_name("floor"));
    let mut config = kernel.database.logins().config();
    config.max_connections = 2;
    let database = RateLimit::new(&Db::new(&config)?, Counting::Database, WIDE);
    let (start, mut wall, mut spent) = (Instant::now(), [vec![], vec![]], [vec![], vec![]]);
    for block in 0..blocks + 2 {
        for turn in 0..2 {
            let who = (turn + block) % 2;
            let name = ["floor", "kernel"][who];
            let before = both(&mut admin, name).await?;
            let started = Instant::now();
            for _ in 0..REMOTE {
                let admitted = match who {
                    0 => update(&pool, start).await,
                    _ => database.admits(ADDRESS).await,
                };
                ensure!(admitted, "{name}: refused");
            }
            let took = started.elapsed();
            if block >= 2 {
                let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(REMOTE);
                wall[who].push(each(took));
                spent[who].push(each(cpu::since(before, both(&mut admin, name).await?)?));
            }
        }
    }
    let [floor, database] = &wall;
    let ratio = Ratio::between(database, floor);
    let pair = |of: &[Vec<f64>; 2]| format!("{:.0}/{:.0}µs", median(&of[0]), median(&of[1]));
    Ok(outcome
        .value("remote", "update/database")
        .value("wall", pair(&wall))
        .value("both_cpu", pair(&spent))
        .value("database_cpu_ratio", Ratio::between(&spent[1], &spent[0]))
        .value("database_ratio", ratio)
        .require(!ratio.misses(2.0), format!("asking costs {ratio} times a bare UPDATE, goal 2")))
}

/// The CPU time of this process and of the database for one client.
async fn both(admin: &mut PgConnection, client: &str) -> Result<Duration> {
    Ok(cpu::of_database(admin, client).await? + cpu::of_process(std::process::id())?)
}

/// How often the database is asked while one node spends a whole quota of the usual size.
async fn statements(outcome: Outcome, kernel: &TestKernel) -> Result<Outcome> {
    let mut config = kernel.database.logins().config();
    let proxy = Proxy::start(&PgTarget::from_url(&config.app)?, Arc::new(Identity)).await?;
    config.app = proxy.url(&config.app)?;
    let limit = RateLimit::new(&Db::new(&config)?, Counting::Leased, Quota::per_minute(1000));
    let other: IpAddr = "192.0.2.2".parse()?;
    for _ in 0..1000 {
        ensure!(limit.admits(other).await, "refused before the quota was spent");
    }
    let asked = proxy.counts().statements;
    Ok(outcome
        .value("statements_per_1000", asked)
        .require(asked <= 100, format!("{asked} statements for 1000 requests, goal 100")))
}
