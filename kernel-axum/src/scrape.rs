//! The listener that Prometheus asks.

use std::io;
use std::net::TcpListener;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use kernel_core::App;

/// Answers `GET /metrics` on a listener of its own until `shutdown` is ready. Bind it to an address that only Prometheus
/// reaches: it asks for no credentials.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve_metrics(
    app: &App,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let asked = app.clone();
    let routes = Router::new().fallback(async move |request: Request| {
        let (head, _) = request.into_parts();
        asked.scrape(&head).map(Body::from)
    });
    crate::serve(app, listener, routes, shutdown).await
}
