//! What every adapter does alike: reads a body as far as its route allows, carries a socket's conversation.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, Stream, StreamExt};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{Method, Version};

use super::matcher::Matched;
use super::reply::{Gone, Message, Pump, Shutdown, Socket, SocketHandler};
use crate::error::{Error, ErrorKind};

/// What one message on a socket may weigh.
pub const MESSAGE_LIMIT: usize = 256 * 1024;

/// How many messages wait on a socket in each direction before whoever sends them has to wait.
const BACKLOG: usize = 16;

/// How long a socket's handler may go on after its client has left or the app shuts down.
const GRACE: Duration = Duration::from_secs(5);

/// Reads the body of a request: none at all where no route matched, and never more than the route's limit.
///
/// # Errors
/// Hand them to [`App::refuse`](crate::App::refuse): `too_large`, before anything is read where the head says how
/// much is coming; `too_slow` after `patience`; `malformed` when the body broke off.
pub async fn receive<E: Display>(
    to: &Matched,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<Bytes, E>>,
    patience: Duration,
) -> Result<Bytes, Error> {
    if to.route().is_none() {
        return Ok(Bytes::new());
    }
    let limit = to.body_limit();
    let too_large = || Error::new(ErrorKind::TooLarge, "too_large").arg("limit", limit);
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let whole = async {
        let (mut body, mut whole) = (pin!(body), BytesMut::new());
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| {
                Error::new(ErrorKind::Malformed, "malformed").because(format!("the body broke off: {error}"))
            })?;
            if piece.len() > limit - whole.len() {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    };
    let whole = tokio::time::timeout(patience, whole).await;
    whole.unwrap_or_else(|_| Err(Error::new(ErrorKind::TooSlow, "too_slow")))
}

/// Carries messages between a client and a socket's handler until either leaves, or the app shuts down. Close the
/// connection afterwards.
///
/// The handler may finish what it is doing when the client leaves, but not take for ever over it.
pub async fn converse(
    handler: SocketHandler,
    shutdown: &Shutdown,
    incoming: impl Stream<Item = Message>,
    mut send: impl AsyncFnMut(Message) -> Result<(), Gone>,
) {
    let (socket, Pump { to_handler, mut from_handler }) = Socket::pair(BACKLOG);
    let handling = async {
        if AssertUnwindSafe(async { handler(socket).await }).catch_unwind().await.is_err() {
            tracing::error!("the handler of a socket panicked");
        }
    };
    let sending = async {
        while let Some(message) = from_handler.recv().await {
            if send(message).await.is_err() {
                from_handler.close();
                break;
            }
        }
    };
    let receiving = async {
        let mut incoming = pin!(incoming);
        while let Some(message) = incoming.next().await {
            if message == Message::Close || to_handler.send(message).await.is_err() {
                break;
            }
        }
        drop(to_handler);
    };
    let leaving = async {
        tokio::select! {
            () = receiving => {}
            () = shutdown.begun() => {}
        }
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        _ = futures_util::future::join(handling, sending) => {}
        () = leaving => tracing::warn!("the handler of a socket did not end when its client left"),
    }
}

/// Whether the client asks to open a WebSocket, in the words of RFC 6455.
pub(crate) fn opens_socket(head: &Parts) -> bool {
    let lists = |name, token: &str| {
        let lines = head.headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
    };
    let is = |name, value: &str| head.headers.get(name).is_some_and(|given| given == value);
    head.method == Method::GET
        && head.version >= Version::HTTP_11
        && lists(CONNECTION, "upgrade")
        && lists(UPGRADE, "websocket")
        && is(SEC_WEBSOCKET_VERSION, "13")
        && head.headers.contains_key(SEC_WEBSOCKET_KEY)
}

#[cfg(test)]
mod tests;
