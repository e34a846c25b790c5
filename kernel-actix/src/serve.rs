//! A server with the limits that a public one needs.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App as Routes, HttpRequest, HttpResponse, HttpServer};
use kernel_core::App;
use kernel_core::http::Reply;

use crate::{dress, translate};

/// How long the client may take to see that the server has closed.
const LINGER: Duration = Duration::from_secs(1);

/// Serves the routes, which the app is [configured](crate::configure) in, until it is told to stop: until `shutdown` is ready and the
/// [notice](kernel_core::http::Timeouts::notice) that load balancers get is over. Then streams and sockets are told to end,
/// and connections may finish their request, all within the app's [timeouts](App::timeouts).
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(
    app: &App,
    listener: TcpListener,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let timeouts = app.timeouts();
    let data = app.clone();
    let own = move || Routes::new().app_data(data.clone()).wrap(from_fn(dress)).configure(routes.clone());
    let server = HttpServer::new(own)
        .listen(listener)?
        .client_request_timeout(timeouts.head)
        .client_disconnect_timeout(LINGER)
        // A client that closes its side has gone, and its handler is cancelled.
        .h1_allow_half_closed(false)
        .tcp_nodelay(true)
        .shutdown_timeout(timeouts.drain.as_secs())
        .disable_signals()
        .run();
    let (handle, mut server) = (server.handle(), std::pin::pin!(server));
    tokio::select! {
        ended = &mut server => return ended,
        () = app.leave(shutdown) => {}
    }
    app.shutdown().begin();
    let (ended, ()) = tokio::join!(server, handle.stop(true));
    ended
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
    let routes = |config: &mut ServiceConfig| {
        config.default_service(web::to(scraped));
    };
    serve(app, listener, routes, shutdown).await
}

#[expect(clippy::future_not_send, reason = "an actix request stays on its thread")]
async fn scraped(request: HttpRequest) -> HttpResponse {
    let app = request.app_data::<App>().expect("the server registers it for every route");
    translate::response(Reply::Full(app.scrape(&translate::head(&request)).await))
}
