//! The way from the clients to PgBouncer, which can be cut: a client that is killed looks like that from the other end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A port of the loopback interface that leads to another one, until it is dropped.
#[derive(Debug)]
pub(super) struct Link {
    port: u16,
    open: Connections,
    accepting: JoinHandle<()>,
}

type Connections = Arc<Mutex<Vec<JoinHandle<()>>>>;

impl Link {
    #[expect(clippy::disallowed_methods, reason = "the link owns its tasks and ends them when dropped")]
    pub(super) async fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("the link cannot listen")?;
        let own = listener.local_addr()?.port();
        let open = Connections::default();
        let accepting = tokio::spawn(accept(listener, port, Arc::clone(&open)));
        Ok(Self { port: own, open, accepting })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Cuts one of the open connections; `choice` says which. False when none is open.
    pub(super) fn cut(&self, choice: usize) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|connection| !connection.is_finished());
        if open.is_empty() {
            return false;
        }
        let choice = choice % open.len();
        open.swap_remove(choice).abort();
        true
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.drain(..).for_each(|connection| connection.abort());
    }
}

#[expect(clippy::disallowed_methods, reason = "the link owns its tasks and ends them when dropped")]
async fn accept(listener: TcpListener, to: u16, open: Connections) {
    while let Ok((mut client, _)) = listener.accept().await {
        let connection = tokio::spawn(async move {
            if let Ok(mut server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], to))).await {
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                // Whatever ends it, both ends are closed.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
        open.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}
