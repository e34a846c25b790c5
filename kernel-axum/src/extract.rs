//! What the host's own handlers take and return to be served like the app's.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, Uri};
use kernel_core::http::{self as app, Input, Visit};
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

/// The JSON body of a request as a `T`, read and refused like those of the app's routes: limits, strictness, rules and
/// envelope. It comes last among what a handler takes, behind the [`Caller`], whose refusal goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<T>(pub T);

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

/// A visit, and the path that the caller wrote: a nested router sees only the end of it.
#[derive(Clone)]
struct Dressed {
    visit: Arc<Visit>,
    uri: Uri,
}

/// Serves the host's own handlers like those of the app, from where they ask who calls.
pub(crate) async fn dress(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let asked = head.clone();
    let visit = Arc::new(Visit::new(&app));
    head.extensions.insert(Dressed { visit: visit.clone(), uri: head.uri.clone() });
    let answered = visit.run(next.run(Request::from_parts(head, body))).await;
    let answered = answered.and_then(|mut response| match response.extensions_mut().remove() {
        Some(Refused(error)) => Err(Arc::into_inner(error)
            .unwrap_or_else(|| Error::internal("a layer keeps a copy of the response's extensions"))),
        None => Ok(response),
    });
    match answered {
        Ok(mut response) => {
            visit.finish(response.status(), response.headers_mut());
            response
        }
        Err(error) => {
            let peer = peer(&asked);
            translate(visit.tell(error, asked, peer).await)
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Response> {
        let Dressed { visit, uri } = dressed(head)?;
        let template = head.extensions.get().map_or("", MatchedPath::as_str);
        let mut asked = head.clone();
        asked.uri = uri;
        let admitted = visit.admit(asked, template, peer(head)).await;
        admitted.map(Self).map_err(|error| Refusal(error).into_response())
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

impl<T: Send + 'static, S: Send + Sync> FromRequest<S> for Body<T>
where
    app::Body<T>: Input,
{
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let (head, body) = request.into_parts();
        let read = dressed(&head)?.visit.body(&head, body.into_data_stream()).await;
        read.map(Self).map_err(|error| Refusal(error).into_response())
    }
}

/// What [`dress`] has begun.
#[expect(clippy::result_large_err, reason = "what an extractor is refused with is a response")]
fn dressed(head: &Parts) -> Result<Dressed, Response> {
    let unmounted = "the route of this handler must be in the router that is given to kernel_axum::mount";
    let dressed = head.extensions.get().cloned();
    dressed.ok_or_else(|| (StatusCode::INTERNAL_SERVER_ERROR, unmounted).into_response())
}
