//! The servers, each on a thread of its own, and what can be planted in them.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kernel_core::{App, DbError};
use sqlx::PgConnection;
use tokio::sync::oneshot;

/// What serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Axum,
    Actix,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::Actix => "actix",
        }
    }

    /// What its figures are called.
    pub(super) fn keys(self) -> [&'static str; 2] {
        match self {
            Self::Axum => ["axum_peak_kb", "axum_served"],
            Self::Actix => ["actix_peak_kb", "actix_served"],
        }
    }
}

/// A server under way; it stops with its handle.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Server {
    pub(super) fn start(kind: Kind, app: &App, fault: Option<&str>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        let (address, app, fault) = (listener.local_addr()?, app.clone(), fault.map(str::to_owned));
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let shutdown = async {
                // Also when whoever started it is gone.
                let _ = stopped.await;
            };
            if kind == Kind::Actix {
                let routes = kernel_actix::configure(app.clone());
                return runtime.block_on(kernel_actix::serve(&app, listener, routes, shutdown));
            }
            let routes = plant(kernel_axum::mount(Router::new(), app.clone()), &app, fault.as_deref());
            runtime.block_on(kernel_axum::serve(&app, listener, routes, shutdown))
        });
        Ok(Self { address, _stop: stop })
    }
}

fn plant(routes: Router, app: &App, fault: Option<&str>) -> Router {
    match fault {
        Some("whole") => routes.layer(from_fn(whole)),
        Some("connection") => routes.layer(from_fn_with_state(app.clone(), connected)),
        _ => routes,
    }
}

/// Reads the body into memory first.
async fn whole(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match to_bytes(body, usize::MAX).await {
        Ok(body) => next.run(Request::from_parts(head, Body::from(body))).await,
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// Holds a connection to the database from the head of a request to its answer.
async fn connected(State(app): State<App>, request: Request, next: Next) -> Response {
    let held = app.db().lookup(async |_: &mut PgConnection| Ok::<_, DbError>(next.run(request).await));
    let failed = |error: DbError| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response();
    held.await.unwrap_or_else(failed)
}
