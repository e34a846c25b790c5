//! `cargo xtask prove statements`: in a workspace with many of everything, no page asks the database for much, and none
//! asks once per row. PostgreSQL's own count of statements is the judge.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use kernel_core::testkit::left_out;

use crate::outcome::{Outcome, Stopwatch};
use crate::prove::Options;

mod ledger;
mod world;

use ledger::{Ledger, Statement};
use world::World;

/// The faults that the proof can plant.
pub const FAULTS: &[&str] = &["no-filter-index", "no-index", "per-row"];

/// How often each page is asked for.
const ROUNDS: u32 = 3;
/// One page, whatever is on it.
const STATEMENTS_MAX: u32 = 20;
/// How many pages of the database one statement may read: some for each of a hundred rows.
const READ_MAX: f64 = 800.0;
/// A search ranks up to 10,000 rows that a word is in.
const READ_BY_SEARCH_MAX: f64 = 8_000.0;
/// From when on a statement counts as slow, in milliseconds.
const SLOW: f64 = 100.0;
/// So many kinds of statements may be slow.
const SLOW_MAX: usize = 4;

/// Asks for every page and every list, as short and as long ones.
///
/// # Errors
///
/// When there is no PostgreSQL, and when a page is not served.
pub async fn run(options: Options) -> Result<Outcome> {
    let mut clock = Stopwatch::start();
    // Held so that the server that the test kit finds is the one that the command line asks for.
    let _server = options.postgres().await?;
    let mut world = World::make(if options.short { 20_000 } else { 100_000 }, &options).await?;
    let Some(mut ledger) = Ledger::open(&world.kernel).await? else {
        ensure!(options.fault.is_none(), "the named server does not preload pg_stat_statements");
        left_out("the count of statements", "the named server does not preload pg_stat_statements");
        return Ok(Outcome::new().value("statements_max", "none"));
    };
    clock.done("workspace filled");

    let mut tally = Tally::default();
    let paths: Vec<_> = world.pages();
    for path in &paths {
        world.warm(path).await?;
    }
    for path in &paths {
        let page = ask(&mut world, &mut ledger, path).await?;
        // A list is asked for a short and a long page of it.
        let with = if path.contains('?') { '&' } else { '?' };
        let (short, long) = (format!("{path}{with}limit=10"), format!("{path}{with}limit=100"));
        if world.length(&long).await > world.length(&short).await {
            let of =
                [ask(&mut world, &mut ledger, &short).await?, ask(&mut world, &mut ledger, &long).await?];
            tally.list(path, of);
        }
        tally.page(path, page);
    }
    clock.done("pages asked for");
    tally.outcome(&paths, world.issues)
}

/// The statements of one page.
async fn ask(world: &mut World, ledger: &mut Ledger, path: &str) -> Result<Vec<Statement>> {
    ledger.clear().await?;
    for _ in 0..ROUNDS {
        let answer = world.client.get(path).await;
        ensure!(answer.status < 400, "{path} was answered {}", answer.status);
    }
    ledger.read().await
}

/// How many statements one request sent.
fn calls(statements: &[Statement]) -> u32 {
    let calls: i64 = statements.iter().map(|statement| statement.calls).sum();
    u32::try_from(calls).unwrap_or(u32::MAX) / ROUNDS
}

/// What was seen of all pages.
#[derive(Default)]
struct Tally {
    lists: usize,
    per_row: Vec<String>,
    /// The most statements of one page.
    most: u32,
    many: Vec<String>,
    /// The most that one statement read.
    read: f64,
    heavy: Vec<String>,
    slow: BTreeSet<String>,
}

impl Tally {
    /// A list, with ten rows and with a hundred.
    fn list(&mut self, path: &str, [short, long]: [Vec<Statement>; 2]) {
        self.lists += 1;
        let (of_short, of_long) = (calls(&short), calls(&long));
        if of_long > of_short {
            self.per_row.push(format!("{path}: {of_short} statements for 10 rows, {of_long} for 100"));
        }
        self.page(path, long);
    }

    fn page(&mut self, path: &str, statements: Vec<Statement>) {
        let count = calls(&statements);
        self.most = self.most.max(count);
        if count > STATEMENTS_MAX {
            self.many.push(format!("{path}: {count} statements"));
        }
        for statement in statements {
            self.read = self.read.max(statement.pages);
            let of = format!("{path}: {statement}");
            if statement.ms > SLOW {
                self.slow.insert(statement.text.clone());
            }
            let is_search = statement.text.contains(".search_");
            if statement.pages > if is_search { READ_BY_SEARCH_MAX } else { READ_MAX } {
                self.heavy.push(of);
            }
        }
    }

    fn outcome(self, paths: &[String], issues: i32) -> Result<Outcome> {
        ensure!(self.most > 0, "no statement was counted");
        Ok(Outcome::new()
            .value("issues", issues)
            .value("pages", paths.len())
            .value("lists", self.lists)
            .value("statements_max", self.most)
            .value("read_max", format!("{:.0}", self.read))
            .value("slow", self.slow.len())
            .value("per_row", self.per_row.len())
            .require(self.lists > 5, "no lists were found")
            .require(self.per_row.is_empty(), format!("asked once per row: {:#?}", self.per_row))
            .require(self.many.is_empty(), format!("more than {STATEMENTS_MAX} statements: {:#?}", self.many))
            .require(self.heavy.is_empty(), format!("too much is read: {:#?}", self.heavy))
            .require(self.slow.len() <= SLOW_MAX, format!("slower than {SLOW} ms: {:#?}", self.slow)))
    }
}
