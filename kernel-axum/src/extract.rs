//! What the host's own handlers take and return to be served like the app's.

use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use kernel_core::{App, Ctx, Error, Workspace};

use crate::{peer, translate};

/// Whoever sent the request, admitted by the app: rate limit, authentication, workspace, cross-site guard.
#[derive(Debug, Clone)]
pub struct Caller(pub Ctx);

/// A request that names a workspace in the app's way, from somebody who belongs to it.
///
/// What that somebody may do there is still to be asked: `ctx.require(PERMISSION)?`.
#[derive(Debug, Clone)]
pub struct InWorkspace {
    /// The request's context.
    pub ctx: Ctx,
    /// The workspace, for the app's [`db`](App::db).
    pub workspace: Workspace,
}

/// An error as a handler's response: in the app's words, for a `Caller` as for a stranger.
#[derive(Debug)]
pub struct Refusal(Error);

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// The error on its way to [`dress`], which knows the request that it answers.
#[derive(Clone)]
struct Refused(Arc<Error>);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Refused(Arc::new(self.0)));
        response
    }
}

/// The app, and whom it has admitted, for the extractors.
#[derive(Clone)]
struct Admission {
    app: App,
    ctx: Arc<OnceLock<Ctx>>,
}

/// Gives the responses of the host's own handlers what those of the app have.
pub(crate) async fn dress(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let (asked, peer) = (head.clone(), peer(&head));
    let ctx = Arc::new(OnceLock::new());
    head.extensions.insert(Admission { app: app.clone(), ctx: ctx.clone() });
    let mut response = next.run(Request::from_parts(head, body)).await;
    let refused = response.extensions_mut().remove().map(|Refused(error)| {
        Arc::into_inner(error)
            .unwrap_or_else(|| Error::internal("a layer keeps a copy of the response's extensions"))
    });
    match (refused, ctx.get()) {
        (Some(error), Some(ctx)) => translate(app.refusal(ctx, &asked, peer, error)),
        (Some(error), None) => translate(app.refuse(app.find(&asked), asked, peer, error).await),
        (None, Some(ctx)) => {
            app.finish(ctx, &asked, peer, response.headers_mut());
            response
        }
        (None, None) => response,
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Response> {
        let Some(Admission { app, ctx }) = head.extensions.get::<Admission>().cloned() else {
            let unmounted =
                "the route of this handler must be in the router that is given to kernel_axum::mount";
            return Err((StatusCode::INTERNAL_SERVER_ERROR, unmounted).into_response());
        };
        if let Some(ctx) = ctx.get() {
            return Ok(Self(ctx.clone()));
        }
        let admitted = app.admit(head, peer(head)).await.map_err(translate)?;
        Ok(Self(ctx.get_or_init(|| admitted).clone()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InWorkspace {
    type Rejection = Response;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, Response> {
        let Caller(ctx) = Caller::from_request_parts(head, state).await?;
        let workspace = ctx.workspace().cloned().map_err(|error| Refusal(error).into_response())?;
        Ok(Self { ctx, workspace })
    }
}
