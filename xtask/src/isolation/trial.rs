//! One weakened world: what is taken away, and whether the drive notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, anyhow};

use super::replay::{Watch, replay};
use super::scratch::Scratch;
use super::stage::Stage;
use super::state::Rows;
use super::world::{Party, Refused, World};
use crate::wire::{PgTarget, Proxy, Rewrite, SeenStatement, Unparsed};

/// What is taken away.
#[derive(Clone)]
pub(super) struct Weakening {
    /// What happens to statements on the wire.
    pub(super) rewrite: Arc<dyn Rewrite>,
    /// What the superuser does to the database once the app runs.
    pub(super) statements: Vec<String>,
}

impl std::fmt::Debug for Weakening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weakening").field("statements", &self.statements).finish_non_exhaustive()
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Noticed {
    /// Answers that differ from those of the tenant that is alone, leaks, and rows that changed; or why the app does not
    /// start.
    pub(super) findings: Vec<String>,
    pub(super) seen: Vec<SeenStatement>,
    pub(super) unparsed: Vec<Unparsed>,
}

/// Plays the script beside the others in a world that is weakened so. Stops at the first finding if one is enough.
pub(super) async fn run(stage: &Stage, weakening: &Weakening, first_only: bool) -> Result<Noticed> {
    let place = stage.beside.copy().await?;
    let proxy =
        Proxy::start(&PgTarget::from_url(&place.logins().admin())?, weakening.rewrite.clone()).await?;
    let world = match World::open(&place, Party::Driver, stage.plant, Some(&proxy)).await {
        Ok(world) => world,
        Err(error) => {
            let Refused(why) = error.downcast()?;
            place.remove().await?;
            return Ok(Noticed { findings: vec![why], seen: Vec::new(), unparsed: Vec::new() });
        }
    };
    proxy.reset();
    if !weakening.statements.is_empty() {
        place.execute(weakening.statements.join(";\n")).await?;
    }
    let watch = Watch { masks: &stage.masks, interludes: None, foreign: &stage.foreign, first_only };
    let found = replay(&world, &stage.script, 0..stage.unique_from, watch).await?;
    let mut findings: Vec<_> = found.into_iter().map(|finding| finding.text).collect();
    if findings.is_empty() || !first_only {
        let rows = Rows::read(&place).await?;
        findings.extend(rows.findings(&stage.others, &stage.common, &stage.left_alone, &stage.masks));
    }
    let (seen, unparsed) = (proxy.statements(), proxy.unparsed());
    world.close().await;
    place.remove().await?;
    Ok(Noticed { findings, seen, unparsed })
}

/// How many threads try at once.
const THREADS: usize = 2;

/// Does the work for each item, and returns what came of it in their order. Several threads share it, each with a runtime
/// of its own: a trial is mostly this program's own work, and one thread does that for one trial at a time.
pub(super) fn each<I: Sync, T: Send>(
    items: &[I],
    work: impl AsyncFn(usize, &I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let share = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut done = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(place) else { return Ok(done) };
                done.push((place, work(place, item).await?));
            }
        })
    };
    let shares = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(share)).collect();
        let ended =
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a trial panicked"))?);
        ended.collect::<Result<Vec<_>>>()
    })?;
    let mut done: Vec<_> = shares.into_iter().flatten().collect();
    done.sort_unstable_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Whether the app would be served on a database that the superuser changed so; the reason why not.
pub(super) async fn boot_refuses(stage: &Stage, statements: &[String]) -> Result<Option<String>> {
    let place = stage.alone.copy().await?;
    place.execute(statements.join(";\n")).await?;
    let refused = match World::open(&place, Party::Driver, stage.plant, None).await {
        Ok(world) => {
            world.close().await;
            None
        }
        Err(problems) => Some(problems.to_string().replace('\n', " ")),
    };
    place.remove().await?;
    Ok(refused)
}

/// Switches row-level security off everywhere.
pub(super) async fn without_policies(place: &Scratch) -> Result<Vec<String>> {
    let tables = super::state::tables(&mut place.admin().await?).await?;
    let off = |table: super::state::TableFacts| {
        format!(
            "ALTER TABLE {0} NO FORCE ROW LEVEL SECURITY; ALTER TABLE {0} DISABLE ROW LEVEL SECURITY",
            table.name
        )
    };
    Ok(tables.into_iter().map(off).collect())
}
