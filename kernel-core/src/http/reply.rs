//! What goes back: a whole response, a stream of bytes, or a socket.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use tokio::sync::{mpsc, watch};

use super::problem;

/// A body that is produced piece by piece, such as server-sent events.
pub type BytesStream = Pin<Box<dyn Stream<Item = Result<Bytes, StreamError>> + Send>>;

/// Why a stream broke off.
pub type StreamError = Box<dyn std::error::Error + Send + Sync>;

/// What serves a socket once it is open. The future ends when the conversation does.
pub type SocketHandler = Box<dyn FnOnce(Socket) -> BoxFuture<'static, ()> + Send>;

/// The answer to a request, for an adapter to translate.
pub enum Reply {
    /// A response with its whole body.
    Full(Response<Bytes>),
    /// A response whose body comes piece by piece. It ends by itself when the app shuts down.
    Stream(Response<BytesStream>),
    /// A WebSocket: the adapter upgrades the connection and pumps messages both ways.
    Socket(SocketHandler),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(response) => f.debug_tuple("Full").field(response).finish(),
            Self::Stream(response) => f.debug_tuple("Stream").field(&response.status()).finish(),
            Self::Socket(_) => f.write_str("Socket"),
        }
    }
}

impl Reply {
    /// A successful response of any content type: a stylesheet, an export.
    #[must_use]
    pub fn bytes(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = problem::response(problem::OK, body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self::Full(response)
    }

    /// A successful response whose body is the stream.
    #[must_use]
    pub fn stream<S, E>(content_type: &'static str, body: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<StreamError>,
    {
        let body: BytesStream = Box::pin(body.map(|piece| piece.map_err(Into::into)));
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self::Stream(response)
    }

    /// A WebSocket served by `handler`.
    #[must_use]
    pub fn socket<H, F>(handler: H) -> Self
    where
        H: FnOnce(Socket) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::Socket(Box::new(move |socket| Box::pin(handler(socket))))
    }

    /// The status, where there is one: a socket has none yet.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Full(response) => Some(response.status()),
            Self::Stream(response) => Some(response.status()),
            Self::Socket(_) => None,
        }
    }

    /// The response's headers; `None` for a socket.
    pub fn headers_mut(&mut self) -> Option<&mut HeaderMap> {
        match self {
            Self::Full(response) => Some(response.headers_mut()),
            Self::Stream(response) => Some(response.headers_mut()),
            Self::Socket(_) => None,
        }
    }

    /// Makes streams and sockets end when `shutdown` begins, so that waiting for them is short.
    pub(crate) fn until(self, shutdown: &Shutdown) -> Self {
        match self {
            Self::Full(_) => self,
            Self::Stream(response) => {
                let begun = shutdown.clone();
                Self::Stream(response.map(|body| -> BytesStream {
                    let body = AssertUnwindSafe(body).catch_unwind().map(|piece| {
                        piece.unwrap_or_else(|_| {
                            tracing::error!("the body of a response panicked");
                            Err("the body panicked".into())
                        })
                    });
                    Box::pin(body.take_until(async move { begun.begun().await }))
                }))
            }
            Self::Socket(handler) => {
                let shutdown = shutdown.clone();
                Self::Socket(Box::new(move |socket| handler(Socket { shutdown: Some(shutdown), ..socket })))
            }
        }
    }
}

/// A message on a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// The end of the conversation.
    Close,
}

/// The handler's end of a socket: two bounded channels that the adapter pumps.
#[derive(Debug)]
pub struct Socket {
    incoming: mpsc::Receiver<Message>,
    outgoing: mpsc::Sender<Message>,
    shutdown: Option<Shutdown>,
}

/// The adapter's end of a socket.
#[derive(Debug)]
pub struct Pump {
    /// What the client sent goes in here; when it is full, stop reading from the client.
    pub to_handler: mpsc::Sender<Message>,
    /// What comes out here goes to the client; when it ends, close.
    pub from_handler: mpsc::Receiver<Message>,
}

/// The client has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has gone")]
pub struct Gone;

