//! A host with routes of its own beside the app.

use std::io;
use std::net::TcpListener;

use axum::Router;
use axum::extract::Request;
use axum::http::header::SET_COOKIE;
use axum::middleware::{Next, from_fn};
use axum::response::{AppendHeaders, Response};
use axum::routing::{get, post};
use kernel_axum::{Body, Caller, InWorkspace, Refusal, mount, serve, serve_metrics};
use kernel_core::{App, Error};
use tokio::sync::oneshot::Receiver;

use crate::demo::{Careless, Note, READ, RULE};

/// Serves until `shutdown`; under `prefix` unless that is empty.
pub(crate) async fn run(
    app: App,
    listener: TcpListener,
    prefix: &'static str,
    shutdown: Receiver<()>,
) -> io::Result<()> {
    let own = Router::new()
        .route("/own", get(async || "own"))
        .route("/own/caller", get(caller).post(caller))
        .route("/own/refused", get(async || -> Result<(), Refusal> { Err(Error::not_found().into()) }))
        .route("/own/cookies", get(cookies))
        .route("/own/panics", get(panics))
        .route("/own/refused-panics", get(refused_panics))
        .route("/own/body", post(body))
        .route("/own/careless", post(careless))
        .route("/w/{workspace}/own", get(workspace))
        .route("/w/{workspace}/rule", get(rule))
        .nest("/w/{workspace}/nested", Router::new().route("/own", get(workspace)))
        .route("/w/{workspace}/guarded", get(async || "inside").layer(from_fn(guard)));
    let routes = mount(own, app.clone());
    let routes = if prefix.is_empty() { routes } else { Router::new().nest(prefix, routes) };
    serve(&app, listener, routes, async { drop(shutdown.await) }).await
}

/// Serves the metrics until `shutdown`.
pub(crate) async fn scraped(app: App, listener: TcpListener, shutdown: Receiver<()>) -> io::Result<()> {
    serve_metrics(&app, listener, async { drop(shutdown.await) }).await
}

async fn caller(Caller(ctx): Caller) -> String {
    ctx.actor().kind().to_owned()
}

async fn body(_: Caller, Body(note): Body<Note>) -> String {
    note.text.len().to_string()
}

async fn careless(Body(note): Body<Careless>) -> String {
    note.text
}

async fn cookies(_: Caller) -> AppendHeaders<[(axum::http::HeaderName, &'static str); 2]> {
    AppendHeaders([(SET_COOKIE, "a=1"), (SET_COOKIE, "b=2")])
}

async fn panics(_: Caller) -> String {
    panic!("the handler is broken")
}

async fn refused_panics(caller: Result<Caller, Response>) -> String {
    caller.unwrap_err();
    panic!("the handler is broken")
}

async fn workspace(InWorkspace { ctx, workspace }: InWorkspace) -> Result<String, Refusal> {
    ctx.require(READ)?;
    tracing::info!("in the handler");
    Ok(workspace.slug().to_owned())
}

async fn rule(InWorkspace { ctx, .. }: InWorkspace) -> Result<(), Refusal> {
    Ok(ctx.require(RULE)?)
}

/// A middleware that lets members in.
async fn guard(_: InWorkspace, request: Request, next: Next) -> Response {
    next.run(request).await
}
