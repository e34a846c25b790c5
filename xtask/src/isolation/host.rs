//! Where requests go: the app in memory, or a server on a socket.

mod server;

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, Request};
use kernel_core::App;
use kernel_core::http::{Message, Pump, Reply, Socket, SocketHandler};

use super::exchange::{Answer, Ask};
use server::Server;

/// A stream or a socket that says nothing for so long has said what it has to say.
const QUIET: Duration = Duration::from_millis(150);
/// What is read of a stream at most.
const STREAM_MAX: usize = 64 * 1024;

/// What can serve an app on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framework {
    Actix,
    Axum,
}

impl Framework {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Actix => "actix",
            Self::Axum => "axum",
        }
    }
}

/// Something that answers requests.
#[derive(Debug)]
pub(super) enum Host {
    Memory(App),
    Served(Server),
}

impl Host {
    pub(super) fn memory(app: &App) -> Self {
        Self::Memory(app.clone())
    }

    /// Serves the app on a socket.
    pub(super) fn serve(app: &App, framework: Framework) -> Result<Self> {
        Ok(Self::Served(Server::start(app, framework)?))
    }

    /// Sends a request and waits for the whole answer.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Answer> {
        match self {
            Self::Memory(app) => in_memory(app, ask).await,
            Self::Served(server) => server.send(ask).await,
        }
    }

    /// Stops the server, if there is one.
    pub(super) async fn stop(self) {
        match self {
            Self::Memory(_) => {}
            Self::Served(server) => server.stop().await,
        }
    }
}

async fn in_memory(app: &App, ask: &Ask) -> Result<Answer> {
    let mut request = Request::builder().method(ask.method.clone()).uri(&ask.target);
    for (name, value) in &ask.headers {
        request = request.header(name, value);
    }
    let request = request.body(ask.body.clone()).with_context(|| format!("not a request: {ask}"))?;
    let (head, body) = request.into_parts();
    let to = app.find(&head);
    Ok(match app.call(to, Request::from_parts(head, body), ask.peer).await {
        Reply::Full(response) => {
            let (head, body) = response.into_parts();
            Answer::new(head.status.as_u16(), &head.headers, body)
        }
        Reply::Stream(response) => {
            let (head, mut stream) = response.into_parts();
            let mut body = BytesMut::new();
            while body.len() < STREAM_MAX
                && let Ok(Some(piece)) = tokio::time::timeout(QUIET, stream.next()).await
            {
                body.extend_from_slice(&piece.unwrap_or_else(|error| Bytes::from(error.to_string())));
            }
            Answer::new(head.status.as_u16(), &head.headers, body.freeze())
        }
        Reply::Socket(handler) => Answer::new(101, &HeaderMap::new(), overhear(handler).await),
    })
}

/// What a socket says by itself to a client that only listens.
async fn overhear(handler: SocketHandler) -> Bytes {
    let (socket, Pump { to_handler, mut from_handler }) = Socket::pair(16);
    let listening = async {
        let mut heard = BytesMut::new();
        while heard.len() < STREAM_MAX
            && let Ok(Some(message)) = tokio::time::timeout(QUIET, from_handler.recv()).await
        {
            match message {
                Message::Text(text) => heard.extend_from_slice(text.as_bytes()),
                Message::Binary(bytes) => heard.extend_from_slice(&bytes),
                Message::Close => break,
            }
        }
        drop(to_handler);
        heard.freeze()
    };
    let handling = tokio::time::timeout(QUIET * 8, handler(socket));
    futures_util::future::join(listening, handling).await.0
}
