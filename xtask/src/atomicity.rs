//! `cargo xtask prove atomicity`: what a request writes is there as a whole or not at all, what a client was told is
//! there, and what it had to ask again happened once, however often the host is killed.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kernel_core::testkit::Logins;
use kernel_core::{Db, DbConfig, Entropy, Id, Noun, WorkspaceId};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::outcome::Outcome;
use crate::prove::Options;

mod ask;
mod client;
mod fault;
pub mod host;
mod process;
mod product;

use client::{Acknowledged, Client, Record};
use fault::Fault;
use host::Order;
use process::Host;
use product::SaleNoun;

/// The faults that the proof can plant.
pub const FAULTS: &[&str] = fault::NAMES;

const CLIENTS: usize = 6;
/// How long a host serves before it is killed, at least and at most.
const LIFE: (u64, u64) = (20, 400);

/// Kills hosts under load and looks at what they leave.
///
/// # Errors
///
/// When there is no PostgreSQL that survives a crash, and when a host does not start.
pub async fn run(options: Options) -> Result<Outcome> {
    let kills = if options.short { 15 } else { 500 };
    let server = options.durable_postgres().await?;
    let database = format!("kernel_atomicity_{}", std::process::id());
    let logins = Logins::new(server.options(), &database, &product::roles());
    let outcome = trial(&logins, options.fault.and_then(Fault::named), kills).await;
    let mut admin = PgConnection::connect(&server.url("postgres")).await?;
    admin.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS \"{database}\" WITH (FORCE)"))).await?;
    outcome
}

async fn trial(logins: &Logins, fault: Option<Fault>, kills: u64) -> Result<Outcome> {
    let mut nowhere = DbConfig::new("postgres://localhost/nowhere");
    nowhere.roles = product::roles();
    logins.prepare(&product::app(&Db::new(&nowhere)?, None).plan()).await?;
    let order = Order { url: logins.of(&product::roles().app), port: free_port()?, fault };
    let mut host = Host::start(&order).await?;
    host.ready().await?;
    host.serve().await?;

    let record = Arc::new(Record::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (client, record) = (Client::start(order.port, number, &record).await?, record.clone());
        clients.spawn(async move { client.run(&record).await });
    }
    let (restarts, last) = kill(&order, host, kills).await?;
    record.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.context("a client broke down")?;
    }
    let found = Found::read(&mut PgConnection::connect(&logins.admin()).await?).await?;
    last.kill().await?;
    Ok(judge(&record, &found, kills, &restarts))
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port can be had")?;
    Ok(listener.local_addr()?.port())
}

/// Kills so many hosts, each at a moment of its own, and gives back the one that lives. The next host is built while its
/// predecessor serves, so that little time is lost between them.
async fn kill(order: &Order, mut host: Host, kills: u64) -> Result<(Vec<Duration>, Host)> {
    let entropy = Entropy::system();
    let mut restarts = Vec::new();
    for _ in 0..kills {
        let mut next = Host::start(order).await?;
        next.ready().await?;
        let life = LIFE.0 + u64::from_le_bytes(entropy.bytes()) % (LIFE.1 - LIFE.0);
        // Microseconds, because a commit is over in a few hundred of them.
        tokio::time::sleep(Duration::from_micros(life * 1000 + life * 37 % 1000)).await;
        let down = Instant::now();
        host.kill().await?;
        next.serve().await?;
        restarts.push(down.elapsed());
        host = next;
    }
    Ok((restarts, host))
}

/// What the administrator finds when all is over.
struct Found {
    torn: Vec<String>,
    sales: HashMap<String, Vec<Uuid>>,
    workspaces: HashMap<String, Vec<Uuid>>,
}

impl Found {
    async fn read(admin: &mut PgConnection) -> Result<Self> {
        let mut torn = product::torn(admin).await?;
        torn.extend(product::torn_workspaces(admin).await?);
        let sales = by_name(product::sales(admin).await?);
        let workspaces = by_name(product::workspaces(admin).await?);
        ensure!(!sales.is_empty(), "nothing was sold");
        Ok(Self { torn, sales, workspaces })
    }

    /// Whether what a client was told is there.
    fn holds(&self, told: &Acknowledged) -> bool {
        let (ids, id) = match told.noun {
            "sale" => (self.sales.get(&told.name), uuid::<SaleNoun>(&told.id)),
            _ => (self.workspaces.get(&told.name), told.id.parse().ok().map(WorkspaceId::uuid)),
        };
        ids.zip(id).is_some_and(|(ids, id)| ids.contains(&id))
    }
}

fn uuid<N: Noun>(text: &str) -> Option<Uuid> {
    text.parse().ok().map(Id::<N>::uuid)
}

fn by_name(rows: Vec<(String, Uuid)>) -> HashMap<String, Vec<Uuid>> {
    let mut named = HashMap::<_, Vec<_>>::new();
    rows.into_iter().for_each(|(name, id)| named.entry(name).or_default().push(id));
    named
}

fn judge(record: &Record, found: &Found, kills: u64, restarts: &[Duration]) -> Outcome {
    let read = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let (acknowledged, wrong) = (record.acknowledged(), record.wrong());
    let lost: Vec<_> = acknowledged.iter().filter(|told| !found.holds(told)).collect();
    let doubled: Vec<_> = found.sales.iter().filter(|(_, ids)| ids.len() > 1).collect();
    let (retried, had_effect) = (read(&record.retried), read(&record.had_effect));
    let mut restarts = restarts.to_vec();
    restarts.sort_unstable();
    let restart = restarts.get(restarts.len() / 2).copied().unwrap_or_default();
    let enough = retried >= kills / 2 && had_effect > 0 && had_effect < retried && read(&record.repeated) > 0;
    Outcome::new()
        .value("kills", kills)
        .value("requests", read(&record.requests))
        .value("acknowledged", acknowledged.len())
        .value("retried", retried)
        .value("had_effect", had_effect)
        .value("repeated", read(&record.repeated))
        .value("restart_ms", restart.as_millis())
        .value("torn", found.torn.len())
        .value("lost", lost.len())
        .value("doubled", doubled.len())
        .value("wrong", wrong.len())
        .require(found.torn.is_empty(), format!("torn: {}", few(&found.torn)))
        .require(lost.is_empty(), format!("acknowledged and not there: {}", few(&lost)))
        .require(doubled.is_empty(), format!("asked for once and there twice: {}", few(&doubled)))
        .require(wrong.is_empty(), format!("clients were told: {}", few(&wrong)))
        .require(
            enough,
            "too few requests were cut off by a kill, on both sides of their commit, to show anything",
        )
}

/// The first few, so that a report stays readable.
fn few<T: std::fmt::Debug>(all: &[T]) -> String {
    all.iter().take(5).map(|one| format!("{one:?}")).collect::<Vec<_>>().join("; ")
}
