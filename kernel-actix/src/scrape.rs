//! The listener that Prometheus asks.

use std::io;
use std::net::TcpListener;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use kernel_core::App;
use kernel_core::http::Reply;

use crate::translate;

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
    let routes = |config: &mut ServiceConfig| {
        config.default_service(web::to(answer));
    };
    crate::serve(app, listener, routes, shutdown).await
}

#[expect(clippy::future_not_send, reason = "an actix request stays on its thread")]
async fn answer(request: HttpRequest) -> HttpResponse {
    let app = request.app_data::<App>().expect("the server registers it for every route");
    translate::response(Reply::Full(app.scrape(&translate::head(&request))))
}
