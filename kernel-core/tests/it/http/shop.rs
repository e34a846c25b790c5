//! The shop with a front door: people, workspaces and routes of every kind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use garde::Validate;
use http::{Method, Request};
use kernel_core::actor::ApiKeyId;
use kernel_core::http::{
    Access, Body, Call, Created, Html, HttpConfig, Idempotency, Items, Json, NoContent, Paged, Path, Query,
    RateClass, Reply, Route, SeeOther, SetCookie, Unfiltered, WithCookie,
};
use kernel_core::job::JobNoun;
use kernel_core::seam::{Auth, Credential, FoundWorkspace, Principal, TenantResolver, WorkspaceName};
use kernel_core::testkit::{TestKernel, config};
use kernel_core::{
    Actor, App, Config, Ctx, Db, DbError, Error, ErrorKind, GlobalTx, Id, Pillar, Role, TenantTx, Tx, UserId,
    Workspace, WorkspaceId, WorkspaceStatus,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::ask::{Answer, Ask};

mod permission {
    kernel_core::permissions! {
        pub READ = "shop.item.read" for Viewer;
        pub WRITE = "shop.item.write" for Member;
    }
}

mod feature {
    kernel_core::features! {
        pub EXPORT = "shop.export";
    }
}

/// Who may come in, and where they belong.
#[derive(Default)]
pub(super) struct Town {
    pub(super) sessions: Mutex<HashMap<String, Principal>>,
    pub(super) keys: Mutex<HashMap<String, Principal>>,
    /// Every slug that was looked up.
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) members: Mutex<Vec<(UserId, FoundWorkspace)>>,
    /// How often the body of a counting handler has run.
    pub(super) runs: AtomicU32,
    pub(super) gate: Notify,
    pub(super) entered: Notify,
}

#[async_trait]
impl Auth for Town {
    fn cookie_name(&self) -> &'static str {
        "__Host-shop"
    }

    async fn authenticate(
        &self,
        _: &Ctx,
        _: &Db,
        credential: Credential<'_>,
    ) -> Result<Option<Principal>, Error> {
        let (known, shown) = match credential {
            Credential::Bearer(token) => (&self.keys, token),
            Credential::Cookie(value) => (&self.sessions, value),
            _ => return Ok(None),
        };
        Ok(known.lock().unwrap().get(shown).cloned())
    }
}

