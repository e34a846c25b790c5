//! Where a host chooses the implementation: object-safe traits, provided by pillars or by the host.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::PgConnection;

use crate::actor::Actor;
use crate::ctx::Ctx;
use crate::db::Db;
use crate::error::Error;
use crate::id::{UserId, WorkspaceId};
use crate::role::{Feature, Role};
use crate::workspace::{Workspace, WorkspaceStatus};

/// What a request shows to prove who sent it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Credential<'a> {
    /// The value of an `Authorization: Bearer` header.
    Bearer(&'a str),
    /// The value of the session cookie.
    Cookie(&'a str),
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Credential::Bearer",
            Self::Cookie(_) => "Credential::Cookie",
        })
    }
}

/// Whom a credential proves.
#[derive(Clone)]
#[non_exhaustive]
pub struct Principal {
    /// Who acts.
    pub actor: Actor,
    /// For a cookie: the token that a write must also carry.
    pub csrf: Option<String>,
}

impl std::fmt::Debug for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Principal").field("actor", &self.actor).finish_non_exhaustive()
    }
}

impl Principal {
    /// Whom a credential proves that no browser sends by itself.
    #[must_use]
    pub fn by_bearer(actor: Actor) -> Self {
        Self { actor, csrf: None }
    }

    /// Whom a cookie proves, and the token that a write must also carry.
    #[must_use]
    pub fn by_cookie(actor: Actor, csrf: impl Into<String>) -> Self {
        Self { actor, csrf: Some(csrf.into()) }
    }
}

/// Turns credentials into actors.
#[async_trait]
pub trait Auth: Send + Sync {
    /// The name of the session cookie; it starts with `__Host-`.
    fn cookie_name(&self) -> &'static str;

    /// Whom the credential proves; `None` when it is unknown, expired or revoked.
    ///
    /// # Errors
    /// When it cannot be found out: the request fails rather than pass as anonymous.
    async fn authenticate(
        &self,
        ctx: &Ctx,
        db: &Db,
        credential: Credential<'_>,
    ) -> Result<Option<Principal>, Error>;
}

/// Someone, as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Person {
    /// The user.
    pub id: UserId,
    /// The name that they gave.
    pub name: String,
    /// Their address. Show it to those who may know it only.
    pub email: String,
}

impl Person {
    /// The user of this id, with the name and the address that they gave.
    #[must_use]
    pub fn new(id: UserId, name: impl Into<String>, email: impl Into<String>) -> Self {
        Self { id, name: name.into(), email: email.into() }
    }
}

/// Knows people's names. [`people`](crate::people) asks it from inside any transaction.
#[async_trait]
pub trait People: Send + Sync {
    /// Those of `ids` who exist, in any order.
    ///
    /// # Errors
    /// When the database refuses.
    async fn people(&self, conn: &mut PgConnection, ids: &[UserId]) -> Result<Vec<Person>, Error>;
}

/// How a request names its workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkspaceName {
    /// By id, in a header.
    Id(WorkspaceId),
    /// By slug, in the path or the host name.
    Slug(String),
}

/// A workspace that the actor is a member of. A plain record: the evidence is made of it in the core.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FoundWorkspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its slug.
    pub slug: String,
    /// What it lets its members do.
    pub status: WorkspaceStatus,
    /// The placement that holds it; `None` for the default one.
    pub placement: Option<String>,
    /// The actor's role.
    pub role: Role,
}

impl FoundWorkspace {
    /// A workspace of the default placement, and the actor's role in it.
    #[must_use]
    pub fn new(id: WorkspaceId, slug: impl Into<String>, status: WorkspaceStatus, role: Role) -> Self {
        Self { id, slug: slug.into(), status, placement: None, role }
    }
}

/// Finds the workspace of a request and the actor's role in it.
#[async_trait]
pub trait TenantResolver: Send + Sync {
    /// The workspace, if it exists and the actor belongs to it. The two cases of `None` are never told apart.
    ///
    /// # Errors
    /// When it cannot be found out.
    async fn resolve(
        &self,
        ctx: &Ctx,
        db: &Db,
        name: &WorkspaceName,
    ) -> Result<Option<FoundWorkspace>, Error>;
}

/// Says what a workspace's plan includes.
#[async_trait]
pub trait Entitlements: Send + Sync {
    /// Whether the plan includes the feature. An unknown plan includes nothing.
    ///
    /// # Errors
    /// When it cannot be found out: the feature stays closed.
    async fn entitled(
        &self,
        ctx: &Ctx,
        db: &Db,
        workspace: &Workspace,
        feature: Feature,
    ) -> Result<bool, Error>;
}

/// Keeps bytes for a while. It knows neither workspaces nor tags: [`cached`](crate::cache::cached) puts both into the key,
/// which is a hash, and seals the value with the tags' versions, so a store elsewhere learns and changes nothing.
///
/// It may lose a value at any time. `testkit::cache_contract` says what it must do.
#[async_trait]
pub trait Cache: Send + Sync {
    /// What is kept under the key; nothing once its time is over.
    ///
    /// # Errors
    /// When it cannot be found out; the caller then does without.
    async fn get(&self, key: &[u8; 32]) -> Result<Option<Bytes>, Error>;

    /// Keeps the value under the key for so long, in the place of what was there.
    ///
    /// # Errors
    /// When it cannot be kept; the caller then does without.
    async fn set(&self, key: &[u8; 32], value: Bytes, ttl: Duration) -> Result<(), Error>;
}

/// A plan that includes everything, for every workspace: for a product that sells no plans, or none yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllIncluded;

#[async_trait]
impl Entitlements for AllIncluded {
    async fn entitled(&self, _: &Ctx, _: &Db, _: &Workspace, _: Feature) -> Result<bool, Error> {
        Ok(true)
    }
}
