//! Accepts connections, sees them through the start of the protocol, and joins the two directions.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::frame::{Broken, MAX_STARTUP, put_fatal};
use super::ledger::Ledger;
use super::target::{PgTarget, Stream};
use super::{client, server};

const MAX_CONNECTIONS: usize = 512;
/// How long one side may take to finish after the other has hung up, or to begin.
const GRACE: Duration = Duration::from_secs(5);

const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// Serves until the task is aborted, and its connections with it.
pub(super) async fn accept(listener: TcpListener, upstream: PgTarget, ledger: Arc<Ledger>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                // A failure here is that of one connection, or of file descriptors that come free again.
                let Ok((socket, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                connections.spawn(serve(socket, upstream.clone(), Arc::clone(&ledger)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut socket: TcpStream, upstream: PgTarget, ledger: Arc<Ledger>) {
    let outcome = match socket.set_nodelay(true) {
        Ok(()) => converse(&mut socket, &upstream, &ledger).await,
        Err(error) => Err(error.into()),
    };
    if let Err(Broken::Refused(message)) = outcome {
        let mut farewell = BytesMut::new();
        put_fatal(&mut farewell, "08P01", &format!("proxy: {message}"));
        // The client may be gone; then there is nobody to tell.
        let _ = timeout(GRACE, socket.write_all(&farewell)).await;
    }
    let _ = timeout(GRACE, socket.shutdown()).await;
}

async fn converse(socket: &mut TcpStream, upstream: &PgTarget, ledger: &Ledger) -> Result<(), Broken> {
    let startup = match timeout(GRACE, greet(socket)).await {
        Ok(greeting) => greeting?,
        Err(_) => return Err(Broken::Refused("no start message came".into())),
    };
    let Some((code, packet)) = startup else { return Ok(()) };
    let unreachable = |error| Broken::Refused(format!("{upstream:?} cannot be reached: {error}"));
    let mut remote = upstream.connect().await.map_err(unreachable)?;
    remote.write_all(&packet).await?;
    remote.flush().await?;
    if code == CANCEL_REQUEST {
        // The server hangs up when it has passed the request on, and so do we.
        let _ = timeout(GRACE, remote.read(&mut [0])).await;
        return Ok(());
    }
    ledger.count(|counts| {
        counts.connections += 1;
        counts.frontend_bytes += packet.len() as u64;
    });
    join(socket, remote, ledger).await
}

/// Declines encryption until the real first packet comes; `None` if the client hangs up instead.
async fn greet(socket: &mut TcpStream) -> Result<Option<(u32, Bytes)>, Broken> {
    // One refusal for each kind of encryption; a client that asks again does not listen.
    for _ in 0..3 {
        let mut head = [0; 8];
        match socket.read_exact(&mut head).await {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        };
        let [a, b, c, d, rest @ ..] = head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let code = u32::from_be_bytes(rest);
        if !(8..=MAX_STARTUP).contains(&length) {
            return Err(Broken::Refused(format!("a start message of {length} bytes")));
        }
        if matches!(code, SSL_REQUEST | GSSENC_REQUEST) {
            socket.write_all(b"N").await?;
            continue;
        }
        let mut packet = BytesMut::from(&head[..]);
        packet.resize(length, 0);
        socket.read_exact(&mut packet[8..]).await?;
        return Ok(Some((code, packet.freeze())));
    }
    Err(Broken::Refused("encryption was declined".into()))
}

async fn join(socket: &mut TcpStream, remote: Box<dyn Stream>, ledger: &Ledger) -> Result<(), Broken> {
    let session = Mutex::default();
    let (from_client, to_client) = socket.split();
    let (from_server, mut to_server) = tokio::io::split(remote);
    let mut down = pin!(server::forward(from_server, to_client, &session, ledger));
    let up = client::forward(from_client, &mut to_server, &session, ledger);
    tokio::select! {
        done = &mut down => return done,
        done = up => done?,
    }
    // The client is gone: tell the server, and let it finish what it was about to send.
    to_server.shutdown().await?;
    match timeout(GRACE, down).await {
        // Nobody reads it any more.
        Ok(Err(Broken::Io(_))) | Err(_) => Ok(()),
        Ok(done) => done,
    }
}