#[async_trait]
impl TenantResolver for Town {
    async fn resolve(
        &self,
        ctx: &Ctx,
        _: &Db,
        name: &WorkspaceName,
    ) -> Result<Option<FoundWorkspace>, Error> {
        if let WorkspaceName::Slug(slug) = name {
            self.asked.lock().unwrap().push(slug.clone());
        }
        let named = |workspace: &FoundWorkspace| match name {
            WorkspaceName::Id(id) => workspace.id == *id,
            WorkspaceName::Slug(slug) => workspace.slug == *slug,
            _ => false,
        };
        let members = self.members.lock().unwrap();
        let found = match ctx.actor() {
            // A careless resolver: it lets any key into any workspace. The chain must not.
            Actor::ApiKey { .. } => members.iter().find(|(_, workspace)| named(workspace)),
            actor => members.iter().find(|(user, workspace)| Some(*user) == actor.user() && named(workspace)),
        };
        Ok(found.map(|(_, workspace)| workspace.clone()))
    }
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(super) struct NewItem {
    #[garde(length(min = 1, max = 20))]
    name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Item {
    name: String,
    workspace_id: WorkspaceId,
}

type Shared = Arc<Town>;

async fn create(town: Shared, tx: &mut TenantTx, Body(new): Body<NewItem>) -> Result<Created<Item>, Error> {
    town.runs.fetch_add(1, Ordering::SeqCst);
    crate::shop::insert(tx, &new.name).await.map_err(DbError::from)?;
    tracing::info!("shelved");
    match new.name.as_str() {
        "bad" => return Err(Error::new(ErrorKind::Conflict, "conflict")),
        "panic" => panic!("the shelf fell over"),
        "slow" => {
            town.entered.notify_one();
            town.gate.notified().await;
        }
        "contended" if town.runs.load(Ordering::SeqCst) < 3 => {
            let statement = "DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$";
            sqlx::query(statement).execute(tx.conn()).await.map_err(DbError::from)?;
        }
        _ => {}
    }
    Ok(Created(Item { name: new.name, workspace_id: tx.workspace_id() }))
}

async fn refuse(_: Shared, tx: &mut TenantTx, Body(new): Body<NewItem>) -> Result<Reply, Error> {
    crate::shop::insert(tx, &new.name).await.map_err(DbError::from)?;
    let mut refusal = http::Response::new("not today".into());
    *refusal.status_mut() = http::StatusCode::CONFLICT;
    Ok(Reply::Full(refusal))
}

async fn list(_: Shared, tx: &mut TenantTx, list: Paged<Unfiltered>) -> Result<Items<String>, Error> {
    let after = list.page.after::<String>()?.unwrap_or_default();
    let statement = "SELECT name FROM shop.item WHERE name > $1 ORDER BY name LIMIT $2";
    let rows = sqlx::query_scalar(statement).bind(after).bind(list.page.fetch()).fetch_all(tx.conn()).await;
    Ok(list.page.items(rows.map_err(DbError::from)?, Clone::clone))
}

async fn show(_: Shared, _: &mut TenantTx, Path(id): Path<Id<JobNoun>>) -> Result<Json<String>, Error> {
    Err(Error::not_found().arg("id", id))
}

async fn write_on_get(_: Shared, tx: &mut TenantTx, (): ()) -> Result<NoContent, Error> {
    crate::shop::insert(tx, "sneaked").await.map_err(DbError::from)?;
    Ok(NoContent)
}

async fn register(
    town: Shared,
    _: &mut GlobalTx,
    Body(new): Body<NewItem>,
) -> Result<WithCookie<Json<u32>>, Error> {
    let run = town.runs.fetch_add(1, Ordering::SeqCst);
    Ok(WithCookie(SetCookie::session("__Host-shop", format!("secret-{}-{run}", new.name)), Json(run)))
}

async fn form(_: Shared, _: &mut GlobalTx, Body(new): Body<NewItem>) -> Result<SeeOther, Error> {
    Ok(SeeOther::to(format!("/made/{}", new.name)))
}

async fn home(_: Shared, call: Call, (): ()) -> Result<Html, Error> {
    Ok(Html::new(format!("<p>{}</p>", call.ctx.actor().kind())))
}

async fn whoami(_: Shared, call: Call, (): ()) -> Result<Json<String>, Error> {
    let client = call.ctx.client();
    Ok(Json(format!("{} {:?} {}", call.ctx.actor().kind(), client.ip, call.ctx.request_id())))
}

async fn language(_: Shared, call: Call, (): ()) -> Result<Json<&'static str>, Error> {
    Ok(Json(call.ctx.language().tag()))
}

async fn speak(_: Shared, tx: &mut TenantTx, _: Body<()>) -> Result<Json<&'static str>, Error> {
    Ok(Json(tx.ctx().language().tag()))
}

async fn ticks(_: Shared, _: Call, (): ()) -> Result<Reply, Error> {
    let ticks =
        futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(b"data: tick\n\n")));
    Ok(Reply::stream("text/event-stream", ticks))
}

async fn socket(_: Shared, _: Call, (): ()) -> Result<Reply, Error> {
    Ok(Reply::socket(|_| async {}))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    q: Option<String>,
}

async fn search(_: Shared, _: Call, Query(search): Query<Search>) -> Result<Json<Option<String>>, Error> {
    Ok(Json(search.q))
}

fn routes(town: &Shared) -> Vec<Route> {
    use permission::{READ, WRITE};
    let (get, post) = (Method::GET, Method::POST);
    let free =
        |path, operation, access| Route::free(Method::GET, path, operation, access, town.clone(), whoami);
    let writer = |path, operation| Route::tenant(Method::POST, path, operation, WRITE, town.clone(), create);
    vec![
        writer("/items", "shop.item.create"),
        writer("/once", "shop.item.once").idempotent(Idempotency::Required),
        writer("/small", "shop.item.small").body_limit(16),
        writer("/verified", "shop.item.verified").verified(),
        writer("/export", "shop.item.export").feature(feature::EXPORT),
        Route::tenant(Method::POST, "/refuse", "shop.item.refuse", WRITE, town.clone(), refuse),
        Route::tenant(post.clone(), "/language", "shop.language.speak", WRITE, town.clone(), speak),
        Route::tenant(get.clone(), "/items", "shop.item.list", READ, town.clone(), list),
        Route::tenant(get.clone(), "/items/{item}", "shop.item.show", READ, town.clone(), show),
        Route::tenant(get.clone(), "/sneak", "shop.item.sneak", READ, town.clone(), write_on_get),
        Route::tenant(get.clone(), "/heavy", "shop.item.heavy", READ, town.clone(), list)
            .rate(RateClass::Heavy),
        Route::global(
            post.clone(),
            "/register",
            "shop.user.register",
            Access::Public,
            town.clone(),
            register,
        )
        .rate(RateClass::Auth),
        Route::global(post, "/form", "shop.form.send", Access::Public, town.clone(), form).page(),
        Route::free(get.clone(), "/", "shop.home.show", Access::Public, town.clone(), home).page(),
        Route::free(get.clone(), "/account", "shop.account.show", Access::SignedIn, town.clone(), home)
            .page(),
        Route::free(get.clone(), "/ticks", "shop.tick.stream", Access::Member(READ), town.clone(), ticks),
        Route::free(get.clone(), "/socket", "shop.tick.socket", Access::SignedIn, town.clone(), socket),
        Route::free(get.clone(), "/language", "shop.language.show", Access::Public, town.clone(), language),
        Route::free(get, "/search", "shop.item.search", Access::Public, town.clone(), search),
        free("/whoami", "shop.user.whoami", Access::Public),
        free("/people", "shop.user.people", Access::SignedIn),
        free("/staff", "shop.user.staff", Access::Staff),
    ]
}