impl Socket {
    /// Two connected ends, each holding at most `capacity` messages that nobody has read yet.
    #[must_use]
    pub fn pair(capacity: usize) -> (Self, Pump) {
        let (to_handler, incoming) = mpsc::channel(capacity);
        let (outgoing, from_handler) = mpsc::channel(capacity);
        (Self { incoming, outgoing, shutdown: None }, Pump { to_handler, from_handler })
    }

    /// The next message from the client; `None` once the conversation is over or the app shuts down.
    pub async fn receive(&mut self) -> Option<Message> {
        let shutdown = self.shutdown.clone();
        let over = async {
            match shutdown {
                Some(shutdown) => shutdown.begun().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = over => None,
            message = self.incoming.recv() => message.filter(|message| *message != Message::Close),
        }
    }

    /// Sends a message, waiting while the client is slow.
    ///
    /// # Errors
    /// [`Gone`] when nobody reads any more.
    pub async fn send(&self, message: Message) -> Result<(), Gone> {
        self.outgoing.send(message).await.map_err(|_| Gone)
    }
}

/// Says that the app is about to stop. Clones share it.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Sender<Stage>);

/// How far a stop has come; it never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    Announced,
    Begun,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }
}

impl Shutdown {
    /// Says that the stop will begin soon. From now on `/readyz` answers 503; everything else goes on.
    pub fn announce(&self) {
        self.reach(Stage::Announced);
    }

    /// Tells every stream and socket to end. Before the server waits for open connections.
    pub fn begin(&self) {
        self.reach(Stage::Begun);
    }

    /// Whether [`Shutdown::announce`] or [`Shutdown::begin`] has been called.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        *self.0.borrow() >= Stage::Announced
    }

    /// Whether [`Shutdown::begin`] has been called.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.0.borrow() == Stage::Begun
    }

    /// Waits for [`Shutdown::begin`].
    pub async fn begun(&self) {
        // The sender lives in `self`, so the channel cannot close while this waits.
        let _ = self.0.subscribe().wait_for(|stage| *stage == Stage::Begun).await;
    }

    fn reach(&self, stage: Stage) {
        self.0.send_if_modified(|now| {
            let further = *now < stage;
            *now = stage.max(*now);
            further
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn a_stream_ends_when_the_shutdown_begins() {
        let shutdown = Shutdown::default();
        let endless = stream::repeat_with(|| Ok::<_, Gone>(Bytes::from_static(b"tick")));
        let Reply::Stream(response) = Reply::stream("text/event-stream", endless).until(&shutdown) else {
            panic!("not a stream");
        };
        let mut body = response.into_body();
        assert!(body.next().await.is_some());
        shutdown.begin();
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn an_announced_shutdown_has_not_begun_and_does_not_go_back() {
        let shutdown = Shutdown::default();
        assert!(!shutdown.is_announced());
        shutdown.announce();
        assert!(shutdown.is_announced() && !shutdown.has_begun());
        shutdown.begin();
        shutdown.announce();
        assert!(shutdown.is_announced() && shutdown.has_begun());
        shutdown.begun().await;
    }

    #[tokio::test]
    async fn a_socket_hears_the_client_until_either_side_ends() {
        let shutdown = Shutdown::default();
        let (done, heard) = tokio::sync::oneshot::channel();
        let reply = Reply::socket(|mut socket: Socket| async move {
            let mut count = 0;
            while let Some(message) = socket.receive().await {
                socket.send(message).await.unwrap();
                count += 1;
            }
            done.send(count).unwrap();
        });
        let Reply::Socket(handler) = reply.until(&shutdown) else { panic!("not a socket") };
        let (socket, mut pump) = Socket::pair(4);
        let client = async {
            pump.to_handler.send(Message::Text("hello".to_owned())).await.unwrap();
            assert_eq!(pump.from_handler.recv().await, Some(Message::Text("hello".to_owned())));
            shutdown.begin();
            assert_eq!(pump.from_handler.recv().await, None);
        };
        tokio::join!(handler(socket), client);
        assert_eq!(heard.await, Ok(1));
    }
}
