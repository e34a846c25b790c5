//! From the client to the server: statements are held and rewritten, all else streams through.

use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::frame::{
    Broken, CHUNK, HEADER, MAX_NAMES, MAX_STATEMENT, header, put_close, put_parse, put_query, take_string,
};
use super::ledger::{Counts, Ledger, Translation, Use, lock};
use super::session::{Prepared, Session};

/// Copies until the client hangs up.
pub(super) async fn forward(
    mut client: impl AsyncRead + Unpin,
    mut server: impl AsyncWrite + Unpin,
    session: &Mutex<Session>,
    ledger: &Ledger,
) -> Result<(), Broken> {
    let mut direction = Direction { session, ledger, passing: 0, counts: Counts::default() };
    let mut input = BytesMut::new();
    let mut output = BytesMut::new();
    loop {
        input.reserve(CHUNK);
        let read = client.read_buf(&mut input).await?;
        if read == 0 {
            return Ok(());
        }
        direction.counts.frontend_bytes += read as u64;
        let outcome = direction.advance(&mut input, &mut output);
        // Counted before it is sent, so that whoever has seen the answer sees the count.
        direction.publish();
        server.write_all(&output).await?;
        server.flush().await?;
        output.clear();
        outcome?;
    }
}

struct Direction<'a> {
    session: &'a Mutex<Session>,
    ledger: &'a Ledger,
    /// Bytes left of a message that is passed on unread.
    passing: usize,
    counts: Counts,
}

impl Direction<'_> {
    fn publish(&mut self) {
        let new = std::mem::take(&mut self.counts);
        self.ledger.count(|all| {
            all.frontend_bytes += new.frontend_bytes;
            all.frontend_messages += new.frontend_messages;
            all.flushes += new.flushes;
            all.round_trips += new.round_trips;
            all.statements += new.statements;
        });
    }

    /// Moves what is complete from `input` to `output`.
    fn advance(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), Broken> {
        loop {
            if self.passing > 0 {
                let part = input.split_to(self.passing.min(input.len()));
                self.passing -= part.len();
                output.extend_from_slice(&part);
                if self.passing > 0 {
                    return Ok(());
                }
            }
            let Some((kind, length)) = header(input)? else { return Ok(()) };
            match kind {
                b'Q' | b'P' | b'C' | b'D' => {
                    if length > MAX_STATEMENT {
                        return Err(Broken::Refused(format!(
                            "a statement of {length} bytes is longer than the {MAX_STATEMENT} that the proxy holds"
                        )));
                    }
                    if input.len() < length {
                        return Ok(());
                    }
                    let message = input.split_to(length).freeze();
                    self.count(kind)?;
                    self.held(kind, &message, output)?;
                }
                b'B' => {
                    let Some(statement) = bound_statement(input, length)? else { return Ok(()) };
                    self.count(kind)?;
                    self.bind(&statement, output)?;
                    self.passing = length;
                }
                kind => {
                    self.count(kind)?;
                    self.passing = length;
                }
            }
        }
    }

    fn count(&mut self, kind: u8) -> Result<(), Broken> {
        // Passwords and the farewell come at moments that no request decides.
        if !matches!(kind, b'p' | b'X') {
            self.counts.frontend_messages += 1;
        }
        if matches!(kind, b'Q' | b'E') {
            self.counts.statements += 1;
        }
        if matches!(kind, b'Q' | b'S' | b'H' | b'F' | b'c' | b'f') {
            self.counts.flushes += 1;
            self.counts.round_trips += u64::from(lock(self.session).flush(kind)?);
        }
        Ok(())
    }

    fn held(&mut self, kind: u8, message: &Bytes, output: &mut BytesMut) -> Result<(), Broken> {
        let mut body = message.slice(HEADER..);
        match kind {
            b'Q' => {
                let sql = take_string(&mut body)?;
                match self.translate(&sql, Use::Run) {
                    Some(Translation { sql: Some(new), .. }) => put_query(output, new.as_bytes()),
                    _ => output.extend_from_slice(message),
                }
            }
            b'P' => {
                let (name, sql) = (take_string(&mut body)?, take_string(&mut body)?);
                let translation = self.translate(&sql, Use::Prepared);
                match &translation {
                    Some(Translation { sql: Some(new), .. }) => {
                        put_parse(output, &name, new.as_bytes(), &body);
                    }
                    _ => output.extend_from_slice(message),
                }
                let generation = translation.map_or(u64::MAX, |translation| translation.generation);
                lock(self.session).parse(name, Prepared { sql, types: body, generation })?;
            }
            _ => {
                let statement = body.first() == Some(&b'S');
                let name = take_string(&mut body.slice(1.min(body.len())..))?;
                if kind == b'C' {
                    lock(self.session).close(statement.then_some(&name))?;
                } else if statement {
                    self.renew(&name, output)?;
                }
                output.extend_from_slice(message);
            }
        }
        Ok(())
    }

    /// `None` if it is not text: then it goes on as it is, and is reported.
    fn translate(&self, sql: &[u8], by: Use) -> Option<Translation> {
        if let Ok(sql) = std::str::from_utf8(sql) {
            return Some(self.ledger.translate(sql, by));
        }
        self.ledger.unreadable(sql);
        None
    }

    fn bind(&mut self, name: &Bytes, output: &mut BytesMut) -> Result<(), Broken> {
        self.renew(name, output)?;
        let prepared = lock(self.session).prepared(name);
        if let Some(prepared) = prepared {
            self.translate(&prepared.sql, Use::Run);
        }
        Ok(())
    }

    /// Prepares the statement anew if the rewrite was exchanged since.
    fn renew(&mut self, name: &Bytes, output: &mut BytesMut) -> Result<(), Broken> {
        let Some(prepared) = lock(self.session).prepared(name) else { return Ok(()) };
        // Text that cannot be read is the same under every rewrite.
        if prepared.generation == self.ledger.generation() || prepared.generation == u64::MAX {
            return Ok(());
        }
        let Some(translation) = self.translate(&prepared.sql, Use::Prepared) else { return Ok(()) };
        put_close(output, name);
        let sql = translation.sql.as_deref().map_or(prepared.sql.as_ref(), str::as_bytes);
        put_parse(output, name, sql, &prepared.types);
        lock(self.session).prepare_again(name, translation.generation)
    }
}

