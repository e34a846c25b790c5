//! Two nodes write and read sealed values while data keys rotate, are wrapped anew, and everything is sealed again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use kernel_core::testkit::TestKernel;
use kernel_core::{App, Clock, Db, Entropy, LocalKeys};
use sqlx::{Executor, PgConnection};

use super::product;
use super::traffic::{Row, Tally, get, rows, traffic};
use crate::outcome::Outcome;
use crate::wire::{PgTarget, Proxy, Rewrite, Rewriting};

/// How long the re-sealing waits between reading and writing, so that others write meanwhile.
const PAUSE: &str = "0.03";

/// What is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A new key seals at once.
    EarlyKey,
    /// What is sealed again overwrites what was written meanwhile.
    LostUpdate,
}

/// Makes the re-sealing slow, and in the fault's case careless.
struct Slow {
    careless: bool,
}

impl Rewrite for Slow {
    fn rewrite(&self, sql: &str) -> Rewriting {
        let reads = sql.starts_with("SELECT id, \"token\" FROM \"vault\".\"channel\"");
        let writes = sql.starts_with("UPDATE \"vault\".\"channel\" AS t");
        let sql = match (reads, writes && self.careless) {
            (true, _) => {
                Some(sql.replace("WHERE ", &format!("WHERE (SELECT true FROM pg_sleep({PAUSE})) AND ")))
            }
            (_, true) => Some(sql.replace(" AND t.\"token\" = n.before", "")),
            _ => None,
        };
        Rewriting { sql, unparsed: Vec::new() }
    }
}

/// One of the processes of the installation: its app, and its own idea of the time.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) app: App,
    clock: Clock,
}

pub(super) async fn run(short: bool, fault: Option<Fault>) -> Result<Outcome> {
    let (first, second) = (key(), key());
    let keys = |names: &[(&str, &str)]| -> Result<LocalKeys> {
        let (newest, older) = names.split_first().context("there is a key")?;
        let keys = LocalKeys::new(newest.0, newest.1)?;
        Ok(older.iter().try_fold(keys, |keys, (id, key)| keys.and_older(*id, key))?)
    };
    // Every node can unwrap with the new key before anybody wraps with it.
    let old = keys(&[("1", &first), ("2", &second)])?;
    let kernel = TestKernel::with(product::config(old.clone()), |app| product::register(app, None)).await;
    let mut admin = kernel.admin().await;
    admin.execute("DELETE FROM kernel_core.data_key").await?;
    // All at once: one of them makes the first key.
    let starts = (0..4).map(|node| start(&kernel, old.clone(), node, None));
    let nodes: Vec<Node> = futures_util::future::try_join_all(starts).await?;
    let first_keys: i64 =
        sqlx::query_scalar("SELECT count(*) FROM kernel_core.data_key").fetch_one(&mut admin).await?;

    let proxy = Proxy::start(
        &PgTarget::from_url(&kernel.database.logins().admin())?,
        Arc::new(Slow { careless: fault == Some(Fault::LostUpdate) }),
    )
    .await?;
    let sealer = start(&kernel, old.clone(), 4, Some(&proxy)).await?;
    let rotator = start(&kernel, old.clone(), 5, None).await?;
    let (both, tally) = (
        Keys { both: keys(&[("2", &second), ("1", &first)])?, newest: keys(&[("2", &second)])? },
        Arc::new(Tally::default()),
    );
    let rows = Arc::new(rows(&kernel, &nodes[0]).await?);
    let mut traffic = traffic(&nodes, &rows, &tally);
    let rounds = if short { 2 } else { 8 };
    let mut trial = Trial {
        kernel: &kernel,
        rotator,
        nodes,
        sealer,
        admin,
        tally: tally.clone(),
        fault,
        changed: 0,
        resealed: 0,
        rewrapped: 0,
    };
    let turned = trial.turn(rounds, &both).await;
    tally.stop.store(true, Ordering::SeqCst);
    while let Some(ended) = traffic.join_next().await {
        ended?;
    }
    turned?;
    let open_at_end = trial.end(&rows, both.newest).await?;
    Ok(trial.outcome(first_keys, open_at_end, rows.len()))
}

/// The provider's keys: while it changes, and after.
struct Keys {
    both: LocalKeys,
    newest: LocalKeys,
}

fn key() -> String {
    STANDARD.encode(Entropy::system().bytes::<32>())
}

/// A node whose clock is a little off, as clocks are.
async fn start(kernel: &TestKernel, keys: LocalKeys, node: i32, proxy: Option<&Proxy>) -> Result<Node> {
    let mut config = product::config(keys);
    config.clock = Clock::manual(kernel.clock.now() + TimeDelta::seconds(i64::from(node) * 7));
    let clock = config.clock.clone();
    let mut db = kernel.database.logins().config();
    db.max_connections = 8;
    if let Some(proxy) = proxy {
        db.app = proxy.url(&db.app)?;
    }
    let app = product::register(App::builder(Db::new(&db)?, config), None).build().await;
    Ok(Node { app: app.map_err(|problems| anyhow!("{problems}"))?, clock })
}

struct Trial<'a> {
    kernel: &'a TestKernel,
    nodes: Vec<Node>,
    rotator: Node,
    /// Re-seals through the proxy.
    sealer: Node,
    admin: PgConnection,
    tally: Arc<Tally>,
    fault: Option<Fault>,
    changed: u64,
    resealed: u64,
    rewrapped: u32,
}

