//! Methods, known and unknown.

use crate::parity::ask::{ask, get, post};
use crate::parity::case::{Case, case};
use crate::parity::host::Kind;

use super::NOTE;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("get").ask(get("/api/v1/seen")).gives(200).runs(1),
        case("get of nothing").ask(get("/api/v1/nothing")).refuses(404, "not_found").runs(0),
        case("get of a writing route").ask(get("/api/v1/take")).refuses(405, "method_not_allowed").runs(0),
        case("head").ask(ask("HEAD", "/api/v1/seen")).gives(200),
        case("head of nothing").ask(ask("HEAD", "/api/v1/nothing")).gives(404),
        case("head of a writing route").ask(ask("HEAD", "/api/v1/take")).gives(405),
        case("head of a page").ask(ask("HEAD", "/form")).gives(200),
        case("head of many bytes").ask(ask("HEAD", "/api/v1/bytes/70000")).gives(200),
        case("head of no content").ask(ask("HEAD", "/api/v1/heavy")).gives(204),
        case("head of a stream").ask(ask("HEAD", "/api/v1/stream")).gives(200),
        case("head of a socket").ask(ask("HEAD", "/api/v1/socket")).gives(400),
        case("head of a panic").ask(ask("HEAD", "/api/v1/panic")).gives(500),
        case("head of a redirect").ask(ask("HEAD", "/private").header("accept", "text/html")).gives(401),
        case("options of a route").ask(ask("OPTIONS", "/api/v1/take")).gives(204).runs(0),
        case("options of several methods").ask(ask("OPTIONS", "/api/v1/things/a")).gives(204),
        case("options of a page").ask(ask("OPTIONS", "/form")).gives(204),
        case("options of nothing").ask(ask("OPTIONS", "/api/v1/nothing")).refuses(404, "not_found"),
        case("options of everything").ask(ask("OPTIONS", "*")).gives(404),
        case("post").ask(post("/api/v1/take", NOTE)).gives(200).runs(1),
        case("post to a reading route").ask(post("/api/v1/seen", NOTE)).refuses(405, "method_not_allowed"),
        case("post to nothing").ask(post("/api/v1/nothing", NOTE)).refuses(404, "not_found"),
        case("put")
            .ask(ask("PUT", "/api/v1/things/a").header("content-type", "application/json").body(NOTE))
            .gives(200),
        case("put to nothing").ask(ask("PUT", "/api/v1/nothing").body(NOTE)).refuses(404, "not_found"),
        case("patch of another method's route")
            .ask(ask("PATCH", "/api/v1/take"))
            .refuses(405, "method_not_allowed"),
        case("delete with a session").ask(ask("DELETE", "/api/v1/w/acme/notes/1").by_owner()).gives(204),
        case("delete without a session")
            .ask(ask("DELETE", "/api/v1/w/acme/notes/1"))
            .refuses(401, "unauthenticated"),
        case("trace")
            .ask(ask("TRACE", "/api/v1/seen").header("x-secret", "1"))
            .refuses(405, "method_not_allowed")
            .runs(0),
        case("trace of nothing").ask(ask("TRACE", "/api/v1/nothing")).refuses(404, "not_found"),
        case("webdav").ask(ask("PROPFIND", "/api/v1/seen")).refuses(405, "method_not_allowed"),
        case("method in lower case")
            .ask(ask("get", "/api/v1/seen"))
            .refuses(405, "method_not_allowed")
            .runs(0),
        case("method of one's own").ask(ask("M-SEARCH", "/api/v1/seen")).refuses(405, "method_not_allowed"),
        case("method of odd characters")
            .begin(ask("A!#$%&'*+.^_`|~9", "/api/v1/seen"))
            .hear()
            .refuses(405, "method_not_allowed")
            .refused_by(&[Kind::Actix]),
        case("long method").ask(ask(LONG, "/api/v1/seen")).refuses(405, "method_not_allowed"),
        case("connect to a path")
            .ask(ask("CONNECT", "/api/v1/seen"))
            .refuses(405, "method_not_allowed")
            .runs(0),
        case("method override by header")
            .ask(post("/api/v1/seen", NOTE).header("x-http-method-override", "GET"))
            .refuses(405, "method_not_allowed"),
    ]
}

const LONG: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ";
