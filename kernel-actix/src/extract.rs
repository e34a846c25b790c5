//! What the host's own handlers take and return to be served like the app's.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::rc::Rc;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest, ResponseError};
use futures_util::future::LocalBoxFuture;
use kernel_core::http::Reply;
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
pub struct Refusal(RefCell<Option<Refused>>);

/// What [`dress`], which knows the request, makes the response of.
#[derive(Debug)]
enum Refused {
    Error(Error),
    Reply(Reply),
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(RefCell::new(Some(Refused::Error(error.into()))))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl ResponseError for Refusal {}

/// Whom the app has admitted, for the extractors.
#[derive(Clone, Default)]
struct Admission(Rc<OnceCell<Ctx>>);

/// Gives the responses of the host's own handlers what those of the app have. A middleware:
/// `.wrap(actix_web::middleware::from_fn(kernel_actix::dress))`, around the routes and the app.
///
/// # Errors
/// What the handler's other middlewares fail with.
#[expect(clippy::future_not_send, reason = "an actix request stays on its thread")]
pub async fn dress(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, actix_web::Error> {
    let Some(app) = request.app_data::<App>().cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let Admission(ctx) = Admission::default();
    request.extensions_mut().insert(Admission(ctx.clone()));
    let (request, mut response) = next.call(request).await?.map_into_boxed_body().into_parts();
    let refused =
        response.error().and_then(|error| error.as_error::<Refusal>()).and_then(|refusal| refusal.0.take());
    if refused.is_some() || ctx.get().is_some() {
        let (peer, head) = (peer(&request), translate::head(&request));
        match (refused, ctx.get()) {
            (Some(Refused::Reply(reply)), _) => response = translate::response(reply),
            (Some(Refused::Error(error)), Some(ctx)) => {
                response = translate::response(app.refusal(ctx, &head, peer, error));
            }
            (Some(Refused::Error(error)), None) => {
                response = translate::response(app.refuse(app.find(&head), head, peer, error).await);
            }
            (None, Some(ctx)) => {
                translate::change_headers(&mut response, |headers| app.finish(ctx, &head, peer, headers));
            }
            (None, None) => {}
        }
    }
    Ok(ServiceResponse::new(request, response))
}

impl FromRequest for Caller {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let admission = request.extensions().get::<Admission>().cloned();
            let (Some(app), Some(Admission(ctx))) = (request.app_data::<App>(), admission) else {
                let unmounted = "the route of this handler must be configured beside kernel_actix::configure, \
                                 with kernel_actix::dress wrapped around both";
                return Err(actix_web::error::ErrorInternalServerError(unmounted));
            };
            if let Some(ctx) = ctx.get() {
                return Ok(Self(ctx.clone()));
            }
            let admitted = app.admit(&translate::head(&request), peer(&request)).await;
            let admitted = admitted.map_err(|reply| Refusal(RefCell::new(Some(Refused::Reply(reply)))))?;
            Ok(Self(ctx.get_or_init(|| admitted).clone()))
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
