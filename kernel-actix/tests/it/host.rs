//! A host with routes of its own beside the app.

use std::io;
use std::net::TcpListener;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use kernel_actix::{Body, Caller, InWorkspace, Refusal, configure, serve, serve_metrics};
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
    let mount = configure(app.clone());
    let own = move |config: &mut ServiceConfig| {
        config
            .route("/own", web::get().to(async || "own"))
            .service(web::resource("/own/caller").get(caller).post(caller))
            .route("/own/refused", web::get().to(refused))
            .route("/own/cookies", web::get().to(cookies))
            .route("/own/panics", web::get().to(panics))
            .route("/own/refused-panics", web::get().to(refused_panics))
            .route("/own/body", web::post().to(body))
            .route("/own/careless", web::post().to(careless))
            .route("/w/{workspace}/own", web::get().to(workspace))
            .route("/w/{workspace}/rule", web::get().to(rule))
            .service(web::scope("/w/{workspace}/nested").route("/own", web::get().to(workspace)))
            .service(web::resource("/w/{workspace}/guarded").wrap(from_fn(guard)).get(async || "inside"))
            .configure(mount.clone());
    };
    let routes = move |config: &mut ServiceConfig| {
        if prefix.is_empty() {
            config.configure(own.clone());
        } else {
            config.service(web::scope(prefix).configure(own.clone()));
        }
    };
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

async fn refused() -> Result<HttpResponse, Refusal> {
    Err(Error::not_found().into())
}

async fn cookies(_: Caller) -> impl Responder {
    HttpResponse::Ok().append_header(("set-cookie", "a=1")).append_header(("set-cookie", "b=2")).finish()
}

async fn panics(_: Caller) -> HttpResponse {
    panic!("the handler is broken")
}

#[expect(clippy::future_not_send, reason = "an actix request stays on its thread")]
async fn refused_panics(caller: Result<Caller, actix_web::Error>) -> String {
    assert!(caller.is_err());
    panic!("the handler is broken")
}

async fn workspace(InWorkspace { ctx, workspace }: InWorkspace) -> Result<String, Refusal> {
    ctx.require(READ)?;
    tracing::info!("in the handler");
    Ok(workspace.slug().to_owned())
}

async fn rule(InWorkspace { ctx, .. }: InWorkspace) -> Result<HttpResponse, Refusal> {
    ctx.require(RULE)?;
    Ok(HttpResponse::Ok().finish())
}

/// A middleware that lets members in.
#[expect(clippy::future_not_send, reason = "an actix request stays on its thread")]
async fn guard(
    _: InWorkspace,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    next.call(request).await
}
