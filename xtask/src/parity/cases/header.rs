//! Headers, coming and going.

use crate::parity::ask::{Ask, ask, get, post};
use crate::parity::case::{Case, case};
use crate::parity::world::World;

use super::NOTE;

pub(super) fn cases() -> Vec<Case> {
    [coming(), forwarded(), accept(), cors()].into_iter().flatten().collect()
}

fn seen() -> Ask {
    get("/api/v1/seen")
}

fn many(count: usize) -> Ask {
    (0..count).fold(seen(), |ask, _| ask.header("x-many", "1"))
}

fn coming() -> Vec<Case> {
    vec![
        case("cookies on two lines").ask(seen().header("cookie", "a=1").header("cookie", "b=2")).gives(200),
        case("one header three times")
            .ask(seen().header("x-a", "1").header("x-b", "2").header("x-a", "3").header("X-A", "4"))
            .gives(200),
        case("no utf-8 in a header").ask(seen().header("x-a", b"caf\xe9 \xff\x80")).gives(200),
        case("tab in a header").ask(seen().header("x-a", "a\tb")).gives(200),
        case("spaces around a header").begin(seen().header("x-a", "  a  ")).hear().gives(200),
        case("empty header").ask(seen().header("x-a", "")).gives(200),
        case("odd header name").ask(seen().header("x-!#$%&'*+.^_`|~9", "1")).gives(200),
        case("upper case header name").ask(seen().header("X-SHOUTED", "1")).gives(200),
        case("many headers").ask(many(90)).gives(200),
        case("large header").ask(seen().header("x-a", "x".repeat(60_000))).gives(200),
        case("host with a port").ask(seen().header("host", "localhost:8080")).gives(200),
        case("host in upper case").ask(seen().header("host", "LOCALHOST")).gives(200),
        case("host of nonsense").ask(seen().header("host", "a b/c?d")).gives(200),
        case("empty host").ask(seen().header("host", "")).gives(200),
        case("user agent").ask(seen().header("user-agent", "x".repeat(1000))).gives(200),
        case("two content types")
            .ask(post("/api/v1/take", NOTE).header("content-type", "text/plain"))
            .gives(200),
        case("expectation of the unknown").ask(seen().header("expect", "a miracle")).gives(200),
        case("te").ask(seen().header("te", "trailers")).gives(200),
        case("upgrade to h2c")
            .ask(
                seen()
                    .header("connection", "upgrade, http2-settings")
                    .header("upgrade", "h2c")
                    .header("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
            )
            .gives(200),
        case("connection option that names a header")
            .ask(seen().header("connection", "close, x-a").header("x-a", "1"))
            .gives(200),
        case("range").ask(get("/api/v1/bytes/100").header("range", "bytes=0-9")).gives(200),
        case("condition").ask(get("/api/v1/bytes/100").header("if-none-match", "*")).gives(200),
        case("cookies set on two lines").ask(get("/api/v1/cookies")).gives(200),
        case("no utf-8 in an answer").ask(get("/api/v1/odd-header")).gives(200),
    ]
}

fn forwarded() -> Vec<Case> {
    let id = "req_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f";
    let proxied = |name, header, value: &str| {
        case(name).world(World::Proxied).ask(seen().header(header, value)).gives(200)
    };
    vec![
        case("request id of a stranger").ask(seen().header("x-request-id", id)).gives(200),
        case("request id of nonsense").ask(seen().header("x-request-id", "\"><script>")).gives(200),
        case("long request id").ask(seen().header("x-request-id", "x".repeat(4000))).gives(200),
        case("two request ids").ask(seen().header("x-request-id", id).header("x-request-id", id)).gives(200),
        case("trace of a caller")
            .ask(seen().header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
            .gives(200),
        case("trace of nonsense")
            .ask(seen().header("traceparent", "00-zz-zz-01").header("tracestate", "a=1"))
            .gives(200),
        case("address told by a stranger").ask(seen().header("x-forwarded-for", "198.51.100.7")).gives(200),
        proxied("request id of a proxy", "x-request-id", id),
        proxied("request id of a proxy as a uuid", "x-request-id", "0192e0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"),
        proxied("request id of nonsense from a proxy", "x-request-id", "req_1"),
        proxied("address told by a proxy", "x-forwarded-for", "198.51.100.7"),
        proxied("addresses told by proxies", "x-forwarded-for", "1.1.1.1, 198.51.100.7, 10.0.0.1"),
        proxied("address of nonsense from a proxy", "x-forwarded-for", "unknown, , 300.1.1.1"),
        proxied("encrypted before the proxy", "x-forwarded-proto", "https"),
        proxied("in clear before the proxy", "x-forwarded-proto", "http"),
        proxied("host told by a proxy", "x-forwarded-host", "shop.example"),
    ]
}

fn accept() -> Vec<Case> {
    let nothing =
        |name, accept: &str| case(name).ask(get("/api/v1/nothing").header("accept", accept)).gives(404);
    let page = |name, accept: &str| case(name).ask(get("/nowhere").header("accept", accept)).gives(404);
    vec![
        nothing("problem details", "application/problem+json"),
        nothing("problem details liked less", "application/problem+json;q=0.5, application/json"),
        nothing("a page of an api", "text/html"),
        nothing("anything", "*/*"),
        nothing("nothing acceptable", "*/*;q=0"),
        nothing("accept of nonsense", ";;;,,q=,/"),
        nothing("long accept", &"text/plain;q=0.1,".repeat(500)),
        page("a browser's accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        page("a script's accept", "application/json"),
        page("problem details of a page", "application/problem+json, text/html;q=0.1"),
        case("accept on two lines")
            .ask(
                get("/api/v1/nothing")
                    .header("accept", "text/plain")
                    .header("accept", "application/problem+json"),
            )
            .gives(404),
        case("no utf-8 in accept").ask(get("/api/v1/nothing").header("accept", b"\xff")).gives(404),
        case("redirect for a browser").ask(get("/api/v1/elsewhere").header("accept", "text/html")).gives(303),
        case("redirect for a script")
            .ask(get("/api/v1/elsewhere").header("accept", "application/json"))
            .gives(200),
        case("page with a query and without a session")
            .ask(get("/private?a=b").header("accept", "text/html"))
            .gives(303),
        case("page without a session").ask(get("/private").header("accept", "text/html")).gives(303),
        case("page without a session for a script")
            .ask(get("/private").header("accept", "application/json"))
            .refuses(401, "unauthenticated"),
        case("panic of a page").ask(get("/broken-page").header("accept", "text/html")).gives(500),
    ]
}

fn cors() -> Vec<Case> {
    let preflight = |origin: &str| {
        ask("OPTIONS", "/api/v1/take")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
    };
    let (front, evil) = ("https://front.example", "https://evil.example");
    vec![
        case("preflight of a listed origin").ask(preflight(front)).gives(204),
        case("preflight with headers")
            .ask(preflight(front).header("access-control-request-headers", "content-type, x-csrf-token"))
            .gives(204),
        case("preflight of another origin").ask(preflight(evil)).gives(204),
        case("preflight of an origin that only looks listed")
            .ask(preflight("https://front.example.evil.example"))
            .gives(204),
        case("preflight of no origin in particular").ask(preflight("null")).gives(204),
        case("preflight of nothing")
            .ask(
                ask("OPTIONS", "/api/v1/nothing")
                    .header("origin", front)
                    .header("access-control-request-method", "GET"),
            )
            .refuses(404, "not_found"),
        case("preflight where anybody may read").world(World::Proxied).ask(preflight(evil)).gives(204),
        case("options with an origin but no method")
            .ask(ask("OPTIONS", "/api/v1/take").header("origin", front))
            .gives(204),
        case("reading from a listed origin").ask(seen().header("origin", front)).gives(200),
        case("reading from another origin").ask(seen().header("origin", evil)).gives(200),
        case("error for a listed origin")
            .ask(get("/api/v1/nothing").header("origin", front))
            .refuses(404, "not_found"),
        case("writing from a listed origin")
            .ask(post("/api/v1/take", NOTE).header("origin", front))
            .gives(200),
        case("writing from another origin")
            .ask(post("/api/v1/take", NOTE).header("origin", evil))
            .refuses(403, "cross_site")
            .runs(0),
        case("writing from the same host")
            .ask(post("/api/v1/take", NOTE).header("origin", "http://localhost"))
            .gives(200),
        case("writing from no origin in particular")
            .ask(post("/api/v1/take", NOTE).header("origin", "null"))
            .refuses(403, "cross_site"),
        case("two origins")
            .ask(post("/api/v1/take", NOTE).header("origin", "http://localhost").header("origin", evil))
            .refuses(403, "cross_site"),
        case("no utf-8 in an origin")
            .ask(post("/api/v1/take", NOTE).header("origin", b"http://\xff"))
            .refuses(403, "cross_site"),
        case("fetch from another site")
            .ask(post("/api/v1/take", NOTE).header("sec-fetch-site", "cross-site"))
            .refuses(403, "cross_site"),
        case("fetch from the same origin")
            .ask(post("/api/v1/take", NOTE).header("sec-fetch-site", "same-origin"))
            .gives(200),
    ]
}