/// The statement that a `Bind` names, once its head is there.
fn bound_statement(input: &BytesMut, length: usize) -> Result<Option<Bytes>, Broken> {
    let body = &input[HEADER..input.len().min(length).min(HEADER + MAX_NAMES)];
    let mut strings = body.split_inclusive(|byte| *byte == 0).filter(|part| part.ends_with(b"\0"));
    match (strings.next(), strings.next()) {
        (Some(_portal), Some(statement)) => {
            Ok(Some(Bytes::copy_from_slice(&statement[..statement.len() - 1])))
        }
        _ if body.len() == MAX_NAMES || input.len() >= length => {
            Err(Broken::Refused("the names in a Bind message have no end".into()))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::super::frame::Broken;
    use super::super::session::Session;
    use super::super::strip::StripTenantPredicate;
    use super::{Ledger, forward};

    async fn through(capacity: usize, sent: &[u8]) -> (Vec<u8>, Result<(), Broken>, Ledger) {
        let ledger = Ledger::new(Arc::new(StripTenantPredicate));
        let session = Mutex::new(Session::default());
        let (mut far, near) = duplex(capacity);
        let (out, mut back) = duplex(capacity);
        // The proxy may hang up before all is sent.
        let feed = async move { drop(far.write_all(sent).await) };
        let mut got = Vec::new();
        let (done, (), read) =
            tokio::join!(forward(near, out, &session, &ledger), feed, back.read_to_end(&mut got));
        read.unwrap();
        (got, done, ledger)
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    #[tokio::test]
    async fn statements_get_their_new_length_wherever_a_read_ends() {
        let end = |sql: &str| {
            [
                message(b'Q', format!("{sql}\0").as_bytes()),
                message(b'P', format!("s1\0{sql}\0\0\x01\0\0\x0b\u{0}6").as_bytes()),
                message(b'B', &[&b"\0s1\0"[..], &[7; 300]].concat()),
                message(b'E', b"\0\0\0\0\0"),
                message(b'S', b""),
                message(b'd', &[b'Q'; 1000]),
            ]
            .concat()
        };
        let sent = end("DELETE FROM t WHERE workspace_id = $1");
        let stripped = end("DELETE FROM t WHERE (true OR workspace_id = $1)");
        for capacity in [1, 2, 3, 5, 7, 64, 4096] {
            let (got, done, ledger) = through(capacity, &sent).await;
            done.unwrap();
            assert!(got == stripped, "{capacity}");
            assert_eq!(ledger.counts().frontend_messages, 6);
            assert_eq!(ledger.counts().statements, 2);
            assert_eq!(ledger.counts().frontend_bytes, sent.len() as u64);
        }
    }

    #[tokio::test]
    async fn what_the_protocol_does_not_allow_is_refused() {
        let negative = b"Q\xff\xff\xff\xff".to_vec();
        let no_end = message(b'Q', b"SELECT 1");
        let no_names = message(b'B', &vec![b'x'; 20_000]);
        let too_long = b"Q\x7f\0\0\0".to_vec();
        for bad in [negative, no_end, no_names, too_long] {
            let (_, done, _) = through(4096, &bad).await;
            assert!(matches!(done, Err(Broken::Refused(_))), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn text_that_is_not_utf8_goes_on_and_is_reported() {
        let sent = message(b'Q', b"SELECT '\xe4'\0");
        let (got, done, ledger) = through(64, &sent).await;
        done.unwrap();
        assert_eq!(got, sent);
        assert!(ledger.unparsed()[0].mentions_tenant);
    }
}
