//! A server with the limits that a public one needs.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{self, ConnectInfo};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use kernel_core::App;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::linger::Lingering;

/// What a request's head may weigh, and how many headers it may have.
const HEAD_LIMIT: usize = 128 * 1024;
const HEADERS_LIMIT: usize = 96;

/// Held by every open socket, so that a shutdown can wait for it.
#[derive(Clone)]
pub(crate) struct Open {
    _until_dropped: mpsc::Sender<()>,
}

/// Serves the routes, which the app is [mounted](crate::mount) in, until it is told to stop: until `shutdown` is ready and the
/// [notice](kernel_core::http::Timeouts::notice) that load balancers get is over. Then streams and sockets are told to end,
/// and connections may finish their request, all within the app's [timeouts](App::timeouts).
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(
    app: &App,
    listener: TcpListener,
    routes: Router,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    let (until_dropped, mut sockets) = mpsc::channel(1);
    let open = Open { _until_dropped: until_dropped };
    let mut shutdown = pin!(app.leave(shutdown));
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok(from) => {
                    connections.spawn(connection(from, routes.clone(), app.clone(), open.clone()));
                }
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            },
        }
    }
    drop((listener, open));
    app.shutdown().begin();
    let ended = async {
        while connections.join_next().await.is_some() {}
        sockets.recv().await;
    };
    if tokio::time::timeout(app.timeouts().drain, ended).await.is_err() {
        tracing::warn!("connections that did not end in time are cut");
    }
    Ok(())
}

/// Answers what [`App::scrape`] answers, `GET /metrics` and `GET /health`, on a listener of its own, until it is told to
/// stop as [`serve`] is. Bind it to an address that only Prometheus and operators reach: it asks for no credentials.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve_metrics(
    app: &App,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let asked = app.clone();
    let routes = Router::new().fallback(async move |request: extract::Request| {
        let (head, _) = request.into_parts();
        asked.scrape(&head).await.map(Body::from)
    });
    serve(app, listener, routes, shutdown).await
}

async fn connection((stream, peer): (TcpStream, SocketAddr), routes: Router, app: App, open: Open) {
    // Answers are written whole, so there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(open.clone());
        routes.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.timeouts().head)
        .max_buf_size(HEAD_LIMIT)
        .max_headers(HEADERS_LIMIT)
        .serve_connection(TokioIo::new(Lingering::new(stream)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = app.shutdown().begun() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Whether one client broke off, which says nothing about the next.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