/// A running shop with two workspaces: `acme`, where alice works and vera looks, and `rival`, where bob works.
pub(super) struct Shop {
    pub(super) kernel: TestKernel,
    config: Config,
    pub(super) town: Shared,
    pub(super) acme: Workspace,
    pub(super) rival: Workspace,
}

impl Shop {
    pub(super) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(configure: impl FnOnce(&mut HttpConfig)) -> Self {
        Self::configured(|config| configure(&mut config.http)).await
    }

    pub(super) async fn configured(configure: impl FnOnce(&mut Config)) -> Self {
        let town = Shared::default();
        let mut config = config();
        configure(&mut config);
        let kernel = TestKernel::with(config.clone(), |app| app.with(pillar(&town))).await;
        let (acme, rival) = (kernel.found_workspace().await, kernel.found_workspace().await);
        let shop = Self { kernel, config, town, acme, rival };
        for (name, workspace, slug, role) in [
            ("alice", &shop.acme, "acme", Role::Member),
            ("vera", &shop.acme, "acme", Role::Viewer),
            ("bob", &shop.rival, "rival", Role::Owner),
        ] {
            let id = shop.sign_in(name, true);
            shop.join(id, workspace.id(), slug, role, WorkspaceStatus::Active);
        }
        let key = ApiKeyId::from_uuid(shop.acme.id().uuid());
        let actor = Actor::ApiKey { id: key, workspace: shop.acme.id() };
        shop.town.keys.lock().unwrap().insert("acme-key".to_owned(), Principal::by_bearer(actor));
        shop
    }

    /// The same app as a second node would run it.
    pub(super) async fn node(&self) -> App {
        let db = Db::new(&self.kernel.database.logins().config()).unwrap();
        App::builder(db, self.config.clone()).with(pillar(&self.town)).build().await.unwrap()
    }

    /// A person whose session is their name, with `csrf-` before it as the token.
    pub(super) fn sign_in(&self, name: &str, verified: bool) -> UserId {
        let id = self.kernel.app.system("test").new_id();
        let principal = Principal::by_cookie(Actor::User { id, verified }, format!("csrf-{name}"));
        self.town.sessions.lock().unwrap().insert(name.to_owned(), principal);
        id
    }

    pub(super) fn join(
        &self,
        user: UserId,
        id: WorkspaceId,
        slug: &str,
        role: Role,
        status: WorkspaceStatus,
    ) {
        let workspace = FoundWorkspace::new(id, slug, status, role);
        self.town.members.lock().unwrap().push((user, workspace));
    }

    pub(super) async fn send(&self, asked: Ask) -> Answer {
        Answer::of(self.reply(asked).await)
    }

    pub(super) async fn reply(&self, asked: Ask) -> Reply {
        let (head, body) = asked.request.into_parts();
        let to = self.kernel.app.find(&head);
        self.kernel.app.call(to, Request::from_parts(head, body), asked.peer).await
    }

    pub(super) fn runs(&self) -> u32 {
        self.town.runs.load(Ordering::SeqCst)
    }

    /// The items of all workspaces, as the superuser sees them.
    pub(super) async fn items(&self) -> Vec<String> {
        let mut admin = self.kernel.admin().await;
        sqlx::query_scalar("SELECT name FROM shop.item ORDER BY name").fetch_all(&mut admin).await.unwrap()
    }
}

fn pillar(town: &Shared) -> Pillar {
    crate::shop::pillar()
        .permissions(permission::ALL)
        .features(feature::ALL)
        .routes(routes(town))
        .provides_auth(town.clone())
        .provides_tenants(town.clone())
}
