//! Messages of the protocol: one byte of kind, four of length, a body.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Kind and length of a typed message.
pub(super) const HEADER: usize = 5;
/// The longest statement that is held to be rewritten.
pub(super) const MAX_STATEMENT: usize = 16 << 20;
/// The names of portal and statement at the head of a `Bind` fit in here.
pub(super) const MAX_NAMES: usize = 8 << 10;
/// The server's own limit.
pub(super) const MAX_STARTUP: usize = 10_000;
/// How much is read at once.
pub(super) const CHUNK: usize = 64 << 10;

/// Why a connection is ended by the proxy.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The network failed; nobody is left to tell.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The peer sent what the protocol does not allow, or more than the proxy holds.
    #[error("{0}")]
    Refused(String),
}

/// Kind and whole length, header included, of the message at the start of the buffer, if they are there.
pub(super) fn header(buffer: &[u8]) -> Result<Option<(u8, usize)>, Broken> {
    let [kind, a, b, c, d, ..] = *buffer else { return Ok(None) };
    match usize::try_from(i32::from_be_bytes([a, b, c, d])) {
        Ok(length) if length >= 4 => Ok(Some((kind, length + 1))),
        _ => {
            Err(Broken::Refused(format!("a message of kind {:?} has an impossible length", char::from(kind))))
        }
    }
}

/// Takes a zero-terminated string off the front.
pub(super) fn take_string(body: &mut Bytes) -> Result<Bytes, Broken> {
    let end = body.iter().position(|byte| *byte == 0);
    let end = end.ok_or_else(|| Broken::Refused("a string has no end".into()))?;
    let text = body.split_to(end);
    body.advance(1);
    Ok(text)
}

/// Writes a `Query` message.
pub(super) fn put_query(out: &mut BytesMut, sql: &[u8]) {
    put(out, b'Q', &[sql, b"\0"]);
}

/// Writes a `Parse` message; `types` is what follows the text.
pub(super) fn put_parse(out: &mut BytesMut, name: &[u8], sql: &[u8], types: &[u8]) {
    put(out, b'P', &[name, b"\0", sql, b"\0", types]);
}

/// Writes a `Close` message for a prepared statement.
pub(super) fn put_close(out: &mut BytesMut, name: &[u8]) {
    put(out, b'C', &[b"S", name, b"\0"]);
}

/// Writes an `ErrorResponse` that ends the connection.
pub(super) fn put_fatal(out: &mut BytesMut, code: &str, message: &str) {
    let field = |kind: u8, text: &str| [&[kind], text.as_bytes(), b"\0"].concat();
    let fields =
        [field(b'S', "FATAL"), field(b'V', "FATAL"), field(b'C', code), field(b'M', message)].concat();
    put(out, b'E', &[&fields, b"\0"]);
}

fn put(out: &mut BytesMut, kind: u8, parts: &[&[u8]]) {
    let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.reserve(1 + length);
    out.put_u8(kind);
    // Each part is bounded by MAX_STATEMENT or by what the client sent in one message.
    out.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
    for part in parts {
        out.put_slice(part);
    }
}
