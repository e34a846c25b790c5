//! What is checked before what, and what every response carries.

use super::ask::{Ask, CLIENT};
use super::shop::Shop;

#[tokio::test]
async fn each_check_comes_before_the_next() {
    let shop = Shop::open().await;
    let create = || Ask::new("POST", "/api/v1/w/acme/items");
    let refused = async |ask: Ask| {
        let answer = shop.send(ask).await;
        (answer.status, answer.code())
    };
    // Each request breaks everything from its check on.
    assert_eq!(
        refused(create().with("origin", "https://evil.example")).await,
        (401, "unauthenticated".to_owned())
    );
    let outsider = create().with("cookie", "__Host-shop=bob").with("origin", "https://evil.example");
    assert_eq!(refused(outsider).await, (404, "not_found".to_owned()));
    let viewer = create().with("cookie", "__Host-shop=vera");
    assert_eq!(
        refused(viewer.clone().with("origin", "https://evil.example")).await,
        (403, "cross_site".to_owned())
    );
    assert_eq!(refused(viewer.with("origin", "https://shop.example")).await, (403, "csrf".to_owned()));
    assert_eq!(refused(create().by("vera")).await, (403, "forbidden".to_owned()));
    assert_eq!(
        refused(create().by("alice").key("bad key")).await,
        (400, "malformed_idempotency_key".to_owned())
    );
    assert_eq!(refused(create().by("alice")).await, (415, "unsupported_media_type".to_owned()));
    assert_eq!(refused(create().by("alice").json("{")).await, (400, "malformed".to_owned()));
    assert_eq!(refused(create().by("alice").json("{}")).await, (422, "invalid".to_owned()));
    assert_eq!(shop.send(Ask::item("bread")).await.status, 201);
    assert_eq!(shop.items().await, ["bread"]);
}

#[tokio::test]
async fn a_refusal_that_a_handler_makes_itself_undoes_the_transaction_too() {
    let shop = Shop::open().await;
    for _ in 0..2 {
        let refuse =
            Ask::new("POST", "/api/v1/w/acme/refuse").by("alice").key("again").json(r#"{"name": "a"}"#);
        let answer = shop.send(refuse).await;
        assert_eq!((answer.status, answer.text.as_str()), (409, "not today"));
        assert_eq!(answer.header("idempotent-replayed"), "", "nothing was stored");
    }
    assert!(shop.items().await.is_empty());
}

#[tokio::test]
async fn every_response_carries_id_limits_and_protection() {
    let shop = Shop::open().await;
    for ask in [
        Ask::get("/"),
        Ask::get("/nowhere"),
        Ask::get("/api/v1/nowhere"),
        Ask::new("DELETE", "/api/v1/whoami"),
        Ask::new("OPTIONS", "/api/v1/whoami"),
        Ask::item("panic"),
        Ask::item("bread"),
        Ask::item("bread").with("authorization", "Bearer nobody"),
    ] {
        let answer = shop.send(ask).await;
        let id = answer.header("x-request-id");
        assert!(id.starts_with("req_") && id.len() == 36, "{answer:?}");
        if answer.status >= 400 {
            assert!(answer.text.contains(id), "the body names the request too: {answer:?}");
        }
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.header("content-security-policy").contains("default-src 'self'"));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(!answer.header("ratelimit").is_empty() && !answer.header("x-ratelimit-remaining").is_empty());
        assert_eq!(answer.header("strict-transport-security"), "", "not over plain http");
    }
}

#[tokio::test]
async fn a_panic_is_a_clean_error_and_undoes_the_transaction() {
    let shop = Shop::open().await;
    let answer = shop.send(Ask::item("panic")).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
    assert!(!answer.text.contains("shelf"), "what went wrong is for the log: {}", answer.text);
    assert_eq!(shop.send(Ask::item("bread")).await.status, 201);
    assert_eq!(shop.items().await, ["bread"]);
}

#[tokio::test]
async fn an_error_undoes_the_transaction_and_a_success_is_committed() {
    let shop = Shop::open().await;
    assert_eq!(shop.send(Ask::item("bad")).await.status, 409);
    assert_eq!(shop.items().await, Vec::<String>::new());
    let answer = shop.send(Ask::item("bread")).await;
    assert_eq!(answer.json()["workspace_id"], shop.acme.id().to_string());
    assert_eq!(shop.items().await, ["bread"]);
}

#[tokio::test]
async fn a_transaction_that_lost_is_run_again() {
    let shop = Shop::open().await;
    assert_eq!(shop.send(Ask::item("contended").key("k")).await.status, 201);
    assert_eq!(shop.runs(), 3);
    assert_eq!(shop.items().await, ["contended"]);
}

#[tokio::test]
async fn a_get_cannot_write() {
    let shop = Shop::open().await;
    let answer = shop.send(Ask::get("/api/v1/w/acme/sneak").by("alice")).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "read_only"));
    assert_eq!(shop.items().await, Vec::<String>::new());
}

#[tokio::test]
async fn paths_and_methods_are_told_apart() {
    let shop = Shop::open().await;
    let answer = async |method, path| shop.send(Ask::new(method, path).by("alice")).await;
    let wrong = answer("DELETE", "/api/v1/w/acme/items").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (405, "method_not_allowed"));
    assert_eq!(wrong.header("allow"), "GET, HEAD, OPTIONS, POST");
    let options = answer("OPTIONS", "/api/v1/w/acme/items").await;
    assert_eq!((options.status, options.header("allow")), (204, "GET, HEAD, OPTIONS, POST"));
    for path in
        ["/api/v1/w/acme/items/", "/api/v1//whoami", "/api/v1/w/acme%2Fitems", "/api/v1/w/acme/items/%FF"]
    {
        assert_eq!(answer("GET", path).await.status, 404, "{path}");
    }
    let (get, head) = (answer("GET", "/api/v1/whoami").await, answer("HEAD", "/api/v1/whoami").await);
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), get.text.len().to_string());
    assert_eq!(head.header("content-type"), get.header("content-type"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whoever_read_it() {
    let shop = Shop::open().await;
    let small = Ask::new("POST", "/api/v1/w/acme/small").by("alice");
    let answer = shop.send(small.clone().json(r#"{"name": "much too long"}"#)).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
    assert_eq!(shop.send(small.json(r#"{"name": "ok"}"#)).await.status, 201);
}

#[tokio::test]
async fn unknown_parameters_are_refused_everywhere() {
    let shop = Shop::open().await;
    for ask in [Ask::get("/api/v1/whoami?x=1"), Ask::get("/?x=1").with("accept", "application/json")] {
        let answer = shop.send(ask).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "unknown_parameter"));
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains('x'));
    }
    assert_eq!(shop.send(Ask::get("/api/v1/search?q=a+b")).await.json(), "a b");
    assert_eq!(shop.send(Ask::get("/api/v1/search?q=a&q=b")).await.code(), "duplicate_parameter");
}

#[tokio::test]
async fn a_proxy_is_believed_and_a_stranger_is_not() {
    let shop = Shop::with(|http| http.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    let id = "req_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f";
    let whoami = |peer| {
        Ask::get("/api/v1/whoami").from(peer).with("x-forwarded-for", "198.51.100.1").with("x-request-id", id)
    };
    let proxied = shop.send(whoami("10.1.2.3")).await;
    assert!(proxied.text.contains("198.51.100.1") && proxied.text.contains(id), "{}", proxied.text);
    assert_eq!(proxied.header("x-request-id"), id);
    let stranger = shop.send(whoami(CLIENT)).await;
    assert!(stranger.text.contains(CLIENT) && !stranger.text.contains(id), "{}", stranger.text);
}
