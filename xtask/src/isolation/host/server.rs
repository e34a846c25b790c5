//! The app behind a framework's server, and a client that reads its answers byte by byte.

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use kernel_core::App;
use kernel_core::testkit::RawClient;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use super::{Framework, QUIET, STREAM_MAX};
use crate::isolation::exchange::{Answer, Ask};

/// A server under way.
#[derive(Debug)]
pub(in crate::isolation) struct Server {
    address: SocketAddr,
    /// Open between requests, as a browser's is.
    connection: Mutex<Option<RawClient>>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts it on a free port, in a runtime of its own, as a product's program would.
    pub(super) fn start(app: &App, framework: Framework) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        let (address, app) = (listener.local_addr()?, app.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let thread = std::thread::spawn(move || {
            let shutdown = async {
                // Also when whoever started it is gone.
                let _ = stopped.await;
            };
            let served = match framework {
                Framework::Axum => {
                    let routes = kernel_axum::mount(axum::Router::new(), app.clone());
                    runtime.block_on(kernel_axum::serve(&app, listener, routes, shutdown))
                }
                Framework::Actix => {
                    let routes = kernel_actix::configure(app.clone());
                    runtime.block_on(kernel_actix::serve(&app, listener, routes, shutdown))
                }
            };
            if let Err(error) = served {
                eprintln!("{} stopped: {error}", framework.name());
            }
        });
        Ok(Self { address, connection: Mutex::new(None), stop, thread })
    }

    pub(super) async fn send(&self, ask: &Ask) -> Result<Answer> {
        let mut open = self.connection.lock().await;
        if let Some(connection) = open.as_mut()
            && let Ok(answer) = exchange(connection, ask).await
        {
            if closes(&answer) {
                *open = None;
            }
            return Ok(end_to_end(answer));
        }
        let mut connection = RawClient::connect(self.address).await.context("connecting to the server")?;
        let answer = exchange(&mut connection, ask).await.with_context(|| format!("no answer to {ask}"))?;
        *open = if closes(&answer) { None } else { Some(connection) };
        Ok(end_to_end(answer))
    }

    pub(super) async fn stop(self) {
        drop(self.connection.into_inner());
        // It may have stopped by itself.
        let _ = self.stop.send(());
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            eprintln!("a server panicked");
        }
    }
}

fn closes(answer: &Answer) -> bool {
    answer.status == 101
        || answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

/// The answer without what it says of the connection: whether a refused body had arrived in time for a server to keep it
/// open is chance.
fn end_to_end(mut answer: Answer) -> Answer {
    answer.headers.retain(|(name, value)| name != "connection" || !value.eq_ignore_ascii_case("close"));
    answer
}

async fn exchange(connection: &mut RawClient, ask: &Ask) -> std::io::Result<Answer> {
    let mut head = format!("{} {} HTTP/1.1\r\n", ask.method, ask.target).into_bytes();
    for (name, value) in &ask.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    if !(ask.method.is_safe() && ask.body.is_empty()) {
        head.extend_from_slice(format!("content-length: {}\r\n", ask.body.len()).as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(&ask.body);
    connection.send(head).await?;
    if ask.method == http::Method::HEAD {
        let answer = connection.answer(true).await?;
        return Ok(Answer::new(answer.status, &answer.headers, answer.body));
    }
    let answer = connection.head().await?;
    let header = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let body = match (answer.status, header("content-length")) {
        (101 | 204 | 304, _) => Bytes::new(),
        (_, Some(length)) => connection.exactly(length.parse().map_err(std::io::Error::other)?).await?,
        _ => streamed(connection).await,
    };
    Ok(Answer::new(answer.status, &answer.headers, body))
}

/// A chunked body as far as it comes without a pause.
async fn streamed(connection: &mut RawClient) -> Bytes {
    let mut body = BytesMut::new();
    while body.len() < STREAM_MAX
        && let Ok(Ok(piece)) = timeout(QUIET, connection.chunk()).await
        && !piece.is_empty()
    {
        body.extend_from_slice(&piece);
    }
    body.freeze()
}
