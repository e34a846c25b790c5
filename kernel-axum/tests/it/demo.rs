//! A pillar with a route of every kind of reply, and somebody to call it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use garde::Validate;
use http::Method;
use kernel_core::http::{
    Access, Body, Call, Head, Json, NoContent, Path, Query, Reply, Route, SetCookie, Socket, WithCookie,
};
use kernel_core::seam::{Auth, Credential, FoundWorkspace, Principal, TenantResolver, WorkspaceName};
use kernel_core::{Actor, Ctx, Db, Error, Pillar, Role, UserId, WorkspaceId, WorkspaceStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

kernel_core::permissions! {
    /// See what there is.
    pub READ = "demo.read" for Viewer;
    /// Decide everything.
    pub RULE = "demo.rule" for Owner;
}

/// The pillar's state: what its handlers have seen.
#[derive(Clone, Default)]
pub(crate) struct Demo {
    pub(crate) taken: Arc<AtomicUsize>,
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) workspace: Arc<std::sync::OnceLock<WorkspaceId>>,
}

/// The member of the workspace `acme`, a viewer.
pub(crate) fn member() -> UserId {
    UserId::from_uuid(Uuid::from_u128(1))
}

/// Somebody who belongs to no workspace.
pub(crate) fn outsider() -> UserId {
    UserId::from_uuid(Uuid::from_u128(2))
}

pub(crate) fn bearer(user: UserId) -> String {
    format!("authorization: Bearer {user}\r\n")
}

/// The token is the user's id, in the cookie as in the header.
#[async_trait::async_trait]
impl Auth for Demo {
    fn cookie_name(&self) -> &'static str {
        "__Host-demo"
    }

    async fn authenticate(&self, _: &Ctx, _: &Db, shown: Credential<'_>) -> Result<Option<Principal>, Error> {
        let (Credential::Bearer(token) | Credential::Cookie(token)) = shown else { return Ok(None) };
        let Ok(id) = token.parse() else { return Ok(None) };
        Ok(Some(Principal::by_cookie(Actor::User { id, verified: true }, "token")))
    }
}

#[async_trait::async_trait]
impl TenantResolver for Demo {
    async fn resolve(
        &self,
        ctx: &Ctx,
        _: &Db,
        name: &WorkspaceName,
    ) -> Result<Option<FoundWorkspace>, Error> {
        let acme = *name == WorkspaceName::Slug("acme".to_owned()) && ctx.actor().user() == Some(member());
        let found =
            |id: &WorkspaceId| FoundWorkspace::new(*id, "acme", WorkspaceStatus::Active, Role::Viewer);
        Ok(self.workspace.get().filter(|_| acme).map(found))
    }
}

impl Demo {
    pub(crate) fn pillar(&self) -> Pillar {
        let free = |method, path, operation| (method, path, operation, Access::Public, self.clone());
        macro_rules! routes {
            ($($method:ident $path:literal $operation:literal $handler:ident),+ $(,)?) => {[$({
                let (method, path, operation, access, state) = free(Method::$method, $path, $operation);
                Route::free(method, path, operation, access, state, $handler)
            }),+]};
        }
        let routes = routes![
            GET "/hello" "demo.hello" hello,
            GET "/things/{name}" "demo.thing" thing,
            GET "/seen" "demo.seen" seen,
            GET "/cookies" "demo.cookies" cookies,
            GET "/ticks" "demo.ticks" ticks,
            GET "/echo" "demo.echo" echo,
            GET "/wait" "demo.wait" wait,
            GET "/nap" "demo.nap" nap,
            GET "/panic" "demo.panic" panic,
            POST "/take" "demo.take" take,
        ];
        Pillar::new("demo")
            .permissions(ALL)
            .routes(routes.map(|route| if route.path() == "/take" { route.body_limit(64) } else { route }))
            .provides_auth(Arc::new(self.clone()))
            .provides_tenants(Arc::new(self.clone()))
    }
}

async fn hello(_: Demo, _: Call, (): ()) -> Result<Json<String>, Error> {
    Ok(Json("hello".to_owned()))
}

async fn thing(_: Demo, _: Call, Path(name): Path<String>) -> Result<Json<String>, Error> {
    Ok(Json(name))
}

/// A request as the handler saw it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Seen {
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) ip: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    #[serde(rename = "a")]
    _a: Option<String>,
}

async fn seen(_: Demo, call: Call, (Head(head), _): (Head, Query<Asked>)) -> Result<Json<Seen>, Error> {
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let ip = call.ctx.client().ip.map(|ip| ip.to_string());
    Ok(Json(Seen { uri: head.uri.to_string(), headers: headers.collect(), ip }))
}

async fn cookies(_: Demo, _: Call, (): ()) -> Result<WithCookie<WithCookie<NoContent>>, Error> {
    let cookie = |name| SetCookie::session(name, "v");
    Ok(WithCookie(cookie("__Host-a"), WithCookie(cookie("__Host-b"), NoContent)))
}

async fn ticks(_: Demo, _: Call, (): ()) -> Result<Reply, Error> {
    let ticks = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b"data: tick\n\n")), ()))
    });
    Ok(Reply::stream("text/event-stream", ticks))
}

async fn echo(demo: Demo, _: Call, (): ()) -> Result<Reply, Error> {
    Ok(Reply::socket(|mut socket: Socket| async move {
        let _here = Here::new(&demo.waiting);
        while let Some(message) = socket.receive().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    }))
}

/// Counts who is inside, however they leave.
struct Here(Arc<AtomicUsize>);

impl Here {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn wait(demo: Demo, _: Call, (): ()) -> Result<NoContent, Error> {
    let _here = Here::new(&demo.waiting);
    std::future::pending().await
}

async fn nap(demo: Demo, _: Call, (): ()) -> Result<Json<String>, Error> {
    let _here = Here::new(&demo.waiting);
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(Json("rested".to_owned()))
}

async fn panic(_: Demo, _: Call, (): ()) -> Result<NoContent, Error> {
    panic!("on purpose")
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    #[garde(length(max = 100))]
    pub(crate) text: String,
}

/// Takes fields that nobody knows, as no input should.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
pub(crate) struct Careless {
    #[garde(skip)]
    pub(crate) text: String,
}

async fn take(demo: Demo, _: Call, Body(note): Body<Note>) -> Result<Json<usize>, Error> {
    demo.taken.fetch_add(1, Ordering::SeqCst);
    Ok(Json(note.text.len()))
}
