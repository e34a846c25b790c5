//! Who may ask how often.

use chrono::TimeDelta;
use kernel_core::http::{HttpConfig, Quota};

use super::ask::Ask;
use super::shop::Shop;

fn few(http: &mut HttpConfig) {
    let quotas = &mut http.quotas;
    (quotas.anonymous, quotas.auth) = (Quota::per_minute(3), Quota::per_minute(2));
    (quotas.actor, quotas.workspace, quotas.heavy) =
        (Quota::per_minute(5), Quota::per_minute(8), Quota::per_minute(1));
}

async fn until_refused(shop: &Shop, ask: Ask) -> u32 {
    for count in 0..50 {
        if shop.send(ask.clone()).await.status == 429 {
            return count;
        }
    }
    panic!("never refused");
}

#[tokio::test]
async fn strangers_are_counted_by_address() {
    let shop = Shop::with(few).await;
    assert_eq!(until_refused(&shop, Ask::get("/api/v1/nowhere")).await, 3);
    let refused = shop.send(Ask::get("/api/v1/whoami")).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert_eq!((refused.header("retry-after"), refused.header("x-ratelimit-remaining")), ("20", "0"));
    assert_eq!(refused.header("ratelimit-policy"), "\"anonymous\";q=3;w=60");
    assert_eq!(shop.send(Ask::get("/api/v1/whoami").from("203.0.113.8")).await.status, 200);
    assert_eq!(
        shop.send(Ask::get("/api/v1/whoami").by("alice")).await.status,
        200,
        "neighbours behind one address"
    );
    shop.kernel.clock.advance(TimeDelta::seconds(20));
    assert_eq!(shop.send(Ask::get("/api/v1/whoami")).await.status, 200);
}

#[tokio::test]
async fn guessing_credentials_is_counted_like_showing_none() {
    let shop = Shop::with(few).await;
    let guess = |n: u32| Ask::get("/api/v1/whoami").with("authorization", &format!("Bearer guess-{n}"));
    for n in 0..3 {
        assert_eq!(shop.send(guess(n)).await.status, 401);
    }
    assert_eq!(shop.send(guess(4)).await.status, 429);
    assert_eq!(shop.send(Ask::get("/api/v1/whoami").by("alice")).await.status, 200);
}

#[tokio::test]
async fn actors_and_workspaces_have_quotas_of_their_own() {
    let shop = Shop::with(few).await;
    let items = |who| Ask::get("/api/v1/w/acme/items").by(who);
    assert_eq!(shop.send(items("alice")).await.header("x-ratelimit-remaining"), "4");
    assert_eq!(until_refused(&shop, items("alice")).await, 4);
    // Five of the workspace's eight are spent, whoever spent them, and from whatever address.
    assert_eq!(until_refused(&shop, items("vera").from("198.51.100.9")).await, 3);
    let refused = shop.send(Ask::get("/api/v1/w/acme/items").with("authorization", "Bearer acme-key")).await;
    assert_eq!(refused.header("ratelimit-policy"), "\"workspace\";q=8;w=60");
    assert_eq!(shop.send(Ask::get("/api/v1/w/rival/items").by("bob")).await.status, 200);
}

#[tokio::test]
async fn dear_routes_have_small_quotas() {
    let shop = Shop::with(few).await;
    let register =
        |name: &str| Ask::new("POST", "/api/v1/register").json(&format!(r#"{{"name": "{name}"}}"#));
    assert_eq!(until_refused(&shop, register("eve")).await, 2);
    let heavy = Ask::get("/api/v1/w/acme/heavy").by("alice");
    assert_eq!(until_refused(&shop, heavy).await, 1);
    assert_eq!(shop.send(Ask::get("/api/v1/w/acme/heavy").by("vera")).await.status, 429, "one per workspace");
}
