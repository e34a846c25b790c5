//! Browsers: other sites' pages, tokens, forms, pages for people.

use kernel_core::http::{Cors, Environment};

use super::ask::Ask;
use super::shop::Shop;

const FORM: &str = "application/x-www-form-urlencoded";

fn form(body: &str) -> Ask {
    Ask::new("POST", "/form").with("content-type", FORM).body(body)
}

#[tokio::test]
async fn a_session_writes_only_from_our_pages_and_with_its_token() {
    let shop = Shop::open().await;
    let write = |name| Ask::item(name).without("origin").without("x-csrf-token");
    let token = |ask: Ask| ask.with("x-csrf-token", "csrf-alice");
    for origin in
        ["https://evil.example", "null", "https://shop.example.evil.example", "https://shop.example:8443"]
    {
        let answer = shop.send(token(write("a")).with("origin", origin)).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "cross_site"), "{origin}");
    }
    for site in ["cross-site", "same-site", "nonsense"] {
        assert_eq!(
            shop.send(token(write("a")).with("sec-fetch-site", site)).await.code(),
            "cross_site",
            "{site}"
        );
    }
    let ours = |ask: Ask| ask.with("origin", "https://shop.example");
    assert_eq!(shop.send(ours(write("a"))).await.code(), "csrf");
    assert_eq!(shop.send(ours(write("a")).with("x-csrf-token", "csrf-bob")).await.code(), "csrf");
    assert_eq!(shop.send(ours(write("a")).with("x-csrf-token", "")).await.code(), "csrf");
    assert_eq!(shop.items().await, Vec::<String>::new());
    assert_eq!(shop.send(token(ours(write("a")))).await.status, 201);
    assert_eq!(shop.send(token(write("b")).with("sec-fetch-site", "same-origin")).await.status, 201);
    assert_eq!(shop.items().await, ["a", "b"]);
    let program = Ask::new("POST", "/api/v1/w/acme/items").json(r#"{"name": "c"}"#);
    let program = program.with("authorization", "Bearer acme-key").with("origin", "https://evil.example");
    assert_eq!(shop.send(program).await.status, 201, "no page can send a bearer credential");
}

#[tokio::test]
async fn a_form_carries_the_token_in_a_field() {
    let shop = Shop::open().await;
    let session =
        |body| form(body).with("cookie", "__Host-shop=alice").with("origin", "https://shop.example");
    assert_eq!(shop.send(session("name=tea").with("accept", "application/json")).await.code(), "csrf");
    let answer = shop.send(session("name=tea&_csrf=csrf-alice").with("accept", "text/html")).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/made/tea"));
    let scripted = shop.send(session("name=tea&_csrf=csrf-alice").with("accept", "application/json")).await;
    assert_eq!((scripted.status, scripted.json()["location"].as_str()), (200, Some("/made/tea")));
}

#[tokio::test]
async fn a_stranger_cannot_log_a_visitor_in() {
    let shop = Shop::open().await;
    let foreign = form("name=tea").with("origin", "https://evil.example").with("accept", "application/json");
    assert_eq!(shop.send(foreign).await.code(), "cross_site");
    assert_eq!(shop.send(form("name=tea").with("origin", "https://shop.example")).await.status, 303);
    let origins = vec!["https://blog.example".to_owned()];
    let open = Shop::with(|http| http.cors = Cors { origins, credentials: false }).await;
    let listed = form("name=tea").with("origin", "https://blog.example").with("accept", "application/json");
    assert_eq!(open.send(listed).await.code(), "cross_site", "its scripts may write, its forms may not");
    let api = Ask::new("POST", "/api/v1/register").with("content-type", FORM).body("name=tea");
    assert_eq!(shop.send(api).await.status, 415, "the API reads no forms");
}

#[tokio::test]
async fn a_socket_opens_from_our_pages_only() {
    let shop = Shop::open().await;
    let open = |origin| {
        Ask::get("/api/v1/socket")
            .with("cookie", "__Host-shop=alice")
            .with("upgrade", "websocket")
            .with("connection", "upgrade")
            .with("sec-websocket-version", "13")
            .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .with("origin", origin)
    };
    assert_eq!(shop.send(open("https://evil.example")).await.code(), "cross_site");
    let reply = shop.reply(open("https://shop.example")).await;
    assert!(matches!(reply, kernel_core::http::Reply::Socket(_)), "{reply:?}");
}

