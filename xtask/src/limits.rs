//! `cargo xtask prove limits`: however many nodes serve an app, a subject gets no more than its quota's bound, nearly all of
//! its quota when it wants more, and a flood of refused requests leaves the database alone.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::outcome::{Outcome, Stopwatch};
use crate::prove::Options;

mod cluster;
mod fault;
mod load;
mod product;
mod record;

use cluster::{Cluster, NODES};
use fault::Fault;
use load::{CLIENTS, Traffic};
use product::Tight;
use record::{Bound, Record};

/// The faults that the proof can plant.
pub const FAULTS: &[&str] = fault::NAMES;

/// Of what the quota allows, or of what is wanted if that is less, so many per cent must be let in.
const LET_IN_MIN: u64 = 90;

/// Lets clients press on shared subjects, and judges when who was let in.
///
/// # Errors
///
/// When there is no PostgreSQL, and when a node does not answer as it should.
pub async fn run(options: Options) -> Result<Outcome> {
    let fault = options.fault.and_then(Fault::named);
    // Kept while the trial runs: the nodes' databases lie on it.
    let _postgres = kernel_core::testkit::server().await?;
    let (press, flood) = if options.short { (5, 2) } else { (30, 10) };
    let mut outcome = Outcome::new().value("nodes", NODES).value("clients", CLIENTS);
    let mut clock = Stopwatch::start();
    // Who asks for every request may get less than there is, and never more.
    if fault != Some(Fault::AskAlways) {
        let cluster = Cluster::start(Tight::Each, fault).await?;
        clock.done("nodes are up");
        outcome = lapse(outcome, &cluster).await?;
        clock.done("leases have lapsed");
        if fault == Some(Fault::AfterExpiry) {
            return Ok(outcome);
        }
        outcome = pressed(outcome, &cluster, Duration::from_secs(press)).await?;
        clock.done("clients have pressed");
    }
    let cluster = Cluster::start(Tight::Strangers, fault).await?;
    outcome = flooded(outcome, &cluster, Duration::from_secs(flood)).await?;
    clock.done("a stranger has flooded");
    Ok(outcome)
}

/// Every node leases more than it spends; when the quota is whole again, all of them are pressed at once.
async fn lapse(outcome: Outcome, cluster: &Cluster) -> Result<Outcome> {
    let mut record = Record::default();
    record.extend(load::warm(cluster, product::WARM).await?);
    tokio::time::sleep(product::WINDOW + product::LIFE).await;
    record.extend(load::press(cluster, &[Traffic::Neighbour], Duration::from_millis(500)).await?);
    let bound = Bound { quota: product::QUOTA, window: product::WINDOW, life: product::LIFE };
    Ok(judge(outcome, "after_lapse", &record.of(Traffic::Neighbour), bound))
}

/// Clients want far more than there is, of an address, an actor and a workspace, at all nodes.
async fn pressed(mut outcome: Outcome, cluster: &Cluster, time: Duration) -> Result<Outcome> {
    let started = Instant::now();
    let all = [Traffic::Address, Traffic::Actor, Traffic::Workspace];
    let record = load::press(cluster, &all, time).await?;
    let time = started.elapsed();
    let bound = Bound { quota: product::QUOTA, window: product::WINDOW, life: product::LIFE };
    for (traffic, name) in all.into_iter().zip(["address", "actor", "workspace"]) {
        let asked = record.of(traffic);
        let admitted = asked.admitted.len() as u64;
        let wanted = admitted + asked.refused as u64;
        let share = admitted * 100 / bound.own(time).min(wanted);
        outcome = judge(outcome, name, &asked, bound)
            .require(asked.refused > 0, format!("{name}: all of {wanted} were let in"))
            .require(
                share >= LET_IN_MIN,
                format!("{name}: {admitted} of {wanted} let in, {share} %, goal {LET_IN_MIN} %"),
            );
    }
    Ok(outcome)
}

fn judge(outcome: Outcome, name: &'static str, asked: &record::Share, bound: Bound) -> Outcome {
    let worst = bound.worst(&asked.admitted);
    let text = format!("{}/{}", worst.admitted, worst.bound);
    outcome.value(name, &text).require(
        worst.admitted <= worst.bound,
        format!("{name}: {text} let in within {:.3} s", worst.window.as_secs_f64()),
    )
}

/// One stranger, whose quota is spent at once, goes on asking all nodes.
async fn flooded(outcome: Outcome, cluster: &Cluster, time: Duration) -> Result<Outcome> {
    cluster.proxy.reset();
    let started = Instant::now();
    let record = load::press(cluster, &[Traffic::Address], time).await?;
    let asked = record.of(Traffic::Address);
    let statements = cluster.takes();
    // A statement gets at least one request or is refused, after which its node asks no more until there is one; by its own
    // measure, which may be early by a round trip, and then it asks twice.
    let flooded = Bound { quota: product::FLOODED, window: product::FLOODED_WINDOW, life: Duration::ZERO };
    let allowed = flooded.own(started.elapsed());
    let most = allowed + NODES as u64 * (1 + 2 * (allowed - u64::from(product::FLOODED)));
    ensure!(asked.refused > 100 * NODES, "a flood of {} requests is none", asked.refused);
    Ok(outcome
        .value("flood_requests", asked.refused + asked.admitted.len())
        .value("flood_statements", statements)
        .require(statements <= most, format!("a flood became {statements} statements, goal {most}"))
        .require(asked.admitted.len() as u64 <= allowed, "the flood came in"))
}