impl Trial<'_> {
    async fn turn(&mut self, rounds: usize, keys: &Keys) -> Result<()> {
        // Longer, if no write has come between yet: that is for chance to say.
        for round in 0..rounds + 10 {
            if round >= rounds && (self.changed > 0 || self.fault.is_some()) {
                break;
            }
            let first = self.rotator.app.clone();
            let ctx = first.system("secrets");
            let number = first.rotate_data_key(&ctx).await?;
            if self.fault == Some(Fault::EarlyKey) {
                sqlx::query("UPDATE kernel_core.data_key SET sealing_from = created_at WHERE number = $1")
                    .bind(number)
                    .execute(&mut self.admin)
                    .await?;
                // One node hears of it, and the others do not yet.
                self.nodes[0].app.data_keys(&self.nodes[0].app.system("secrets")).await?;
            }
            // The other nodes may not know of it for five minutes.
            self.wait(0).await;
            self.wait(4).await;
            // Now they do, and now it seals. At once, before the traffic has written everything anew.
            self.pass(7).await;
            // In every other round a second process does the same at the same time.
            let quick = async { if round % 2 == 1 { reseal(&self.nodes[1].app).await } else { Ok((0, 0)) } };
            let (slow, quick) = tokio::join!(reseal(&self.sealer.app), quick);
            let (slow, quick) = (slow?, quick?);
            self.changed += slow.1 + quick.1;
            self.resealed += slow.0 + quick.0;
            self.wait(0).await;
            let status = first.data_keys(&ctx).await?;
            ensure!(
                status.iter().any(|key| key.number == number && key.sealing),
                "the new key does not seal"
            );
            if round == rounds / 2 {
                let changing = start(self.kernel, keys.both.clone(), 0, None).await?;
                self.rewrapped = changing.app.rewrap_data_keys(&changing.app.system("secrets")).await?;
                // Whoever rotates wraps with the new key from here on; the others know it as one that unwraps.
                changing.clock.advance(self.nodes[1].clock.now() - changing.clock.now());
                self.rotator = changing;
            }
        }
        Ok(())
    }

    /// Lets so many minutes pass on everybody's clock.
    async fn pass(&self, minutes: i64) {
        let _nothing_under_way = self.tally.under_way.write().await;
        for node in self.nodes.iter().chain([&self.sealer, &self.rotator]) {
            node.clock.advance(TimeDelta::minutes(minutes));
        }
    }

    /// The same, and lets the traffic run a while.
    async fn wait(&self, minutes: i64) {
        self.pass(minutes).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }

    /// Whether a fresh node opens every row with the newest data key and the provider's newest key alone, and finds the
    /// value that was written last.
    async fn end(&mut self, rows: &[Row], newest: LocalKeys) -> Result<usize> {
        while reseal(&self.nodes[1].app).await?.0 > 0 {}
        sqlx::query(
            "DELETE FROM kernel_core.data_key WHERE number < (SELECT max(number) FROM kernel_core.data_key)",
        )
        .execute(&mut self.admin)
        .await?;
        let fresh = start(self.kernel, newest, 0, None).await?;
        let ctx = fresh.app.system("secrets");
        let mut right = 0;
        for row in rows {
            let value = get(&fresh.app, &ctx, row).await?;
            right += usize::from(value == Some(row.last.load(Ordering::SeqCst)));
        }
        Ok(right)
    }

    fn outcome(self, first_keys: i64, right: usize, rows: usize) -> Outcome {
        let tally = &self.tally;
        let figures: BTreeMap<_, _> = [
            ("writes", &tally.writes),
            ("reads", &tally.reads),
            ("failed", &tally.failed),
            ("unopened", &tally.unopened),
            ("lost", &tally.lost),
        ]
        .map(|(name, value)| (name, value.load(Ordering::SeqCst)))
        .into();
        let mut outcome = Outcome::new().value("first_keys", first_keys);
        for name in ["writes", "reads", "failed", "unopened", "lost"] {
            outcome = outcome.value(name, figures[name]);
        }
        outcome
            .value("resealed", self.resealed)
            .value("overtaken", self.changed)
            .value("rewrapped", self.rewrapped)
            .value("at_end", format!("{right}/{rows}"))
            .require(first_keys == 1, "nodes that start at once do not agree on one data key")
            .require(figures["writes"] > 100 && figures["reads"] > 100, "there was no traffic to speak of")
            .require(figures["failed"] == 0, "a write or a read failed")
            .require(figures["unopened"] == 0, "a value did not open while keys changed")
            .require(figures["lost"] == 0, "a write was lost")
            .require(self.resealed >= rows as u64, "less was sealed again than there is")
            .require(
                self.changed > 0 || self.fault.is_some(),
                "no write came between: nothing was shown about those",
            )
            .require(self.rewrapped > 0, "no data key was wrapped anew")
            .require(right == rows, "with the newest keys alone, not every row has its last value")
    }
}

/// Until a whole pass finds nothing; how many were sealed again, and how many others were quicker.
async fn reseal(app: &App) -> Result<(u64, u64)> {
    let ctx = app.system("secrets");
    let (mut resealed, mut changed) = (0, 0);
    for _ in 0..50 {
        let piece = app.reseal(&ctx, 1000).await?;
        ensure!(piece.unreadable == 0, "{} values do not open", piece.unreadable);
        resealed += piece.resealed;
        changed += piece.changed;
        if piece.done {
            break;
        }
    }
    Ok((resealed, changed))
}
