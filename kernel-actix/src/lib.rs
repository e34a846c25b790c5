#![doc = include_str!("../README.md")]

mod extract;
mod serve;
mod translate;

use std::net::{IpAddr, Ipv4Addr};

use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use actix_ws::{AggregatedMessage as Frame, AggregatedMessageStream, Session};
use futures_util::{StreamExt, sink};
use kernel_core::App;
use kernel_core::http::adapter::{self, MESSAGE_LIMIT, converse};
use kernel_core::http::{Message, Reply, Shutdown, SocketHandler};

pub use extract::{Body, Caller, InWorkspace, Refusal, dress};
pub use serve::{serve, serve_metrics};

/// Adds the app behind the host's own routes: whatever these do not match goes to the app. Configure a scope with it to
/// put it under a prefix.
///
/// The host's handlers that take a [`Caller`] or an [`InWorkspace`] answer like the app's own, with its headers and its
/// errors, where [`dress`] is wrapped around them; [`serve`] does that.
pub fn configure(app: App) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |config| {
        config.app_data(app.clone()).default_service(web::to(answer));
    }
}

#[expect(
    clippy::future_not_send,
    reason = "an actix request stays on its thread; what the kernel does with it need not"
)]
async fn answer(request: HttpRequest, mut payload: Payload) -> HttpResponse {
    let app = request.app_data::<App>().expect("`configure` registers it beside this handler").clone();
    let reply = adapter::serve(&app, translate::head(&request), &mut payload, peer(&request)).await;
    let Reply::Socket(handler) = reply else { return translate::response(reply) };
    match actix_ws::handle(&request, payload) {
        Ok((response, session, frames)) => {
            let frames = frames.max_frame_size(MESSAGE_LIMIT).aggregate_continuations();
            let frames = frames.max_continuation_size(MESSAGE_LIMIT);
            actix_web::rt::spawn(pump(session, frames, handler, app.shutdown().clone()));
            response
        }
        // The app has checked the handshake.
        Err(error) => HttpResponse::from_error(error),
    }
}

#[expect(clippy::future_not_send, reason = "an actix connection stays on its thread")]
async fn pump(session: Session, frames: AggregatedMessageStream, handler: SocketHandler, shutdown: Shutdown) {
    let pong = session.clone();
    let incoming = frames.filter_map(move |frame| {
        let mut pong = pong.clone();
        async move {
            match frame {
                Ok(Frame::Text(text)) => Some(Message::Text(text.to_string())),
                Ok(Frame::Binary(bytes)) => Some(Message::Binary(bytes)),
                Ok(Frame::Ping(bytes)) => pong.pong(&bytes).await.err().map(|_| Message::Close),
                Ok(Frame::Pong(_)) => None,
                Ok(Frame::Close(_)) | Err(_) => Some(Message::Close),
            }
        }
    });
    let outgoing = sink::unfold(session.clone(), |mut session, message| async move {
        match message {
            Message::Text(text) => session.text(text).await?,
            Message::Binary(bytes) => session.binary(bytes).await?,
            Message::Close => session.clone().close(None).await?,
        }
        Ok::<_, actix_ws::Closed>(session)
    });
    converse(handler, shutdown, incoming, outgoing).await;
    // To a client that has gone, nothing can be said.
    let _ = session.close(None).await;
}

/// The address of the connection.
fn peer(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}
