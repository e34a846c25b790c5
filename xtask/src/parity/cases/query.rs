//! Queries.

use crate::parity::ask::get;
use crate::parity::case::{Case, case};

pub(super) fn cases() -> Vec<Case> {
    let search = |name: &'static str, query: &str| {
        case(name).ask(get(format!("/api/v1/w/acme/search{query}")).by_owner())
    };
    let many: String = (0..300).map(|n| format!("&tag={n}")).collect();
    vec![
        search("no query", "").gives(200),
        search("empty query", "?").gives(200),
        search("parameters", "?q=milk&page=2&tag=a&tag=b").gives(200),
        search("parameter given twice", "?q=a&q=b").gives(400),
        search("unknown parameter", "?q=a&colour=red").refuses(400, "unknown_parameter").runs(0),
        search("unknown parameter without a value", "?colour").refuses(400, "unknown_parameter"),
        search("parameter without a name", "?=a").gives(400),
        search("empty pairs", "?&&q=a&&").gives(200),
        search("broken escape in a query", "?q=%zz").gives(200),
        search("no utf-8 in a query", "?q=%FF").refuses(400, "malformed"),
        search("nul in a query", "?q=%00").gives(200),
        search("plus in a query", "?q=a+b").gives(200),
        search("encoded plus in a query", "?q=a%2Bb").gives(200),
        search("encoded ampersand", "?q=a%26page=2").gives(200),
        search("encoded name", "?%71=a").gives(200),
        search("semicolons", "?q=a;page=2").gives(200),
        search("several equal signs", "?q=a=b=c").gives(200),
        search("question mark in a query", "?q=a?b").gives(200),
        search("slashes in a query", "?q=/../").gives(200),
        search("no number in a query", "?page=two").refuses(400, "malformed_parameter"),
        search("negative number in a query", "?page=-1").refuses(400, "malformed_parameter"),
        search("number too large in a query", "?page=99999999999").refuses(400, "malformed_parameter"),
        search("empty number", "?page=").gives(200),
        search("brackets", "?tag[]=a").refuses(400, "unknown_parameter"),
        search("too many parameters", &format!("?q=a{many}")).refuses(400, "malformed"),
        search("large value", &format!("?q={}", "x".repeat(30_000))).gives(200),
        search("letters beyond ascii in a query", "?q=%C3%A9").gives(200),
        case("query of a route that takes none")
            .ask(get("/api/v1/things/a?b=c"))
            .refuses(400, "unknown_parameter"),
        case("query of nothing").ask(get("/api/v1/nothing?a=%FF")).refuses(404, "not_found"),
        case("query seen by the handler").ask(get("/api/v1/seen?q=%2F+%zz")).gives(200),
    ]
}
