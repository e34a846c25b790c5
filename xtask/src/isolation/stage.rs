//! The two worlds, built once: one in which a tenant is alone, one in which others were there before.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use kernel_core::Role;
use kernel_core::testkit::postgres::Postgres;
use uuid::Uuid;

use super::beside::{self, Mirror};
use super::drive::Drive;
use super::mask::Masks;
use super::plant::Plant;
use super::product;
use super::scratch::Scratch;
use super::state::{Rows, tables};
use super::step::Script;
use super::twin::{self, Copied};
use super::value::Taste;
use super::world::{Party, World};
use super::{reference, unique};
use crate::cargo;

/// Everything that the parts of the proof work with.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) plant: Plant,
    pub(super) masks: Masks,
    /// The world before the driving tenant, without others.
    pub(super) alone: Scratch,
    /// The world before the driving tenant, with others.
    pub(super) beside: Scratch,
    pub(super) script: Script,
    /// From here on the steps try what only one tenant may have.
    pub(super) unique_from: usize,
    /// The rows of both worlds before anybody.
    pub(super) common: Rows,
    /// The rows that the driving tenant left where it was alone.
    pub(super) left_alone: Rows,
    /// The rows of the others before the driving tenant came.
    pub(super) others: Rows,
    pub(super) mirror: Mirror,
    pub(super) copied: Copied,
    /// The workspace of the driving tenant.
    own_workspace: Uuid,
    /// Ids that only the others have.
    pub(super) foreign: BTreeSet<Uuid>,
    pub(super) routes: usize,
    /// Routes without an own case.
    pub(super) open: Vec<String>,
    /// Positions for which some kind of value is unknown.
    pub(super) gaps: Vec<String>,
}

/// The committed list of masks.
const MASKS: &str = "xtask/isolation-masks.toml";
/// What a list of masks must not say.
const MASK_EVERYTHING: &str =
    "[[body]]\noperation = \"*\"\nreason = \"Whatever differs is of no interest to anyone at all.\"";

impl Stage {
    /// Lets the others settle, then drives the tenant that is alone, then copies it to stand beside itself.
    pub(super) async fn build(server: &Arc<Postgres>, plant: Plant) -> Result<Self> {
        let masks = match plant {
            Plant::MaskEverything => Masks::parse(MASK_EVERYTHING)?,
            _ => Masks::read(&cargo::workspace_dir().join(Path::new(MASKS)))?,
        };
        let plan = product::plan(plant)?;
        let base = Scratch::create(server, &plan).await?;
        let spanning = spanning(&base, &masks).await?;
        let taste = |tag| Taste { tag, spanning: spanning.clone(), canary: None };

        let world = World::open(&base, Party::Prelude, plant, None).await?;
        let insider = beside::prelude(&world, &base, taste("p")).await?;
        world.close().await;
        let common = Rows::read(&base).await?;

        let others_place = base.copy().await?;
        let world = World::open(&others_place, Party::Beside, plant, None).await?;
        let mirror = beside::mirror(&world, &others_place, &insider, taste("m")).await?;
        world.close().await;

        let place = base.copy().await?;
        let world = World::open(&place, Party::Driver, plant, None).await?;
        let mut drive = Drive::new(&world, &place, taste("a"));
        drive.settle(&insider, Role::Member).await?;
        let open = drive.own_cases().await?;
        let mut gaps = drive.vary(&mirror.strangers).await?;
        // Every table must have rows again, also where the last ones have been deleted with what they belong to.
        drive.make_more().await?;
        drive.make_more().await?;
        gaps.extend(reference::probe(&mut drive, &place, &others_place).await?);
        drive.drain().await?;
        drive.keep_moment().await?;
        let mut moments = std::mem::take(&mut drive.moments);
        let unique_from = drive.script.len();
        unique::probe(&mut drive, &mirror.strangers).await?;
        let (script, routes) = (std::mem::take(&mut drive.script), drive.operations.len());
        let own_workspace = uuid_of(drive.pool.ids("ws").first()).context("the tenant has a workspace")?;
        drop(drive);
        world.close().await;

        let copied = twin::copy(&others_place, &moments, &common).await?;
        let others = Rows::read(&others_place).await?;
        let foreign = foreign_ids(&mirror, &copied, &common);
        let left_alone = moments.swap_remove(0);
        Ok(Self {
            plant,
            masks,
            alone: base,
            beside: others_place,
            script,
            unique_from,
            common,
            left_alone,
            others,
            mirror,
            copied,
            own_workspace,
            foreign,
            routes,
            open,
            gaps,
        })
    }

    /// The workspaces beside: of the tenant that did the same, and of the copy.
    pub(super) fn foreign_workspaces(&self) -> Vec<Uuid> {
        let mirrored = uuid_of(self.mirror.strangers.pool.ids("ws").first());
        mirrored.into_iter().chain([twin::other(self.own_workspace)]).collect()
    }
}

fn uuid_of(id: Option<&String>) -> Option<Uuid> {
    id?.rsplit_once('_')?.1.parse().ok()
}

/// The names of columns that are unique among all tenants. Also refuses masks of columns that hold text.
async fn spanning(base: &Scratch, masks: &Masks) -> Result<BTreeSet<String>> {
    let mut admin = base.admin().await?;
    let tables = tables(&mut admin).await?;
    for (table, column) in masks.columns() {
        let found = tables.iter().find(|other| other.name == table);
        let found = found.with_context(|| format!("a mask names the table {table}, which is not there"))?;
        let says_something = found.texts.iter().chain(&found.documents).any(|other| other == column);
        ensure!(!says_something, "{table}.{column} holds text: it cannot be masked");
    }
    Ok(tables.into_iter().flat_map(|table| table.spanning).collect())
}

fn foreign_ids(mirror: &Mirror, copied: &Copied, common: &Rows) -> BTreeSet<Uuid> {
    let known: String = common.0.values().flatten().map(ToString::to_string).collect();
    let named = mirror.strangers.pool.all_ids().filter_map(|id| uuid_of(Some(id)));
    let all = named.chain(copied.ids.iter().copied());
    // The insider belongs to the driving tenant too.
    all.filter(|id| !known.contains(&id.to_string())).collect()
}
