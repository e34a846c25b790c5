//! Answers that are not one piece: streams, sockets, and handlers whose client leaves.

use crate::parity::ask::{Ask, ask, get};
use crate::parity::case::{Case, case};

pub(super) fn cases() -> Vec<Case> {
    [pieces(), handshakes(), frames()].into_iter().flatten().collect()
}

fn pieces() -> Vec<Case> {
    vec![
        case("no bytes").ask(get("/api/v1/bytes/0")).gives(200),
        case("one byte").ask(get("/api/v1/bytes/1")).gives(200),
        case("a megabyte").ask(get("/api/v1/bytes/1048576")).gives(200),
        case("stream").ask(get("/api/v1/stream")).gives(200),
        case("stream for a listed origin")
            .ask(get("/api/v1/stream").header("origin", "https://front.example"))
            .gives(200),
        case("stream that fails").ask(get("/api/v1/failing")),
        case("stream that panics").ask(get("/api/v1/panicking")),
        case("stream that does not end")
            .begin(get("/api/v1/endless"))
            .hear_head()
            .hear_chunk()
            .hear_chunk()
            .leave()
            .gives(200)
            .runs(1),
        case("client that leaves").begin(get("/api/v1/wait")).await_run().leave().runs(1),
        case("openapi").ask(get("/api/v1/openapi.json")).gives(200),
    ]
}

fn handshake() -> Ask {
    get("/api/v1/socket")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

#[expect(clippy::too_many_lines, reason = "a list of cases")]
fn handshakes() -> Vec<Case> {
    let opened = |name, ask: Ask| case(name).begin(ask).hear().await_run().leave().gives(101).runs(1);
    let socket = || get("/api/v1/socket");
    let refused = |name, ask: Ask| case(name).ask(ask).refuses(400, "websocket_expected").runs(0);
    let (version, key) = (("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="));
    vec![
        opened("socket", handshake()),
        opened(
            "socket with extensions",
            handshake().header("sec-websocket-extensions", "permessage-deflate"),
        ),
        opened("socket with protocols", handshake().header("sec-websocket-protocol", "a, b")),
        opened("socket from the same host", handshake().header("origin", "http://localhost")),
        opened(
            "socket from a listed origin with a session",
            handshake().header("origin", "https://front.example").by_owner(),
        ),
        opened(
            "socket with a list of options",
            socket()
                .header("connection", "keep-alive, Upgrade")
                .header("upgrade", "WebSocket")
                .header(version.0, version.1)
                .header(key.0, key.1),
        ),
        case("socket from another origin")
            .ask(handshake().header("origin", "https://evil.example"))
            .refuses(403, "cross_site")
            .runs(0),
        case("socket from no origin in particular")
            .ask(handshake().header("origin", "null"))
            .refuses(403, "cross_site"),
        refused("no handshake", socket()),
        refused(
            "handshake without a key",
            socket()
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header(version.0, version.1),
        ),
        refused(
            "handshake of another version",
            socket()
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "8")
                .header(key.0, key.1),
        ),
        refused(
            "handshake without an upgrade",
            socket().header("connection", "upgrade").header(version.0, version.1).header(key.0, key.1),
        ),
        refused(
            "handshake without a connection option",
            socket().header("upgrade", "websocket").header(version.0, version.1).header(key.0, key.1),
        ),
        refused(
            "handshake for another protocol",
            socket()
                .header("connection", "upgrade")
                .header("upgrade", "irc")
                .header(version.0, version.1)
                .header(key.0, key.1),
        ),
        case("handshake with a post")
            .ask(ask("POST", "/api/v1/socket").header("connection", "upgrade").header("upgrade", "websocket"))
            .refuses(405, "method_not_allowed"),
        case("handshake with a plain route")
            .ask(
                get("/api/v1/things/a")
                    .header("connection", "upgrade")
                    .header("upgrade", "websocket")
                    .header(version.0, version.1)
                    .header(key.0, key.1),
            )
            .gives(200),
        case("handshake with nothing")
            .ask(get("/api/v1/nothing").header("connection", "upgrade").header("upgrade", "websocket"))
            .refuses(404, "not_found"),
    ]
}

/// A client's frame, masked with noughts.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap_or(125);
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

fn frames() -> Vec<Case> {
    let open = |name| case(name).begin(handshake()).hear().gives(101).runs(1);
    let (text, binary, ping, close) = (0x81, 0x82, 0x89, 0x88);
    vec![
        open("text comes back")
            .send(frame(text, b"hi"))
            .hear_bytes(4)
            .send(frame(text, b""))
            .hear_bytes(2)
            .leave(),
        open("bytes come back").send(frame(binary, b"\0\xff")).hear_bytes(4).leave(),
        open("two frames at once")
            .send([frame(text, b"one"), frame(text, b"two")].concat())
            .hear_bytes(10)
            .leave(),
        open("a frame in pieces")
            .send(&frame(text, b"hi")[..3])
            .pause(20)
            .send(&frame(text, b"hi")[3..])
            .hear_bytes(4)
            .leave(),
        open("a message in frames")
            .send([frame(0x01, b"he"), frame(0x00, b"l"), frame(0x80, b"lo")].concat())
            .hear_bytes(7)
            .leave(),
        open("a ping between frames")
            .send([frame(0x01, b"he"), frame(ping, b"?"), frame(0x80, b"llo")].concat())
            .hear_bytes(10)
            .leave(),
        open("ping").send(frame(ping, b"there?")).hear_bytes(8).leave(),
        open("pong").send([frame(0x8a, b""), frame(text, b"hi")].concat()).hear_bytes(4).leave(),
        open("close").send(frame(close, b"")).hear_bytes(2).hear_end(),
        open("close after a message")
            .send(frame(text, b"hi"))
            .hear_bytes(4)
            .send(frame(close, b""))
            .hear_bytes(2)
            .hear_end(),
        open("client that drops the socket").send(frame(text, b"hi")).hear_bytes(4).leave(),
        case("panic in a socket")
            .begin(handshake().to("/api/v1/panicking-socket"))
            .hear()
            .gives(101)
            .send(frame(text, b"hi"))
            .hear_bytes(2)
            .leave()
            .runs(1),
    ]
}
