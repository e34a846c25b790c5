//! How a request names its workspace, and what outsiders see.

use crate::parity::ask::{Ask, get, post};
use crate::parity::case::{Case, case};
use crate::parity::world::World;

use super::NOTE;

pub(super) fn cases() -> Vec<Case> {
    [by_path(), by_header(), by_subdomain()].into_iter().flatten().collect()
}

fn by_path() -> Vec<Case> {
    let note = |slug: &str| get(format!("/api/v1/w/{slug}/notes/1"));
    let hidden = |name, ask: Ask| case(name).ask(ask).refuses(404, "not_found").runs(0);
    vec![
        case("own workspace").ask(note("acme").by_owner()).gives(200).runs(1),
        case("workspace without a session").ask(note("acme")).refuses(401, "unauthenticated"),
        case("missing workspace without a session").ask(note("nowhere")).refuses(401, "unauthenticated"),
        hidden("foreign workspace", note("other").by_owner()),
        hidden("own workspace for an outsider", note("acme").by_outsider()),
        hidden("missing workspace", note("nowhere").by_owner()),
        hidden("workspace in upper case", note("ACME").by_owner()),
        hidden("workspace by id", note("«workspace»").by_owner()),
        hidden("encoded slash in a workspace", note("acme%2Fnotes").by_owner()),
        hidden("nul in a workspace", note("acme%00").by_owner()),
        hidden("no utf-8 in a workspace", note("acme%FF").by_owner()),
        hidden("long workspace", note(&"a".repeat(5000)).by_owner()),
        hidden("no workspace", get("/api/v1/notes/1").by_owner()),
        hidden("empty workspace", get("/api/v1/w//notes/1").by_owner()),
        case("encoded letter of a workspace").ask(note("%61cme").by_owner()).gives(200),
        case("workspace header where the path decides")
            .ask(note("acme").by_owner().header("x-workspace-id", "«foreign»"))
            .gives(200),
        case("writing to a foreign workspace")
            .ask(post("/api/v1/w/other/notes", NOTE).by_owner())
            .refuses(404, "not_found")
            .runs(0),
        case("members page by page").ask(get("/api/v1/w/acme/members?limit=1").by_owner()).gives(200),
        case("cursor of nonsense").ask(get("/api/v1/w/acme/members?cursor=abc").by_owner()).gives(400),
        case("limit of nought").ask(get("/api/v1/w/acme/members?limit=0").by_owner()).gives(400),
        case("founding a workspace that exists")
            .ask(post("/api/v1/workspaces", r#"{"name": "Other", "slug": "other"}"#).by_owner())
            .gives(409),
    ]
}

fn by_header() -> Vec<Case> {
    let note = || get("/api/v1/notes/1").by_owner();
    let named = |name, value: &[u8]| {
        case(name).world(World::Header).ask(note().header("x-workspace-id", value)).gives(404).runs(0)
    };
    vec![
        case("own workspace by header")
            .world(World::Header)
            .ask(note().header("x-workspace-id", "«workspace»"))
            .gives(200),
        case("no workspace header").world(World::Header).ask(note()).refuses(400, "workspace_missing"),
        named("foreign workspace by header", "«foreign»".as_bytes()),
        named("workspace header of nonsense", b"ws_1"),
        named("slug in a workspace header", b"acme"),
        named("empty workspace header", b""),
        named("no utf-8 in a workspace header", b"\xff"),
        named("long workspace header", &[b'a'; 5000]),
        case("two workspace headers")
            .world(World::Header)
            .ask(note().header("x-workspace-id", "«workspace»").header("x-workspace-id", "«foreign»"))
            .gives(404),
        case("own workspace twice")
            .world(World::Header)
            .ask(note().header("x-workspace-id", "«workspace»").header("x-workspace-id", "«workspace»"))
            .gives(404),
        case("workspace in the path where the header decides")
            .world(World::Header)
            .ask(get("/api/v1/w/acme/notes/1").by_owner().header("x-workspace-id", "«workspace»"))
            .refuses(404, "not_found"),
    ]
}

fn by_subdomain() -> Vec<Case> {
    let at = |name, host: &str, status| {
        case(name)
            .world(World::Subdomain)
            .ask(get("/api/v1/notes/1").by_owner().header("host", host))
            .gives(status)
    };
    vec![
        at("own workspace by host", "acme.app.example", 200),
        at("own workspace by host and port", "acme.app.example:8443", 200),
        at("host name in upper case", "ACME.App.Example", 200),
        at("foreign workspace by host", "other.app.example", 404),
        at("missing workspace by host", "nowhere.app.example", 404),
        at("base domain", "app.example", 404),
        at("reserved name", "www.app.example", 404),
        at("two labels", "a.acme.app.example", 404),
        at("host that only ends like ours", "acme.notapp.example", 404),
        at("host of another domain", "acme.evil.example", 404),
        at("trailing dot", "acme.app.example.", 404),
        at("host with a user", "acme@app.example", 404),
        at("empty label", ".app.example", 404),
        case("host told by a stranger")
            .world(World::Subdomain)
            .ask(
                get("/api/v1/notes/1")
                    .by_owner()
                    .header("host", "other.app.example")
                    .header("x-forwarded-host", "acme.app.example"),
            )
            .gives(404),
        case("whole url names the host")
            .world(World::Subdomain)
            .ask(get("http://acme.app.example/api/v1/notes/1").by_owner().header("host", "other.app.example"))
            .gives(404),
        case("write from the public origin")
            .world(World::Subdomain)
            .ask(
                post("/api/v1/notes", NOTE)
                    .by_owner()
                    .header("host", "acme.app.example")
                    .header("origin", "https://app.example"),
            )
            .gives(201),
    ]
}
