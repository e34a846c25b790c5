//! Streams, the document, the service, and the host's own handlers.

use std::net::IpAddr;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Request, StatusCode};
use kernel_core::http::{Peer, Reply, Visit};
use tower::{Service, ServiceExt};

use super::ask::{Ask, CLIENT};
use super::shop::Shop;

#[tokio::test]
async fn a_stream_ends_when_the_app_shuts_down() {
    let shop = Shop::open().await;
    let Reply::Stream(response) = shop.reply(Ask::get("/api/v1/w/acme/ticks").by("alice")).await else {
        panic!("no stream");
    };
    assert!(response.headers().contains_key("x-request-id"));
    let mut body = response.into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "data: tick\n\n");
    shop.kernel.app.shutdown().begin();
    assert!(body.next().await.is_none());
    assert_eq!(shop.send(Ask::get("/api/v1/w/rival/ticks").by("alice")).await.status, 404);
}

#[tokio::test]
async fn the_document_that_is_served_describes_the_api() {
    let shop = Shop::open().await;
    let served = shop.send(Ask::get("/api/v1/openapi.json")).await.json();
    assert_eq!(served, shop.kernel.app.openapi());
    let create = &served["paths"]["/api/v1/w/{workspace}/items"]["post"];
    assert_eq!(create["operationId"], "shop.item.create");
    assert_eq!(served["components"]["securitySchemes"]["session"]["name"], "__Host-shop");
    for route in
        shop.kernel.app.routes().filter(|route| !route.is_page() && route.operation() != "core.openapi.show")
    {
        let path = shop.kernel.app.mounted(route);
        let method = route.method().as_str().to_lowercase();
        assert_eq!(served["paths"][&path][&method]["operationId"], route.operation());
    }
}

#[tokio::test]
async fn the_app_is_a_service() {
    let shop = Shop::open().await;
    let mut service = shop.kernel.app.clone();
    let mut request = Request::builder().uri("/api/v1/whoami").body(Bytes::new()).unwrap();
    request.extensions_mut().insert(Peer(CLIENT.parse().unwrap()));
    let reply = service.ready().await.unwrap().call(request).await.unwrap();
    let Reply::Full(response) = reply else { panic!("{reply:?}") };
    assert!(std::str::from_utf8(response.body()).unwrap().contains(CLIENT));
}

#[tokio::test]
async fn the_hosts_own_handlers_share_the_chain() {
    let shop = Shop::open().await;
    let peer: IpAddr = CLIENT.parse().unwrap();
    let admit = async |method: &str, path: &str, cookie: &str, token: &str| {
        let request = Request::builder().method(method).uri(path).header("host", "shop.example");
        let request = request.header("cookie", format!("__Host-shop={cookie}")).header("x-csrf-token", token);
        let (head, ()) = request.body(()).unwrap().into_parts();
        let visit = Visit::new(&shop.kernel.app);
        let admitted = visit.admit(head, path, peer).await;
        let status = |reply: Reply| reply.status().unwrap().as_u16();
        admitted.map_err(|error| status(visit.refuse(error).unwrap())).map(|ctx| (ctx, visit))
    };
    let (ctx, visit) = admit("GET", "/w/acme/report", "alice", "").await.unwrap();
    assert_eq!(ctx.workspace().unwrap().id(), shop.acme.id());
    let mut headers = HeaderMap::new();
    visit.finish(StatusCode::OK, &mut headers);
    assert_eq!(headers["x-request-id"], ctx.request_id().to_string());
    assert!(headers.contains_key("content-security-policy"));

    let (ctx, _) = admit("GET", "/about", "alice", "").await.unwrap();
    assert!(ctx.workspace().is_err() && ctx.actor().user().is_some());
    assert_eq!(admit("GET", "/w/rival/report", "alice", "").await.unwrap_err(), 404);
    assert_eq!(admit("POST", "/w/acme/report", "alice", "").await.unwrap_err(), 403);
    assert!(admit("POST", "/w/acme/report", "alice", "csrf-alice").await.is_ok());
    assert_eq!(admit("GET", "/w/acme/report", "stranger", "").await.unwrap_err(), 401);
}
