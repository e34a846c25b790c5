//! What is no HTTP: the frameworks' own parsers turn it away before the app hears of it.

use crate::parity::case::{BOTH, Case, case};
use crate::parity::host::Kind;

pub(super) fn cases() -> Vec<Case> {
    let refused = |name, bytes: &[u8]| case(name).send(bytes).hear().refused_by(BOTH);
    let line = |name, line: &[u8]| refused(name, &[line, b"\r\nhost: localhost\r\n\r\n"].concat());
    let header = |name, header: &[u8]| {
        refused(name, &[b"GET /api/v1/seen HTTP/1.1\r\nhost: localhost\r\n", header, b"\r\n\r\n"].concat())
    };
    let many = "x-many: 1\r\n".repeat(200);
    vec![
        line("no version", b"GET /api/v1/seen"),
        line("version 0.9", b"GET /api/v1/seen HTTP/0.9"),
        line("version 1.2", b"GET /api/v1/seen HTTP/1.2"),
        line("version 3", b"GET /api/v1/seen HTTP/3.0"),
        line("version in lower case", b"GET /api/v1/seen http/1.1"),
        line("no path", b"GET HTTP/1.1"),
        line("no method", b" /api/v1/seen HTTP/1.1"),
        line("space in the path", b"GET /api/v1/seen now HTTP/1.1"),
        line("path without a slash", b"GET api/v1/seen HTTP/1.1"),
        line("two spaces", b"GET  /api/v1/seen  HTTP/1.1"),
        line("tab for a space", b"GET\t/api/v1/seen\tHTTP/1.1"),
        line("nul in the path", b"GET /api/v1/\0seen HTTP/1.1"),
        line("control character in the path", b"GET /api/v1/\x01seen HTTP/1.1"),
        line("no utf-8 in the path", b"GET /api/v1/\xff\xfe HTTP/1.1"),
        line("bracket in the method", b"G(T /api/v1/seen HTTP/1.1"),
        line("no utf-8 in the method", b"G\xffT /api/v1/seen HTTP/1.1"),
        line("path beyond all bounds", format!("GET /{} HTTP/1.1", "x".repeat(70_000)).as_bytes()),
        line("version 2 in clear", b"PRI * HTTP/2.0"),
        header("space before the colon", b"x-a : 1"),
        header("no colon", b"x-a"),
        header("no name", b": 1"),
        header("space in the name", b"x a: 1"),
        header("no ascii in the name", b"x-\xc3\xa9: 1"),
        header("nul in the value", b"x-a: a\0b"),
        header("control character in the value", b"x-a: a\x01b"),
        header("delete in the value", b"x-a: a\x7fb"),
        header("carriage return in the value", b"x-a: a\rb"),
        header("folded line", b"x-a: a\r\n b"),
        header("line that begins with a space", b" x-a: 1"),
        header("200 headers", many.trim_end().as_bytes()),
        header("header beyond all bounds", format!("x-a: {}", "x".repeat(600_000)).as_bytes()),
        refused("garbage", b"\xde\xad\xbe\xef\r\n\r\n"),
        refused("an encrypted hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        refused("another protocol", b"EHLO localhost\r\n\r\n"),
        refused(
            "connect to a host",
            b"CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: elsewhere.example\r\n\r\n",
        )
        .refused_by(&[])
        .gives(404),
        refused(
            "chunks in version 1.0",
            b"POST /api/v1/take HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "no length in version 1.0",
            b"POST /api/v1/take HTTP/1.0\r\ncontent-type: application/json\r\n\r\n",
        )
        .refused_by(&[Kind::Actix])
        .refuses(400, "malformed"),
    ]
}
