//! What every adapter does alike: reads a body as far as its route allows, carries a socket's conversation.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Version};

use super::matcher::Matched;
use super::reply::{Message, Pump, Shutdown, Socket, SocketHandler};
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
/// much is coming; `too_slow` after `patience`; `malformed` when the body broke off, and when the head does not say
/// clearly how long the body is or which host is meant, so that no two servers in a row read it differently.
pub async fn receive<E: Display>(
    to: &Matched,
    head: &Parts,
    body: impl Stream<Item = Result<Bytes, E>>,
    patience: Duration,
) -> Result<Bytes, Error> {
    let announced = announced(head)?;
    if to.route().is_none() {
        return Ok(Bytes::new());
    }
    let limit = to.body_limit();
    let too_large = || Error::new(ErrorKind::TooLarge, "too_large").arg("limit", limit);
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let whole = async {
        let (mut body, mut whole) = (pin!(body), BytesMut::new());
        while announced != Some(whole.len())
            && let Some(piece) = body.next().await
        {
            let mut piece = piece.map_err(|error| malformed(&format!("the body broke off: {error}")))?;
            // Behind the announced length lies no body but another protocol.
            piece.truncate(announced.map_or(usize::MAX, |length| length - whole.len()));
            if piece.len() > limit - whole.len() {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        if announced.is_some_and(|length| length > whole.len()) {
            return Err(malformed("the body broke off"));
        }
        Ok(whole.freeze())
    };
    let whole = tokio::time::timeout(patience, whole).await;
    whole.unwrap_or_else(|_| Err(Error::new(ErrorKind::TooSlow, "too_slow")))
}

/// How long the body is, if its end does not have to be waited for.
fn announced(head: &Parts) -> Result<Option<usize>, Error> {
    if head.version >= Version::HTTP_2 {
        return Ok(None);
    }
    let count = |name| head.headers.get_all(name).iter().count();
    if count(HOST) > 1 {
        return Err(malformed("the head names two hosts"));
    }
    match (count(CONTENT_LENGTH), count(TRANSFER_ENCODING)) {
        (0, 0) => Ok(Some(0)),
        (0, 1) => Ok(None),
        (1, 0) => {
            let length =
                head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
            length.map(Some).ok_or_else(|| malformed("the length of the body cannot be read"))
        }
        _ => Err(malformed("the head is of two minds about the length of the body")),
    }
}

fn malformed(why: &str) -> Error {
    Error::new(ErrorKind::Malformed, "malformed").because(why)
}

/// Carries messages between a client and a socket's handler until either leaves, or the app shuts down. Close the
/// connection afterwards.
///
/// The handler may finish what it is doing when the client leaves, but not take for ever over it.
pub async fn converse(
    handler: SocketHandler,
    shutdown: Shutdown,
    incoming: impl Stream<Item = Message>,
    outgoing: impl Sink<Message>,
) {
    let (socket, Pump { to_handler, mut from_handler }) = Socket::pair(BACKLOG);
    let handling = async {
        if AssertUnwindSafe(async { handler(socket).await }).catch_unwind().await.is_err() {
            tracing::error!("the handler of a socket panicked");
        }
    };
    let sending = async {
        let mut outgoing = pin!(outgoing);
        while let Some(message) = from_handler.recv().await {
            if outgoing.send(message).await.is_err() {
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
    let is = |name, value: &str| {
        let mut given = head.headers.get_all(name).iter().map(|given| given.to_str().unwrap_or_default());
        given.next().is_some_and(|given| given.trim().eq_ignore_ascii_case(value)) && given.next().is_none()
    };
    let mut connection = head.headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    let lists_upgrade = |line: &str| line.split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
    head.method == Method::GET
        && head.version == Version::HTTP_11
        && connection.next().is_some_and(lists_upgrade)
        && is(UPGRADE, "websocket")
        && is(SEC_WEBSOCKET_VERSION, "13")
        && head.headers.contains_key(SEC_WEBSOCKET_KEY)
}

#[cfg(test)]
mod tests;