#[tokio::test]
async fn people_get_pages_and_programs_get_envelopes() {
    let shop = Shop::with(|http| http.sign_in_page = Some("/sign-in".to_owned())).await;
    let asked = async |path, accept| shop.send(Ask::get(path).with("accept", accept)).await;
    let page = asked("/nowhere", "text/html").await;
    assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(page.text.contains(page.header("x-request-id")));
    assert_eq!(asked("/nowhere", "application/json").await.code(), "not_found");
    let api = asked("/api/v1/nowhere", "text/html").await;
    assert_eq!(api.header("content-type"), "application/json");
    let problem = asked("/api/v1/nowhere", "application/problem+json").await;
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert_eq!(problem.json()["code"], "not_found");

    let account = asked("/account", "text/html").await;
    assert_eq!((account.status, account.header("location")), (303, "/sign-in?next=%2Faccount"));
    assert_eq!(asked("/account", "application/json").await.status, 401);
    assert_eq!(asked("/api/v1/people", "text/html").await.status, 401);
    assert_eq!(shop.send(Ask::get("/account").by("alice")).await.text, "<p>user</p>");
}

#[tokio::test]
async fn another_sites_scripts_see_what_the_host_lists() {
    let origins = vec!["https://app.example".to_owned()];
    let shop = Shop::with(|http| http.cors = Cors { origins, credentials: true }).await;
    let preflight = |origin| {
        Ask::new("OPTIONS", "/api/v1/w/acme/items")
            .with("origin", origin)
            .with("access-control-request-method", "POST")
    };
    let listed = shop.send(preflight("https://app.example")).await;
    assert_eq!((listed.status, listed.header("access-control-allow-origin")), (204, "https://app.example"));
    assert_eq!(listed.header("access-control-allow-credentials"), "true");
    assert!(listed.header("access-control-allow-headers").contains("idempotency-key"));
    let stranger = shop.send(preflight("https://evil.example")).await;
    assert_eq!(stranger.header("access-control-allow-origin"), "");
    let write = Ask::item("a").without("origin").with("origin", "https://app.example");
    let answer = shop.send(write).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (201, "https://app.example"));
    assert!(answer.header("vary").contains("origin"));
}

#[tokio::test]
async fn a_plain_page_does_not_write_over_an_encrypted_connection() {
    let shop = Shop::with(|http| http.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    let write = |name, origin, scheme| {
        Ask::item(name)
            .without("origin")
            .with("origin", origin)
            .with("x-forwarded-proto", scheme)
            .from("10.0.0.1")
    };
    assert_eq!(shop.send(write("a", "http://shop.example", "https")).await.code(), "cross_site");
    assert_eq!(shop.send(write("b", "https://shop.example", "https")).await.status, 201);
    assert_eq!(shop.send(write("c", "http://shop.example", "http")).await.status, 201);
}

#[tokio::test]
async fn a_listed_site_without_credentials_does_not_write_with_them() {
    let origins = vec!["https://app.example".to_owned()];
    let shop = Shop::with(|http| http.cors = Cors { origins, credentials: false }).await;
    let from_there = |ask: Ask| ask.without("origin").with("origin", "https://app.example");
    assert_eq!(shop.send(from_there(Ask::item("a"))).await.code(), "cross_site");
    let scripted = Ask::new("POST", "/api/v1/register").json(r#"{"name": "tea"}"#);
    assert_eq!(shop.send(from_there(scripted)).await.status, 200);
    assert_eq!(
        shop.send(from_there(form("name=tea")).with("accept", "application/json")).await.code(),
        "cross_site"
    );
}

#[tokio::test]
async fn transport_security_is_for_production_over_https() {
    let shop = Shop::with(|http| {
        http.environment = Environment::Production;
        http.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    })
    .await;
    let strict = async |peer, scheme| {
        let answer = shop.send(Ask::get("/").from(peer).with("x-forwarded-proto", scheme)).await;
        answer.header("strict-transport-security").to_owned()
    };
    assert_eq!(strict("10.0.0.1", "https").await, "max-age=31536000");
    assert_eq!(strict("10.0.0.1", "http").await, "");
    assert_eq!(strict("203.0.113.1", "https").await, "");
}
