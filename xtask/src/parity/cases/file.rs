//! Bodies that are files: taken from the client only when the app knows who sends.

use crate::parity::ask::{Ask, ask};
use crate::parity::case::{Case, case};
use crate::parity::pillar::SMALL;
use crate::parity::world::World;

/// What a file may weigh.
const LARGE: usize = SMALL * SMALL;

fn upload(body: impl AsRef<[u8]>) -> Ask {
    ask("POST", "/api/v1/w/acme/uploads").header("content-type", "text/plain").body(body)
}

/// The head of a request whose body of so many bytes is sent by hand.
fn begun(ask: Ask, bytes: usize) -> Ask {
    ask.header("content-length", bytes.to_string()).framed_by_hand()
}

pub(super) fn cases() -> Vec<Case> {
    [arriving(), refused(), slow()].into_iter().flatten().collect()
}

fn arriving() -> Vec<Case> {
    let file = |bytes: usize| upload("x".repeat(bytes)).by_owner();
    vec![
        case("a file").ask(file(10)).gives(200).runs(1),
        case("a file of nothing").ask(file(0)).gives(200).runs(1),
        case("a file in chunks").ask(file(3000).chunked(100)).gives(200).runs(1),
        case("a file that memory is too small for").ask(file(700_000)).gives(200).runs(1),
        case("a file as large as its limit").ask(file(LARGE).chunked(1 << 16)).gives(200).runs(1),
        case("a file twice under one key")
            .ask(file(600_000).header("idempotency-key", "f-1"))
            .ask(file(600_000).chunked(1 << 14).header("idempotency-key", "f-1"))
            .gives(200)
            .gives(200)
            .runs(1),
        case("another file under the same key")
            .ask(file(600_000).header("idempotency-key", "f-2"))
            .ask(file(600_001).header("idempotency-key", "f-2"))
            .gives(200)
            .refuses(422, "idempotency_mismatch")
            .runs(1),
        case("a form where a file is read")
            .ask(
                ask("POST", "/api/v1/w/acme/uploads")
                    .by_owner()
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body("x=x"),
            )
            .gives(200),
        case("a form as large as a file")
            .ask(
                ask("POST", "/api/v1/w/acme/uploads")
                    .by_owner()
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body("x".repeat(300_000)),
            )
            .refuses(413, "too_large"),
    ]
}

fn refused() -> Vec<Case> {
    vec![
        case("a file one byte too large")
            .ask(upload("x".repeat(LARGE + 1)).by_owner())
            .refuses(413, "too_large")
            .runs(0),
        case("a file in chunks that are too many")
            .ask(upload("x".repeat(LARGE + 1)).by_owner().chunked(1 << 16))
            .refuses(413, "too_large")
            .runs(0),
        case("a file of nobody").ask(upload("xxx")).refuses(401, "unauthenticated").runs(0),
        case("a file of nobody that never comes")
            .begin(begun(upload(""), 1000))
            .hear()
            .refuses(401, "unauthenticated")
            .runs(0),
        case("a file in a chunk of no size")
            .begin(
                upload("zz\r\nabc\r\n0\r\n\r\n")
                    .by_owner()
                    .header("transfer-encoding", "chunked")
                    .framed_by_hand(),
            )
            .hear()
            .refuses(400, "malformed")
            .runs(0),
    ]
}

fn slow() -> Vec<Case> {
    vec![
        case("a file in two pieces")
            .begin(begun(upload("").by_owner(), 6))
            .send("xxx")
            .pause(50)
            .send("xxx")
            .hear()
            .gives(200)
            .runs(1),
        case("a file that stops")
            .world(World::Impatient)
            .begin(begun(upload("").by_owner(), 20))
            .send("xxx")
            .hear()
            .refuses(408, "too_slow")
            .runs(0),
        case("a file that never begins")
            .world(World::Impatient)
            .begin(begun(upload("").by_owner(), 20))
            .hear()
            .refuses(408, "too_slow")
            .runs(0),
        case("half a file and gone")
            .world(World::Deserted)
            .begin(begun(upload("").by_owner(), 20))
            .send("xxx")
            .leave()
            .runs(0),
    ]
}
