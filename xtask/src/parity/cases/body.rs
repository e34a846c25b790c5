//! Bodies: what they say, how they are framed, how much they weigh.

use crate::parity::ask::{Ask, ask, get, post};
use crate::parity::case::{BOTH, Case, case};
use crate::parity::host::Kind;
use crate::parity::pillar::SMALL;
use crate::parity::world::World;

use super::NOTE;

pub(super) fn cases() -> Vec<Case> {
    [content(), framing(), limits(), slow()].into_iter().flatten().collect()
}

fn take(json: impl AsRef<[u8]>) -> Ask {
    post("/api/v1/take", json)
}

fn typed(content_type: &str, body: impl AsRef<[u8]>) -> Ask {
    ask("POST", "/api/v1/take").header("content-type", content_type).body(body)
}

/// A note that weighs as much as wanted; what is too long for its rules is refused only after it has been read.
fn heavy(bytes: usize) -> String {
    let shell = r#"{"text": ""}"#.len();
    format!(r#"{{"text": "{}"}}"#, "x".repeat(bytes - shell))
}

fn content() -> Vec<Case> {
    let form = "application/x-www-form-urlencoded";
    vec![
        case("json").ask(take(NOTE)).gives(200).runs(1),
        case("no body").ask(take("")).refuses(400, "malformed").runs(0),
        case("no body and no type").ask(ask("POST", "/api/v1/take")).refuses(415, "unsupported_media_type"),
        case("bad json").ask(take("{\"text\": ")).refuses(400, "malformed"),
        case("something behind the json").ask(take("{\"text\": \"a\"} {}")).refuses(400, "malformed"),
        case("json after a byte order mark").ask(take("\u{feff}{\"text\": \"a\"}")).refuses(400, "malformed"),
        case("deep nesting").ask(take("[".repeat(5000))).gives(422),
        case("deep nesting in a field").ask(take(format!("{{\"text\": {}", "[".repeat(5000)))).gives(422),
        case("unknown field").ask(take(r#"{"text": "a", "colour": "red"}"#)).refuses(422, "invalid").runs(0),
        case("missing field").ask(take("{}")).refuses(422, "invalid"),
        case("field given twice").ask(take(r#"{"text": "a", "text": "b"}"#)).refuses(422, "invalid"),
        case("wrong type").ask(take(r#"{"text": 1}"#)).refuses(422, "invalid"),
        case("null").ask(take("null")).refuses(422, "invalid"),
        case("a list").ask(take("[\"a\"]")).gives(422),
        case("rule broken").ask(take(r#"{"text": "", "urgency": 10}"#)).refuses(422, "invalid"),
        case("number too large for its field")
            .ask(take(r#"{"text": "a", "urgency": 999}"#))
            .refuses(422, "invalid"),
        case("number beyond all bounds").ask(take(r#"{"text": "a", "urgency": 1e999}"#)).gives(400),
        case("nul in json").ask(take("{\"text\": \"a\0b\"}")).refuses(400, "malformed"),
        case("escaped nul").ask(take(r#"{"text": "a\u0000b"}"#)).gives(200),
        case("lone surrogate").ask(take(r#"{"text": "\ud800"}"#)).gives(400),
        case("no utf-8 in json").ask(take(b"{\"text\": \"caf\xe9\"}")).refuses(400, "malformed"),
        case("letters beyond ascii in json").ask(take("{\"text\": \"café 🦀\"}")).gives(200),
        case("form to an api").ask(typed(form, "text=a")).refuses(415, "unsupported_media_type"),
        case("plain text").ask(typed("text/plain", NOTE)).refuses(415, "unsupported_media_type"),
        case("type of nonsense").ask(typed(";;", NOTE)).refuses(415, "unsupported_media_type"),
        case("no utf-8 in the type")
            .ask(ask("POST", "/api/v1/take").header("content-type", b"\xff").body(NOTE))
            .gives(415),
        case("type in upper case").ask(typed("APPLICATION/JSON", NOTE)).gives(200),
        case("type with a charset").ask(typed("application/json; charset=utf-8", NOTE)).gives(200),
        case("type with another charset").ask(typed("application/json; charset=latin1", NOTE)).gives(415),
        case("type that is json too").ask(typed("application/merge-patch+json", NOTE)).gives(200),
        case("compressed")
            .ask(take(b"\x1f\x8b\x08\x00").header("content-encoding", "gzip"))
            .refuses(400, "malformed"),
        case("said to be compressed").ask(take(NOTE).header("content-encoding", "br")).gives(200),
        case("body of a reading route").ask(get("/api/v1/things/a").body("ignored")).gives(200),
        case("body of a route without one")
            .ask(ask("DELETE", "/api/v1/w/acme/notes/1").by_owner().body("ignored"))
            .gives(204),
        case("body of nothing").ask(ask("POST", "/nowhere").body("ignored")).gives(404),
        case("form of a page")
            .ask(ask("POST", "/form").header("content-type", form).body("text=a&urgency=3"))
            .gives(303),
        case("form of a page with a rule broken")
            .ask(ask("POST", "/form").header("content-type", form).body("text="))
            .gives(422),
        case("form of a page with broken escapes")
            .ask(ask("POST", "/form").header("content-type", form).body("text=%FF"))
            .gives(422),
        case("json for a page").ask(post("/form", NOTE)).gives(303),
        case("panic after reading").ask(post("/api/v1/panic", NOTE)).refuses(500, "internal").runs(1),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list of cases")]
fn framing() -> Vec<Case> {
    let by_hand = |ask: Ask| ask.framed_by_hand();
    vec![
        case("length of nought")
            .ask(by_hand(take("").header("content-length", "0")))
            .refuses(400, "malformed"),
        case("one chunk").ask(take(NOTE).chunked(1000)).gives(200).runs(1),
        case("chunks of one byte").ask(take(NOTE).chunked(1)).gives(200),
        case("no chunks").ask(take("").chunked(1)).refuses(400, "malformed"),
        case("chunks to a reading route").ask(get("/api/v1/things/a").body("ignored").chunked(3)).gives(200),
        case("chunks to nothing").ask(post("/api/v1/nothing", NOTE).chunked(3)).refuses(404, "not_found"),
        case("chunk with an extension")
            .begin(by_hand(
                take("14;name=value\r\n{\"text\": \"buy milk\"}\r\n0\r\n\r\n")
                    .header("transfer-encoding", "chunked"),
            ))
            .hear()
            .gives(200),
        case("chunks with a trailer")
            .begin(by_hand(
                take("14\r\n{\"text\": \"buy milk\"}\r\n0\r\nx-a: 1\r\n\r\n")
                    .header("transfer-encoding", "chunked"),
            ))
            .hear()
            .gives(200),
        case("chunk of no size")
            .begin(by_hand(take("zz\r\nabc\r\n0\r\n\r\n").header("transfer-encoding", "chunked")))
            .hear()
            .refuses(400, "malformed")
            .runs(0),
        case("chunk of a size beyond all bounds")
            .begin(by_hand(
                take("fffffffffffffffff\r\nabc\r\n0\r\n\r\n").header("transfer-encoding", "chunked"),
            ))
            .hear()
            .refuses(400, "malformed")
            .runs(0),
        case("chunk without its end")
            .begin(by_hand(take("3\r\nabcdef\r\n0\r\n\r\n").header("transfer-encoding", "chunked")))
            .hear()
            .refuses(400, "malformed")
            .runs(0),
        case("length and chunks")
            .begin(by_hand(
                take("0\r\n\r\n").header("content-length", "5").header("transfer-encoding", "chunked"),
            ))
            .hear()
            .refuses(400, "malformed")
            .refused_by(BOTH),
        case("two equal lengths")
            .begin(by_hand(take(NOTE).header("content-length", "20").header("content-length", "20")))
            .hear()
            .gives(200)
            .refused_by(&[Kind::Actix]),
        case("two lengths")
            .begin(by_hand(take(NOTE).header("content-length", "20").header("content-length", "5")))
            .hear()
            .refuses(400, "malformed")
            .refused_by(BOTH),
        case("lengths in a list")
            .begin(by_hand(take(NOTE).header("content-length", "20, 20")))
            .hear()
            .refused_by(BOTH),
        case("negative length")
            .begin(by_hand(take(NOTE).header("content-length", "-1")))
            .hear()
            .refused_by(BOTH),
        case("length with a sign")
            .begin(by_hand(take(NOTE).header("content-length", "+20")))
            .hear()
            .refused_by(BOTH),
        case("length in hexadecimal")
            .begin(by_hand(take(NOTE).header("content-length", "0x14")))
            .hear()
            .refused_by(BOTH),
        case("length beyond all bounds")
            .begin(by_hand(take(NOTE).header("content-length", "99999999999999999999999")))
            .hear()
            .refused_by(BOTH),
        case("unknown transfer encoding")
            .begin(by_hand(take(NOTE).header("transfer-encoding", "gzip")))
            .hear()
            .refused_by(BOTH),
        case("chunked and something else")
            .begin(by_hand(take("0\r\n\r\n").header("transfer-encoding", "chunked, gzip")))
            .hear()
            .refused_by(BOTH),
        case("chunked twice")
            .begin(by_hand(
                take("0\r\n\r\n")
                    .header("transfer-encoding", "chunked")
                    .header("transfer-encoding", "chunked"),
            ))
            .hear()
            .refuses(400, "malformed")
            .refused_by(&[Kind::Actix]),
        case("more than was announced")
            .begin(by_hand(take("{\"text\": \"a\"}xyz").header("content-length", "13")))
            .hear()
            .gives(200),
        case("upgrade with a body")
            .ask(take(NOTE).header("connection", "upgrade").header("upgrade", "websocket"))
            .gives(200),
    ]
}

fn limits() -> Vec<Case> {
    let small = |bytes: usize| post("/api/v1/small", heavy(bytes));
    let announced = |path: &str, bytes: &str| {
        ask("POST", path)
            .header("content-type", "application/json")
            .header("content-length", bytes)
            .framed_by_hand()
    };
    vec![
        case("as large as the limit").ask(small(SMALL)).refuses(422, "invalid"),
        case("one byte too large").ask(small(SMALL + 1)).refuses(413, "too_large").runs(0),
        case("chunks as large as the limit").ask(small(SMALL).chunked(100)).refuses(422, "invalid"),
        case("chunks one byte too large")
            .ask(small(SMALL + 1).chunked(100))
            .refuses(413, "too_large")
            .runs(0),
        case("one chunk too large").ask(small(4 * SMALL).chunked(1 << 20)).refuses(413, "too_large"),
        case("announced too large and never sent")
            .begin(announced("/api/v1/small", "1025"))
            .hear()
            .refuses(413, "too_large"),
        case("announced far too large")
            .begin(announced("/api/v1/take", "9999999999"))
            .hear()
            .refuses(413, "too_large"),
        case("announced too large to nothing")
            .begin(announced("/api/v1/nothing", "9999999999"))
            .hear()
            .refuses(404, "not_found"),
        case("announced too large to another method")
            .begin(announced("/api/v1/seen", "9999999999"))
            .hear()
            .refuses(405, "method_not_allowed"),
        case("as large as the usual limit").ask(take(heavy(256 * 1024))).refuses(422, "invalid"),
        case("larger than the usual limit").ask(take(heavy(256 * 1024 + 1))).refuses(413, "too_large"),
        case("larger than a framework's limit, on a route that takes it")
            .ask(post("/api/v1/large", heavy(1 << 20)))
            .refuses(422, "invalid"),
        case("a long upload that is too large").ask(take(heavy(3 << 20))).refuses(413, "too_large").runs(0),
        case("a page too large")
            .ask(
                ask("POST", "/form")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body("x".repeat(300_000)),
            )
            .gives(413),
        case("too large without a session")
            .ask(post("/api/v1/w/acme/notes", heavy(1 << 20)))
            .refuses(413, "too_large"),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list of cases")]
fn slow() -> Vec<Case> {
    let start = |length: &str| take("").header("content-length", length).framed_by_hand();
    let world = World::Impatient;
    vec![
        case("body that stops")
            .world(world)
            .begin(start("20"))
            .send("{\"text")
            .hear()
            .refuses(408, "too_slow")
            .runs(0),
        case("body that never begins").world(world).begin(start("20")).hear().refuses(408, "too_slow"),
        case("chunks that stop")
            .world(world)
            .begin(take("").header("transfer-encoding", "chunked").framed_by_hand())
            .send("5\r\n{\"tex\r\n")
            .hear()
            .refuses(408, "too_slow"),
        case("body that dribbles")
            .world(world)
            .begin(start("20"))
            .send("{")
            .pause(200)
            .send("\"")
            .pause(200)
            .send("t")
            .pause(200)
            .hear()
            .refuses(408, "too_slow"),
        case("body in two pieces")
            .begin(start("20"))
            .send(&NOTE[..7])
            .pause(50)
            .send(&NOTE[7..])
            .hear()
            .gives(200),
        case("head in two pieces")
            .send("GET /api/v1/things/a HTTP/1.1\r\nho")
            .pause(50)
            .send("st: localhost\r\n\r\n")
            .hear()
            .gives(200),
        case("head byte by byte")
            .send("GET /api/v1/things/a HTTP/1.1\r\nhost: localhost\r\n")
            .pause(20)
            .send("\r")
            .pause(20)
            .send("\n")
            .hear()
            .gives(200),
        case("head that stops")
            .world(world)
            .send("GET /api/v1/seen HTTP/1.1\r\nhost: loc")
            .hear()
            .refused_by(BOTH),
        case("client that says nothing").world(world).pause(10).send("").hear().refused_by(BOTH),
        case("half a body and gone")
            .world(World::Deserted)
            .begin(start("20"))
            .send(&NOTE[..7])
            .leave()
            .runs(0),
        case("half a chunk and gone")
            .world(World::Deserted)
            .begin(take("").header("transfer-encoding", "chunked").framed_by_hand())
            .send("14\r\n{\"te")
            .leave()
            .runs(0),
        case("half a head and gone")
            .world(World::Deserted)
            .send("POST /api/v1/take HTTP/1.1\r\nho")
            .leave()
            .runs(0),
    ]
}
