//! Who may: sessions, tokens, cross-site requests, quotas.

use crate::parity::ask::{Ask, ask, get, post};
use crate::parity::case::{Case, case};
use crate::parity::world::World;

use super::NOTE;

pub(super) fn cases() -> Vec<Case> {
    [session(), csrf(), gate(), quota()].into_iter().flatten().collect()
}

fn whoami() -> Ask {
    get("/api/v1/whoami")
}

fn session() -> Vec<Case> {
    let stranger = |name, ask: Ask| case(name).ask(ask).refuses(401, "unauthenticated").runs(0);
    vec![
        stranger("no session", whoami()),
        stranger("unknown session", whoami().header("cookie", format!("__Host-session={}", "A".repeat(43)))),
        stranger("session of nonsense", whoami().header("cookie", "__Host-session=../../etc/passwd")),
        stranger("empty session", whoami().header("cookie", "__Host-session=")),
        stranger("long session", whoami().header("cookie", format!("__Host-session={}", "x".repeat(20_000)))),
        stranger("session under another name", whoami().header("cookie", "session=1; __host-session=1")),
        stranger("no utf-8 beside a session", whoami().header("cookie", b"__Host-session=\xff")),
        stranger("session in lower case", whoami().header("cookie", "__host-session=x")),
        case("a session").ask(whoami().by_owner()).gives(200).runs(1),
        case("session among other cookies").ask(whoami().header("cookie", "a=1; «owner»; b=2")).gives(200),
        case("session on a second line")
            .ask(whoami().header("cookie", "a=1").header("cookie", "«owner»"))
            .gives(200),
        case("the same session twice")
            .ask(whoami().header("cookie", "«owner»").header("cookie", "«owner»"))
            .gives(200),
        stranger("two sessions", whoami().header("cookie", "«owner»").header("cookie", "«outsider»")),
        stranger("two sessions on one line", whoami().header("cookie", "«owner»; «outsider»")),
        stranger("a session and a planted one", whoami().header("cookie", "__Host-session=planted; «owner»")),
        stranger("unknown token", whoami().header("authorization", "Bearer abc")),
        stranger("token of nonsense", whoami().header("authorization", "Bearer")),
        stranger("token with spaces", whoami().header("authorization", "Bearer a b c")),
        stranger(
            "two tokens",
            whoami().header("authorization", "Bearer a").header("authorization", "Bearer b"),
        ),
        stranger("no utf-8 in a token", whoami().header("authorization", b"Bearer \xff")),
        stranger("long token", whoami().header("authorization", format!("Bearer {}", "x".repeat(20_000)))),
        stranger(
            "token counts before the session",
            whoami().by_owner().header("authorization", "Bearer abc"),
        ),
        case("a scheme that is somebody else's")
            .ask(whoami().by_owner().header("authorization", "Basic YTpi"))
            .gives(200),
        case("unknown token on a public route")
            .ask(get("/api/v1/things/a").header("authorization", "Bearer abc"))
            .refuses(401, "unauthenticated"),
        case("unknown session on a public route")
            .ask(get("/api/v1/things/a").header("cookie", "__Host-session=x"))
            .gives(200),
        case("sign-up that exists")
            .ask(post(
                "/api/v1/auth/sign-up",
                r#"{"name": "a", "email": "owner@example.com", "password": "a long enough password"}"#,
            ))
            .gives(409),
        case("sign-up with a short password")
            .ask(post(
                "/api/v1/auth/sign-up",
                r#"{"name": "a", "email": "a@example.com", "password": "short"}"#,
            ))
            .refuses(422, "invalid"),
        case("log-in with a wrong password")
            .ask(post(
                "/api/v1/auth/log-in",
                r#"{"email": "owner@example.com", "password": "a wrong password"}"#,
            ))
            .gives(401),
        case("log-in sets a cookie")
            .ask(post(
                "/api/v1/auth/log-in",
                r#"{"email": "owner@example.com", "password": "a long enough password"}"#,
            ))
            .gives(200),
        case("log-out takes the cookie away").ask(post("/api/v1/auth/log-out", "")).gives(204),
    ]
}

