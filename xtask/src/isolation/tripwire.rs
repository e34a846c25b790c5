//! A tripwire: every privileged route that writes, called by its owner, leaves an audit row.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use kernel_core::http::Access;
use kernel_core::testkit::postgres::Postgres;
use kernel_core::{Permission, Role};

use super::beside;
use super::drive::Drive;
use super::operation::Operation;
use super::plant::Plant;
use super::product;
use super::scratch::Scratch;
use super::value::Taste;
use super::world::{Party, World};

/// What came of calling them.
#[derive(Debug)]
pub struct Tripwire {
    /// How many there are.
    pub routes: usize,
    /// Those after which there was no audit row.
    pub silent: Vec<String>,
    /// Those that could not be called with success.
    pub open: Vec<String>,
    /// Actions that the log tells of, and no pillar declares.
    pub undeclared: Vec<String>,
}

/// Calls every route of the example product, and looks at the audit log after those that write and need a permission
/// which administrators and owners alone have.
///
/// # Errors
///
/// When the product cannot be started or called.
pub async fn silent_routes(server: &Arc<Postgres>, fault: Option<&str>) -> Result<Tripwire> {
    let plant = Plant::of(fault);
    let place = Scratch::create(server, &product::plan(plant)?).await?;
    let taste = |tag| Taste { tag, spanning: BTreeSet::new(), canary: None };
    let world = World::open(&place, Party::Prelude, plant, None).await?;
    let insider = beside::prelude(&world, &place, taste("p")).await?;
    world.close().await;
    let world = World::open(&place, Party::Driver, plant, None).await?;
    let mut drive = Drive::new(&world, &place, taste("a"));
    drive.settle(&insider, Role::Member).await?;
    let open = drive.own_cases().await?;
    let privileged: Vec<_> = drive.operations.iter().filter(|operation| is_privileged(operation)).collect();
    let silent = privileged.iter().filter(|operation| {
        drive.bases.contains_key(&operation.name) && !drive.audited.contains(&operation.name)
    });
    let is_open = |operation: &&Operation| !drive.bases.contains_key(&operation.name);
    let tripwire = Tripwire {
        routes: privileged.len(),
        silent: silent.map(|operation| operation.name.clone()).collect(),
        open: open
            .into_iter()
            .filter(|line| privileged.iter().copied().filter(is_open).any(|one| line.starts_with(&one.name)))
            .collect(),
        undeclared: drive.undeclared_actions().await?,
    };
    drop(drive);
    world.close().await;
    Ok(tripwire)
}

fn is_privileged(operation: &Operation) -> bool {
    let is_for_few = |permission: Permission| permission.least() >= Role::Admin;
    !operation.is_safe() && matches!(operation.access, Access::Member(permission) if is_for_few(permission))
}
