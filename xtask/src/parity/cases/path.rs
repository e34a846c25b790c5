//! Paths, the odd ones above all: nobody may read them differently from the app.

use crate::parity::ask::{ask, get};
use crate::parity::case::{Case, case};

#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(super) fn cases() -> Vec<Case> {
    let thing = |name: &'static str, path: &str| case(name).ask(get(format!("/api/v1/things/{path}")));
    vec![
        case("home").ask(get("/")).gives(200),
        case("page").ask(get("/form")).gives(200),
        thing("plain segment", "a").gives(200),
        thing("encoded slash", "a%2Fb").gives(200),
        thing("encoded slash in lower case", "a%2fb").gives(200),
        thing("doubly encoded slash", "a%252Fb").gives(200),
        thing("real slash", "a/b").refuses(404, "not_found"),
        thing("nul", "a%00b").gives(200),
        thing("line break", "a%0D%0Ab").gives(200),
        thing("encoded space", "a%20b").gives(200),
        thing("plus", "a+b").gives(200),
        thing("encoded percent", "100%25").gives(200),
        thing("letters beyond ascii", "%C3%A9").gives(200),
        thing("no utf-8", "%FF").refuses(404, "not_found"),
        thing("half a character", "%C3").refuses(404, "not_found"),
        thing("overlong slash", "%C0%AF").refuses(404, "not_found"),
        thing("broken escape", "%zz").gives(200),
        thing("lone percent", "%").gives(200),
        thing("escape cut short", "a%2").gives(200),
        thing("encoded dots", "%2e%2e").gives(200),
        thing("dots", "..").gives(200),
        thing("one dot", ".").gives(200),
        thing("semicolon", "a;b=c").gives(200),
        thing("reserved characters", "a:@!$&'()*,=~").gives(200),
        thing("encoded question mark", "a%3Fb").gives(200),
        thing("encoded hash", "a%23b").gives(200),
        thing("quotation mark", "a\"b").gives(200),
        thing("braces", "{name}").gives(200),
        thing("empty segment", "").refuses(404, "not_found"),
        thing("long segment", &"x".repeat(8000)).gives(200),
        case("dots that would lead elsewhere")
            .ask(get("/api/v1/nothing/../seen"))
            .refuses(404, "not_found")
            .runs(0),
        case("encoded dots that would lead elsewhere")
            .ask(get("/api/v1/nothing/%2e%2e/seen"))
            .refuses(404, "not_found")
            .runs(0),
        case("dot segment").ask(get("/api/v1/./seen")).refuses(404, "not_found"),
        case("double slash").ask(get("/api//v1/seen")).gives(404),
        case("double slash in front").ask(get("//api/v1/seen")).gives(404),
        case("double slash at the end").ask(get("/api/v1/seen//")).refuses(404, "not_found"),
        case("trailing slash").ask(get("/api/v1/seen/")).refuses(404, "not_found"),
        case("trailing slash of a page").ask(get("/form/")).gives(404),
        case("trailing slash of the prefix").ask(get("/api/v1/")).refuses(404, "not_found"),
        case("prefix alone").ask(get("/api/v1")).refuses(404, "not_found"),
        case("almost the prefix").ask(get("/api/v10/seen")).gives(404),
        case("upper case").ask(get("/API/V1/SEEN")).gives(404),
        case("upper case behind the prefix").ask(get("/api/v1/Seen")).refuses(404, "not_found"),
        case("encoded letter of a route").ask(get("/api/v1/%73een")).refuses(404, "not_found"),
        case("encoded slash of a route").ask(get("/api%2Fv1/seen")).gives(404),
        case("backslash").ask(get("/api\\v1\\seen")).gives(404),
        case("parameter of a segment").ask(get("/api/v1/seen;jsessionid=1")).refuses(404, "not_found"),
        case("fragment").ask(get("/api/v1/seen#part")).gives(200),
        case("number").ask(get("/api/v1/w/acme/notes/7").by_owner()).gives(200),
        case("no number").ask(get("/api/v1/w/acme/notes/seven").by_owner()).refuses(404, "not_found").runs(0),
        case("negative number").ask(get("/api/v1/w/acme/notes/-7").by_owner()).refuses(404, "not_found"),
        case("number too large")
            .ask(get("/api/v1/w/acme/notes/99999999999").by_owner())
            .refuses(404, "not_found"),
        case("number in other digits")
            .ask(get("/api/v1/w/acme/notes/%D9%A7").by_owner())
            .refuses(404, "not_found"),
        case("traversal").ask(get("/../../etc/passwd")).gives(404),
        case("encoded traversal").ask(get("/%2e%2e/%2e%2e/etc/passwd")).gives(404),
        case("long path of nothing").ask(get("/x".repeat(8000))).gives(404),
        case("whole url").ask(get("http://localhost/api/v1/things/a")).gives(200),
        case("whole url of another host").ask(get("http://elsewhere.example/api/v1/things/a")).gives(200),
        case("whole url without a path").ask(get("http://localhost")).gives(200),
        case("star").ask(get("*")).gives(404),
        case("dots before a writing route")
            .ask(ask("DELETE", "/api/v1/w/acme/../acme/notes/1").by_owner())
            .gives(404),
    ]
}
