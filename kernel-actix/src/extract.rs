//! What the host's own handlers take and return to be served like the app's.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest, ResponseError};
use futures_util::future::LocalBoxFuture;
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

/// An error as a handler's response: in the app's words, for a `Caller` as for a stranger. [`dress`], which knows the
/// request, takes it out.
#[derive(Debug)]
pub struct Refusal(RefCell<Option<Error>>);

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(RefCell::new(Some(error.into())))
    }
}

/// What whoever answers without [`dress`] shows: nothing of the cause.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl ResponseError for Refusal {}

/// Serves the host's own handlers like those of the app, from where they ask who calls. A middleware:
/// `.wrap(actix_web::middleware::from_fn(kernel_actix::dress))`, around the routes and the app.
///
/// # Errors
/// What the handler's other middlewares fail with.
#[expect(clippy::future_not_send, reason = "an actix request stays on its thread")]
pub async fn dress(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, actix_web::Error> {
    let Some(app) = request.app_data::<App>() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let visit = Rc::new(Visit::new(app));
    request.extensions_mut().insert(visit.clone());
    let answered = match visit.run(next.call(request)).await {
        Ok(Ok(answered)) => answered,
        // A middleware has failed, or the handler by a panic, and the request has gone with it.
        Ok(Err(failed)) => {
            let refused = failed.as_error::<Refusal>().and_then(|refusal| refusal.0.take());
            return Err(refused.map_or(failed, |error| ending(&visit, error)));
        }
        Err(panic) => return Err(ending(&visit, panic)),
    };
    let (request, mut response) = answered.map_into_boxed_body().into_parts();
    let refusal = response.error().and_then(|error| error.as_error::<Refusal>());
    let Some(error) = refusal.and_then(|refusal| refusal.0.take()) else {
        let status = translate::status(&response);
        translate::change_headers(&mut response, |headers| visit.finish(status, headers));
        return Ok(ServiceResponse::new(request, response));
    };
    let reply = visit.tell(error, translate::head(&request), peer(&request)).await;
    Ok(ServiceResponse::new(request, translate::response(reply)))
}

/// An error that is answered without the request.
fn ending(visit: &Visit, error: Error) -> actix_web::Error {
    let answer = |reply| InternalError::from_response("refused", translate::response(reply)).into();
    visit.refuse(error).map_or_else(actix_web::error::ErrorInternalServerError, answer)
}

impl FromRequest for Caller {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let visit = visit(&request)?;
            let template = request.match_pattern().unwrap_or_default();
            let admitted = visit.admit(translate::head(&request), &template, peer(&request)).await;
            Ok(Self(admitted.map_err(Refusal::from)?))
        })
    }
}

impl FromRequest for InWorkspace {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        Box::pin(async move {
            let Caller(ctx) = caller.await?;
            let workspace = ctx.workspace().cloned().map_err(Refusal::from)?;
            Ok(Self { ctx, workspace })
        })
    }
}

impl<T: 'static> FromRequest for Body<T>
where
    app::Body<T>: Input,
{
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let read = visit(&request)?.body(&translate::head(&request), payload).await;
            Ok(Self(read.map_err(Refusal::from)?))
        })
    }
}

/// The visit that [`dress`] has begun.
fn visit(request: &HttpRequest) -> Result<Rc<Visit>, actix_web::Error> {
    let unmounted = "the route of this handler must be configured beside kernel_actix::configure, \
                     with kernel_actix::dress wrapped around both";
    let visit = request.extensions().get::<Rc<Visit>>().cloned();
    visit.ok_or_else(|| actix_web::error::ErrorInternalServerError(unmounted))
}
