//! What every adapter does alike: reads a body as far as its route allows, carries a socket's conversation.

use std::fmt::Display;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Request, Version};
use tokio::time::Instant;

use super::file::{Payload, Pieces};
use super::matcher::Matched;
use super::reply::{Message, Pump, Reply, Shutdown, Socket, SocketHandler};
use crate::app::App;
use crate::error::{Error, ErrorKind};

/// What one message on a socket may weigh.
pub const MESSAGE_LIMIT: usize = 256 * 1024;

/// How many messages wait on a socket in each direction before whoever sends them has to wait.
const BACKLOG: usize = 16;

/// How long a socket's handler may go on after its client has left or the app shuts down.
const GRACE: Duration = Duration::from_secs(5);

/// Serves a request: what an adapter does between translating it and translating the reply.
///
/// A body is read whole before the request enters the app, unless the route reads a [`BodyFile`](super::BodyFile): then the
/// app takes it from the client once it knows that the sender may call the route.
pub async fn serve<E: Display>(
    app: &App,
    head: Parts,
    body: impl Stream<Item = Result<Bytes, E>>,
    peer: IpAddr,
) -> Reply {
    let (to, patience) = (app.find(&head), app.timeouts().body);
    if !to.reads_file() {
        return match receive(&to, &head, body, patience).await {
            Ok(body) => app.call(to, Request::from_parts(head, body), peer).await,
            Err(error) => app.refuse(to, head, peer, error).await,
        };
    }
    let (pieces, payload) = Payload::coming();
    let serving = app.call(to.clone(), Request::from_parts(head.clone(), payload), peer);
    tokio::select! {
        biased;
        // A body that breaks off is refused at once, wherever the app is with it: some servers wait for no later answer.
        () = feed(&to, &head, body, patience, pieces) => unreachable!("feeding never ends by itself"),
        reply = serving => reply,
    }
}

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
    let arriving = Arriving::of(to, head)?;
    if to.route().is_none() {
        return Ok(Bytes::new());
    }
    arriving.whole(body, patience).await
}

/// The same for a handler of the host's own.
pub(crate) async fn receive_own<E: Display>(
    head: &Parts,
    body: impl Stream<Item = Result<Bytes, E>>,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, Error> {
    Arriving::up_to(limit, head)?.whole(body, patience).await
}

/// Hands the body on piece by piece, as far as its route allows, or says why it cannot be read. It never ends: what is
/// being served does. `patience` is for the client alone, not for whoever takes the pieces.
async fn feed<E: Display>(
    to: &Matched,
    head: &Parts,
    body: impl Stream<Item = Result<Bytes, E>>,
    patience: Duration,
    pieces: Pieces,
) {
    let fed = async {
        let (mut body, mut arriving, mut left) = (pin!(body), Arriving::of(to, head)?, patience);
        while !arriving.is_whole() {
            let asked = Instant::now();
            let piece = tokio::time::timeout(left, body.next()).await.map_err(|_| too_slow())?;
            left = left.saturating_sub(asked.elapsed());
            let Some(piece) = piece else { break };
            if !pieces.send(arriving.take(piece)?).await {
                return Ok(());
            }
        }
        arriving.end()
    };
    match fed.await {
        Ok(()) => pieces.end().await,
        Err(why) => pieces.break_off(why),
    }
    std::future::pending::<()>().await;
}

/// How much of a body has come, and how much may.
struct Arriving {
    announced: Option<usize>,
    limit: usize,
    length: usize,
}

impl Arriving {
    fn of(to: &Matched, head: &Parts) -> Result<Self, Error> {
        // What nothing is read of is refused for another reason.
        let limit = if to.route().is_some() { to.body_limit() } else { usize::MAX };
        Self::up_to(limit, head)
    }

    fn up_to(limit: usize, head: &Parts) -> Result<Self, Error> {
        let arriving = Self { announced: announced(head)?, limit, length: 0 };
        match arriving.announced {
            Some(length) if length > limit => Err(arriving.too_large()),
            _ => Ok(arriving),
        }
    }

    async fn whole<E: Display>(
        mut self,
        body: impl Stream<Item = Result<Bytes, E>>,
        patience: Duration,
    ) -> Result<Bytes, Error> {
        let whole = async {
            let (mut body, mut whole) = (pin!(body), BytesMut::new());
            while !self.is_whole()
                && let Some(piece) = body.next().await
            {
                whole.extend_from_slice(&self.take(piece)?);
            }
            self.end()?;
            Ok(whole.freeze())
        };
        let whole = tokio::time::timeout(patience, whole).await;
        whole.unwrap_or_else(|_| Err(too_slow()))
    }

    /// Whether no more has to be waited for.
    fn is_whole(&self) -> bool {
        self.announced == Some(self.length)
    }

    /// What of a piece belongs to the body.
    fn take<E: Display>(&mut self, piece: Result<Bytes, E>) -> Result<Bytes, Error> {
        let mut piece = piece.map_err(|error| malformed(&format!("the body broke off: {error}")))?;
        // Behind the announced length lies no body but another protocol.
        piece.truncate(self.announced.map_or(usize::MAX, |length| length - self.length));
        if piece.len() > self.limit - self.length {
            return Err(self.too_large());
        }
        self.length += piece.len();
        Ok(piece)
    }

    /// The client says no more.
    fn end(&self) -> Result<(), Error> {
        let broken = self.announced.is_some_and(|length| length > self.length);
        if broken { Err(malformed("the body broke off")) } else { Ok(()) }
    }

    fn too_large(&self) -> Error {
        Error::new(ErrorKind::TooLarge, "too_large").arg("limit", self.limit)
    }
}

fn too_slow() -> Error {
    Error::new(ErrorKind::TooSlow, "too_slow")
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