fn csrf() -> Vec<Case> {
    let write = || post("/api/v1/w/acme/notes", NOTE).header("cookie", "«owner»");
    vec![
        case("write without a token").ask(write()).refuses(403, "csrf").runs(0),
        case("write with a wrong token")
            .ask(write().header("x-csrf-token", "wrong"))
            .refuses(403, "csrf")
            .runs(0),
        case("write with another's token")
            .ask(write().header("x-csrf-token", "«outsider-csrf»"))
            .refuses(403, "csrf"),
        case("write with an empty token").ask(write().header("x-csrf-token", "")).refuses(403, "csrf"),
        case("write with two tokens")
            .ask(write().header("x-csrf-token", "«owner-csrf»").header("x-csrf-token", "«owner-csrf»"))
            .refuses(403, "csrf"),
        case("write with no utf-8 in the token")
            .ask(write().header("x-csrf-token", b"\xff"))
            .refuses(403, "csrf"),
        case("write with the token").ask(write().header("x-csrf-token", "«owner-csrf»")).gives(201).runs(1),
        case("write with the token from another site")
            .ask(write().header("x-csrf-token", "«owner-csrf»").header("origin", "https://evil.example"))
            .refuses(403, "cross_site"),
        case("write with the token from a listed origin")
            .ask(write().header("x-csrf-token", "«owner-csrf»").header("origin", "https://front.example"))
            .gives(201),
        case("form with the token")
            .ask(
                ask("POST", "/form")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .header("cookie", "«owner»")
                    .body("text=a&_csrf=«owner-csrf»"),
            )
            .gives(303),
        case("form with a wrong token")
            .ask(
                ask("POST", "/form")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .header("cookie", "«owner»")
                    .header("accept", "application/json")
                    .body("text=a&_csrf=wrong"),
            )
            .refuses(403, "csrf"),
    ]
}

fn gate() -> Vec<Case> {
    let error = |name, kind: &str, status, code| {
        case(name).ask(get(format!("/api/v1/errors/{kind}"))).refuses(status, code).runs(1)
    };
    vec![
        error("malformed", "malformed", 400, "malformed"),
        error("unauthenticated", "unauthenticated", 401, "unauthenticated"),
        error("payment required", "payment_required", 402, "feature_not_in_plan"),
        error("forbidden", "forbidden", 403, "forbidden"),
        error("not found", "not_found", 404, "not_found"),
        error("method not allowed by a handler", "method_not_allowed", 405, "method_not_allowed"),
        error("too slow", "too_slow", 408, "too_slow"),
        error("conflict", "conflict", 409, "conflict"),
        error("too large", "too_large", 413, "too_large"),
        error("unsupported media type", "unsupported_media_type", 415, "unsupported_media_type"),
        error("invalid", "invalid", 422, "invalid"),
        error("rate limited by a handler", "rate_limited", 429, "rate_limited"),
        error("internal", "internal", 500, "internal"),
        error("unavailable", "unavailable", 503, "unavailable"),
        error("timeout", "timeout", 504, "timeout"),
        case("panic").ask(get("/api/v1/panic")).refuses(500, "internal").runs(1),
        case("panic in a transaction")
            .ask(get("/api/v1/w/acme/broken").by_owner())
            .refuses(500, "internal")
            .runs(1),
        case("staff only").ask(get("/api/v1/staff").by_owner()).refuses(403, "staff_only"),
        case("not in the plan")
            .ask(get("/api/v1/w/acme/luxury").by_owner())
            .refuses(402, "feature_not_in_plan"),
        case("address not verified")
            .ask(get("/api/v1/w/acme/verified").by_owner())
            .refuses(403, "email_unverified"),
    ]
}

fn quota() -> Vec<Case> {
    let thrice = |name, ask: fn() -> Ask, status| {
        case(name)
            .world(World::Tight)
            .ask(ask())
            .ask(ask())
            .ask(ask())
            .gives(status)
            .gives(status)
            .refuses(429, "rate_limited")
    };
    vec![
        thrice("quota of an address", || get("/api/v1/things/a"), 200).runs(2),
        thrice("quota of a session", || whoami().by_owner(), 200).runs(2),
        thrice("quota of a workspace", || get("/api/v1/w/acme/notes/1").by_owner(), 200).runs(2),
        thrice("quota of guessing", || post("/api/v1/guess", NOTE), 200).runs(2),
        thrice("quota of heavy work", || get("/api/v1/heavy"), 204).runs(2),
        thrice("quota of unknown paths", || get("/api/v1/nothing"), 404).runs(0),
        thrice("quota of wrong methods", || get("/api/v1/take"), 405).runs(0),
        thrice("quota of too large bodies", || post("/api/v1/small", "x".repeat(5000)), 413).runs(0),
        thrice("quota of unknown tokens", || whoami().header("authorization", "Bearer abc"), 401).runs(0),
    ]
}
