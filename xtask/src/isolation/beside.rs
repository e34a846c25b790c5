//! The tenants beside: one that did what the driving tenant will do, over the same routes, with the same names.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, ensure};
use kernel_core::Role;

use super::change::Strangers;
use super::drive::Drive;
use super::exchange::Ask;
use super::operation::{Draft, Person};
use super::scratch::Scratch;
use super::value::Taste;
use super::world::World;

/// In every text of the tenants beside that has room for it, and nowhere else. It holds no capital, so that a slug may
/// carry it.
pub(super) const CANARY: &str = "cnry7d41c09b5ae83f26d7104be95c8a";

/// What the tenant beside leaves behind.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) strangers: Strangers,
    /// Requests of theirs that only read, by operation: sent between those of the driving tenant.
    pub(super) interludes: BTreeMap<String, Ask>,
    /// Operations without an own case there.
    pub(super) open: Vec<String>,
}

/// The one person of every world who belongs to several tenants.
pub(super) async fn prelude(world: &World, place: &Scratch, taste: Taste) -> Result<Person> {
    let mut drive = Drive::new(world, place, taste);
    let insider = drive.sign_up("insider").await?;
    drive.drain().await?;
    Ok(insider)
}

impl Drive<'_> {
    /// Signs people up and founds the workspace.
    pub(super) async fn settle(&mut self, insider: &Person, insiders_role: Role) -> Result<()> {
        let owner = self.sign_up("owner").await?;
        let extra = self.sign_up("extra").await?;
        self.sign_up("outsider").await?;
        self.people.insert("insider", insider.clone());
        self.people.insert("nobody", Person { name: "nobody", ..Person::default() });
        self.found(&owner, &[(&extra, Role::Member), (insider, insiders_role)]).await
    }

    /// Makes two more things of every noun, so that lists have a next page.
    pub(super) async fn make_more(&mut self) -> Result<()> {
        for (prefix, creator) in self.creators.clone() {
            self.make(creator, &prefix).await?;
            self.make(creator, &prefix).await?;
        }
        Ok(())
    }
}

/// Lets the tenant beside settle, try every route, and make some things that the driving tenant will not have.
pub(super) async fn mirror(world: &World, place: &Scratch, insider: &Person, taste: Taste) -> Result<Mirror> {
    let mut drive = Drive::new(world, place, taste);
    drive.settle(insider, Role::Admin).await?;
    let open = drive.own_cases().await?;
    drive.taste.canary = Some(CANARY.to_owned());
    drive.make_more().await?;
    drive.drain().await?;
    drive.page_all().await?;
    let operations = drive.operations.clone();

    let peer = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let safe = operations.iter().filter(|operation| operation.is_safe() && operation.in_workspace());
    let interludes = safe.filter_map(|operation| {
        let base = drive.bases.get(&operation.name)?;
        Some((operation.name.clone(), Draft { peer, ..base.draft.clone() }.ask(operation)))
    });
    let interludes: BTreeMap<_, _> = interludes.collect();
    for (operation, ask) in &interludes {
        let answer = world.send(ask).await?;
        ensure!(answer.is_success(), "the tenant beside cannot repeat {operation}: {}", answer.whole());
    }
    let token = drive.people["owner"].cookie.as_deref().and_then(|cookie| cookie.split_once('='));
    let (_, token) = token.context("the owner beside has a cookie")?;
    let keys = drive.bases.iter().filter_map(|(operation, base)| {
        let key = base.draft.headers.iter().find(|(name, _)| *name == "idempotency-key")?;
        Some((operation.clone(), key.1.clone()))
    });
    let strangers = Strangers {
        pool: drive.pool.clone(),
        workspace: drive.workspace.clone(),
        token: token.to_owned(),
        keys: keys.collect(),
    };
    Ok(Mirror { strangers, interludes, open })
}
