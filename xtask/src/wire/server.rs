//! From the server to the client: all streams through, but for answers to what the proxy itself asked.

use std::sync::Mutex;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::frame::{Broken, CHUNK, header};
use super::ledger::{Ledger, lock};
use super::session::Session;

/// Copies until the server hangs up.
pub(super) async fn forward(
    mut server: impl AsyncRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    session: &Mutex<Session>,
    ledger: &Ledger,
) -> Result<(), Broken> {
    let mut input = BytesMut::new();
    let mut passing = 0;
    loop {
        input.reserve(CHUNK);
        if server.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let runs = sort(&input, &mut passing, session)?;
        ledger.count(|counts| {
            counts.backend_messages += runs.messages;
            counts.backend_bytes += runs.pass.iter().map(|run| run.len() as u64).sum::<u64>();
        });
        for run in runs.pass {
            client.write_all(&input[run]).await?;
        }
        client.flush().await?;
        input.advance(runs.end);
    }
}

struct Runs {
    /// Parts of the buffer that go to the client.
    pass: Vec<std::ops::Range<usize>>,
    /// Messages that begin in it and go to the client.
    messages: u64,
    /// Where the first incomplete header begins.
    end: usize,
}

/// Finds the messages in the buffer; `passing` bytes of it belong to one that began before.
fn sort(input: &[u8], passing: &mut usize, session: &Mutex<Session>) -> Result<Runs, Broken> {
    let mut session = lock(session);
    session.answered();
    let mut runs = Runs { pass: Vec::new(), messages: 0, end: 0 };
    let mut run = 0;
    loop {
        let step = (*passing).min(input.len() - runs.end);
        runs.end += step;
        *passing -= step;
        if *passing > 0 {
            break;
        }
        let Some((kind, length)) = header(&input[runs.end..])? else { break };
        match kind {
            // Both are a header without a body.
            b'1' | b'3' if session.complete(kind) => {
                runs.pass.push(run..runs.end);
                runs.end += length;
                run = runs.end;
                continue;
            }
            b'Z' => session.ready(),
            b'G' | b'W' => session.copying(),
            _ => {}
        }
        runs.messages += 1;
        *passing = length;
    }
    runs.pass.push(run..runs.end);
    runs.pass.retain(|run| !run.is_empty());
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::super::rewrite::Identity;
    use super::super::session::{Prepared, Session};
    use super::{Ledger, forward};

    /// Sends the bytes through a pipe that holds only so many at a time.
    async fn through(capacity: usize, session: &Mutex<Session>, sent: &[u8]) -> Vec<u8> {
        let ledger = Ledger::new(Arc::new(Identity));
        let (mut far, near) = duplex(capacity);
        let (out, mut back) = duplex(capacity);
        let feed = async move {
            far.write_all(sent).await.unwrap();
        };
        let mut got = Vec::new();
        let (done, (), read) =
            tokio::join!(forward(near, out, session, &ledger), feed, back.read_to_end(&mut got));
        done.unwrap();
        read.unwrap();
        got
    }

    #[tokio::test]
    async fn hidden_answers_are_cut_out_wherever_a_read_ends() {
        let hidden = [&b"3\0\0\0\x04"[..], b"1\0\0\0\x04"].concat();
        let before = b"D\0\0\0\x0c\0\x01\0\0\0\x021\0C\0\0\0\x09END\0\0Z\0\0\0\x05I".to_vec();
        let after = b"2\0\0\0\x04C\0\0\0\x06X\0Z\0\0\0\x05I".to_vec();
        for capacity in [1, 2, 3, 5, 7, 11, 64] {
            let session = Mutex::new(Session::default());
            let prepared = Prepared { sql: Bytes::new(), types: Bytes::new(), generation: 1 };
            let name = Bytes::from_static(b"s");
            {
                let mut session = session.lock().unwrap();
                session.flush(b'S').unwrap();
                session.parse(name.clone(), prepared).unwrap();
                session.prepare_again(&name, 2).unwrap();
                session.flush(b'S').unwrap();
            }
            let shown = [&before[..], b"1\0\0\0\x04", &after].concat();
            let sent = [&before[..], b"1\0\0\0\x04", &hidden, &after].concat();
            assert_eq!(through(capacity, &session, &sent).await, shown, "{capacity}");
        }
    }

    #[tokio::test]
    async fn an_impossible_length_ends_the_connection() {
        let session = Mutex::new(Session::default());
        let ledger = Ledger::new(Arc::new(Identity));
        let done = forward(&b"Z\0\0\0\x03"[..], tokio::io::sink(), &session, &ledger).await;
        assert!(done.is_err());
    }
}
