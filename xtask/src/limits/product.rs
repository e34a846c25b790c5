//! A product with little to do: who is asked for, and what is limited.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use kernel_core::http::{Access, Call, Json, Quota, Quotas, Route};
use kernel_core::seam::{Auth, Credential, FoundWorkspace, Principal, TenantResolver, WorkspaceName};
use kernel_core::{
    Actor, Config, Ctx, Db, Error, Pillar, Role, UserId, WorkspaceId, WorkspaceStatus, testkit,
};
use uuid::Uuid;

kernel_core::permissions! {
    /// Ask in a workspace.
    pub ASK = "limits.ask" for Viewer;
}

/// The quota that clients press on: a request every 22.5 ms, which on a busy machine too is less than they want.
pub(super) const QUOTA: u32 = 200;
pub(super) const WINDOW: Duration = Duration::from_millis(4500);
/// How long a lease of it may be spent: a tenth of the window, as `Counting::Leased` promises.
pub(super) const LIFE: Duration = Duration::from_millis(450);
/// So many requests at each node leave most of its last lease unspent, and the quota as a whole is enough for them: leases
/// of 1, 2, 4, 8 and 10, which is the most.
pub(super) const WARM: usize = 16;

/// The quota of a stranger who floods.
pub(super) const FLOODED: u32 = 10;
pub(super) const FLOODED_WINDOW: Duration = Duration::from_mins(1);

/// Which quotas are small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tight {
    /// Those of address, actor and workspace, alike.
    Each,
    /// That of a stranger's address.
    Strangers,
}

impl Tight {
    pub(super) fn config(self) -> Config {
        let mut config = testkit::config();
        config.clock = kernel_core::Clock::system();
        let small = Quota { requests: NonZeroU32::MIN.saturating_add(QUOTA - 1), window: WINDOW };
        let mut quotas = Quotas::all(Quota::per_minute(60_000));
        match self {
            Self::Each => (quotas.anonymous, quotas.actor, quotas.workspace) = (small, small, small),
            Self::Strangers => quotas.anonymous = Quota::per_minute(FLOODED),
        }
        config.http.quotas = quotas;
        config
    }
}

/// The workspace that everybody belongs to.
fn workspace() -> WorkspaceId {
    WorkspaceId::from_uuid(Uuid::from_u128(1 << 64))
}

/// Lets in whoever says a number.
struct Door;

#[async_trait]
impl Auth for Door {
    fn cookie_name(&self) -> &'static str {
        "__Host-limits"
    }

    async fn authenticate(&self, _: &Ctx, _: &Db, shown: Credential<'_>) -> Result<Option<Principal>, Error> {
        let Credential::Bearer(text) = shown else { return Ok(None) };
        let number: Option<u128> = text.parse().ok();
        let actor = number.map(|n| Actor::User { id: UserId::from_uuid(Uuid::from_u128(n)), verified: true });
        Ok(actor.map(Principal::by_bearer))
    }
}

#[async_trait]
impl TenantResolver for Door {
    async fn resolve(&self, _: &Ctx, _: &Db, _: &WorkspaceName) -> Result<Option<FoundWorkspace>, Error> {
        Ok(Some(FoundWorkspace::new(workspace(), "acme", WorkspaceStatus::Active, Role::Viewer)))
    }
}

async fn answer((): (), _: Call, (): ()) -> Result<Json<bool>, Error> {
    Ok(Json(true))
}

pub(super) fn pillar() -> Pillar {
    let route = |path, operation, access| Route::free(Method::GET, path, operation, access, (), answer);
    Pillar::new("limits")
        .permissions(ALL)
        .routes([
            route("/anybody", "limits.anybody", Access::Public),
            route("/somebody", "limits.somebody", Access::SignedIn),
            route("/members", "limits.member", Access::Member(ASK)),
        ])
        .provides_auth(std::sync::Arc::new(Door))
        .provides_tenants(std::sync::Arc::new(Door))
}
