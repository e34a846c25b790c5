#![doc = include_str!("../README.md")]

mod extract;
mod linger;
mod serve;

use std::convert::Infallible;
use std::future::ready;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::ws::{Message as Frame, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use http::request::Parts;
use kernel_core::App;
use kernel_core::http::adapter::{self, MESSAGE_LIMIT, converse};
use kernel_core::http::{Message, Peer, Reply, Shutdown, SocketHandler};

pub use extract::{Body, Caller, InWorkspace, Refusal};
pub use serve::{serve, serve_metrics};

/// Adds the app behind the host's own routes: whatever these do not match goes to the app. Nest the result to put all
/// of it under a prefix.
///
/// The host's handlers that take a [`Caller`] or an [`InWorkspace`] answer like the app's own: with its headers, and
/// with its errors when they return a [`Refusal`] or take a [`Body`].
#[must_use = "the routes that were passed in are in the router that is returned"]
pub fn mount<S: Clone + Send + Sync + 'static>(own: Router<S>, app: App) -> Router<S> {
    let own = own.layer(from_fn_with_state(app.clone(), extract::dress));
    own.fallback_service(tower::service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, Infallible>(answer(&app, request).await) }
    }))
}

async fn answer(app: &App, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let (peer, open) = (peer(&head), head.extensions.get::<serve::Open>().cloned());
    let upgrade = WebSocketUpgrade::from_request_parts(&mut head, &()).await;
    let reply = adapter::serve(app, head, body.into_data_stream(), peer).await;
    let Reply::Socket(handler) = reply else { return translate(reply) };
    let shutdown = app.shutdown().clone();
    match upgrade {
        Ok(upgrade) => upgrade.max_message_size(MESSAGE_LIMIT).max_frame_size(MESSAGE_LIMIT).on_upgrade(
            move |socket| async move {
                pump(socket, handler, shutdown).await;
                drop(open);
            },
        ),
        // The app has checked the handshake; what is left is a server that cannot hand over its connection.
        Err(rejection) => rejection.into_response(),
    }
}

/// The response of a reply that is no socket.
fn translate(reply: Reply) -> Response {
    match reply {
        Reply::Full(response) => response.map(axum::body::Body::from),
        Reply::Stream(response) => response.map(axum::body::Body::from_stream),
        Reply::Socket(_) => unreachable!("only a handler that was called answers with a socket"),
    }
}

async fn pump(socket: WebSocket, handler: SocketHandler, shutdown: Shutdown) {
    let (mut outgoing, incoming) = socket.split();
    let incoming = incoming.filter_map(|frame| {
        ready(match frame {
            Ok(Frame::Text(text)) => Some(Message::Text(text.as_str().to_owned())),
            Ok(Frame::Binary(bytes)) => Some(Message::Binary(bytes)),
            Ok(Frame::Ping(_) | Frame::Pong(_)) => None,
            Ok(Frame::Close(_)) | Err(_) => Some(Message::Close),
        })
    });
    let frames = (&mut outgoing).with(|message| {
        ready(Ok::<_, axum::Error>(match message {
            Message::Text(text) => Frame::text(text),
            Message::Binary(bytes) => Frame::Binary(bytes),
            Message::Close => Frame::Close(None),
        }))
    });
    converse(handler, shutdown, incoming, frames).await;
    // To a client that has gone, nothing can be said.
    let _ = outgoing.close().await;
}

/// The address of the connection, if the server has told it.
fn peer(head: &Parts) -> IpAddr {
    let connection = head.extensions.get().map(|ConnectInfo(address): &ConnectInfo<SocketAddr>| address.ip());
    let told = || head.extensions.get().map(|Peer(ip)| *ip);
    connection.or_else(told).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}
