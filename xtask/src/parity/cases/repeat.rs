//! Requests sent twice with one key.

use crate::parity::ask::{Ask, post};
use crate::parity::case::{Case, case};

use super::NOTE;

#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(super) fn cases() -> Vec<Case> {
    let create = |key: &str| post("/api/v1/w/acme/notes", NOTE).by_owner().header("idempotency-key", key);
    let order = || post("/api/v1/w/acme/orders", NOTE).by_owner();
    let letter = |key: &str, body: &str| post("/api/v1/letters", body).header("idempotency-key", key);
    let bad = |name, ask: Ask| case(name).ask(ask).refuses(400, "malformed_idempotency_key").runs(0);
    vec![
        case("repeated").ask(create("r-1")).ask(create("r-1")).gives(201).gives(201).runs(1),
        case("repeated in chunks")
            .ask(create("r-2"))
            .ask(create("r-2").chunked(5))
            .gives(201)
            .gives(201)
            .runs(1),
        case("other key").ask(create("r-3")).ask(create("r-4")).gives(201).gives(201).runs(2),
        case("no key twice")
            .ask(post("/api/v1/w/acme/notes", NOTE).by_owner())
            .ask(post("/api/v1/w/acme/notes", NOTE).by_owner())
            .gives(201)
            .gives(201)
            .runs(2),
        case("same key, other body")
            .ask(create("r-5"))
            .ask(create("r-5").body(r#"{"text": "sell milk"}"#))
            .gives(201)
            .refuses(422, "idempotency_mismatch")
            .runs(1),
        case("same key, other query")
            .ask(create("r-6"))
            .ask(post("/api/v1/w/acme/notes?a=b", NOTE).by_owner().header("idempotency-key", "r-6"))
            .gives(201)
            .refuses(400, "unknown_parameter"),
        case("a failure is not kept")
            .ask(create("r-7").body("{}"))
            .ask(create("r-7"))
            .refuses(422, "invalid")
            .gives(201)
            .runs(1),
        case("key is required").ask(order()).refuses(400, "idempotency_key_required").runs(0),
        case("required key is given").ask(order().header("idempotency-key", "r-8")).gives(201).runs(1),
        case("same key of a stranger")
            .ask(letter("r-9", NOTE))
            .ask(letter("r-9", NOTE))
            .gives(201)
            .gives(201)
            .runs(1),
        case("same key of two strangers")
            .ask(letter("r-10", NOTE))
            .ask(letter("r-10", r#"{"text": "other"}"#))
            .gives(201)
            .gives(201)
            .runs(2),
        bad("two keys", create("r-11").header("idempotency-key", "r-12")),
        bad("empty key", create("")),
        bad("long key", create(&"k".repeat(256))),
        bad("key with a space", create("a b")),
        bad("key beyond ascii", create("ké")),
        case("no utf-8 in a key")
            .ask(post("/api/v1/w/acme/notes", NOTE).by_owner().header("idempotency-key", b"\xff"))
            .refuses(400, "malformed_idempotency_key"),
        case("key on a route that takes none")
            .ask(post("/api/v1/take", NOTE).header("idempotency-key", "two words"))
            .gives(200),
        case("repeated while it is being served")
            .begin(post("/api/v1/w/acme/slow-orders", NOTE).by_owner().header("idempotency-key", "r-13"))
            .await_run()
            .ask(post("/api/v1/w/acme/slow-orders", NOTE).by_owner().header("idempotency-key", "r-13"))
            .hear()
            .ask(post("/api/v1/w/acme/slow-orders", NOTE).by_owner().header("idempotency-key", "r-13"))
            .refuses(409, "idempotency_in_flight")
            .gives(201)
            .gives(201)
            .runs(1),
    ]
}
