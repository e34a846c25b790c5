//! Several requests on one connection, older versions of the protocol, clients that ask before they send.

use crate::parity::ask::{Ask, ask, get, post};
use crate::parity::case::{Case, case};
use crate::parity::host::Kind;

use super::NOTE;

fn thing(name: &str) -> Ask {
    get(format!("/api/v1/things/{name}"))
}

fn expecting(ask: Ask, length: &str) -> Ask {
    ask.header("expect", "100-continue").header("content-length", length).framed_by_hand()
}

#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(super) fn cases() -> Vec<Case> {
    let old = |ask: Ask| ask.version("HTTP/1.0");
    vec![
        case("one after the other")
            .begin(thing("a"))
            .hear()
            .begin(thing("b"))
            .hear()
            .gives(200)
            .gives(200)
            .runs(2),
        case("three at once")
            .begin(thing("a"))
            .begin(thing("b"))
            .begin(thing("c"))
            .hear()
            .hear()
            .hear()
            .gives(200)
            .gives(200)
            .gives(200)
            .runs(3),
        case("bodies at once")
            .begin(post("/api/v1/take", NOTE))
            .begin(post("/api/v1/take", NOTE).chunked(5))
            .begin(thing("a"))
            .hear()
            .hear()
            .hear()
            .gives(200)
            .gives(200)
            .gives(200),
        case("errors do not end a connection")
            .begin(thing("%FF"))
            .hear()
            .begin(get("/api/v1/panic"))
            .hear()
            .begin(post("/api/v1/take", "{"))
            .hear()
            .begin(thing("a"))
            .hear()
            .refuses(404, "not_found")
            .refuses(500, "internal")
            .refuses(400, "malformed")
            .gives(200),
        case("head and then get")
            .begin(ask("HEAD", "/api/v1/bytes/300"))
            .hear_about_head()
            .begin(thing("a"))
            .hear()
            .gives(200)
            .gives(200),
        case("no content and then get")
            .begin(get("/api/v1/heavy"))
            .hear()
            .begin(thing("a"))
            .hear()
            .gives(204)
            .gives(200),
        case("stream and then get")
            .begin(get("/api/v1/stream"))
            .hear()
            .begin(thing("a"))
            .hear()
            .gives(200)
            .gives(200),
        case("the last request says so")
            .begin(thing("a").header("connection", "close"))
            .hear()
            .hear_end()
            .gives(200),
        // What was sent before that answer came may still be served by actix-web.
        case("nothing is served after the last request")
            .begin(thing("a").header("connection", "close"))
            .hear()
            .begin(thing("b"))
            .hear_end()
            .gives(200)
            .runs(1),
        case("empty lines before a request").send("\r\n\r\n").begin(thing("a")).hear().gives(200),
        case("line feeds alone").send("GET /api/v1/things/a HTTP/1.1\nhost: localhost\n\n").hear().gives(200),
        case("version 1.0").begin(old(thing("a"))).hear().hear_end().gives(200),
        case("version 1.0 seen by the handler").begin(old(get("/api/v1/seen"))).hear().gives(200),
        case("version 1.0 with keep-alive")
            .begin(old(thing("a").header("connection", "keep-alive")))
            .hear()
            .begin(old(thing("b").header("connection", "keep-alive")))
            .hear()
            .gives(200)
            .gives(200),
        case("version 1.0 without a host").send("GET /api/v1/things/a HTTP/1.0\r\n\r\n").hear().gives(200),
        case("version 1.0 with a body").begin(old(post("/api/v1/take", NOTE))).hear().gives(200),
        case("version 1.0 and a stream").begin(old(get("/api/v1/stream"))).hear().gives(200),
        case("version 1.0 and a socket")
            .begin(old(get("/api/v1/socket")
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")))
            .hear()
            .refuses(400, "websocket_expected"),
        case("no host")
            .send("GET /api/v1/things/a HTTP/1.1\r\n\r\n")
            .hear()
            .gives(200)
            .refused_by(&[Kind::Actix]),
        case("two hosts")
            .begin(thing("a").header("host", "localhost").header("host", "elsewhere.example"))
            .hear()
            .refuses(400, "malformed")
            .refused_by(&[Kind::Actix]),
        case("asks before sending")
            .begin(expecting(post("/api/v1/take", ""), "20"))
            .pause(50)
            .send(NOTE)
            .hear()
            .gives(200)
            .runs(1),
        case("asks before sending and sends at once")
            .begin(expecting(post("/api/v1/take", NOTE), "20"))
            .hear()
            .gives(200),
        case("asks before sending too much")
            .begin(expecting(post("/api/v1/take", ""), "9999999"))
            .hear()
            .refuses(413, "too_large")
            .runs(0),
        case("asks before sending to nothing")
            .begin(expecting(post("/api/v1/nothing", ""), "20"))
            .hear()
            .refuses(404, "not_found"),
        case("asks before sending nothing")
            .begin(thing("a").header("expect", "100-continue"))
            .hear()
            .gives(200),
    ]
}
