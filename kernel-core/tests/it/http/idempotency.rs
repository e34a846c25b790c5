//! A request that is repeated has its effect once.

use chrono::TimeDelta;
use kernel_core::{Role, WorkspaceStatus};

use super::ask::Ask;
use super::shop::Shop;

#[tokio::test]
async fn a_repeated_request_gets_the_stored_answer() {
    let shop = Shop::open().await;
    let first = shop.send(Ask::item("bread").key("k1")).await;
    let again = shop.send(Ask::item("bread").key("k1")).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""));
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"));
    assert_eq!(
        (first.text, first.headers["content-type"].clone()),
        (again.text, again.headers["content-type"].clone())
    );
    assert_eq!((shop.runs(), shop.items().await), (1, vec!["bread".to_owned()]));
    assert_eq!(shop.send(Ask::item("butter").key("k2")).await.status, 201, "another key, another effect");
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_actor() {
    let shop = Shop::open().await;
    assert_eq!(shop.send(Ask::item("bread").key("k")).await.status, 201);
    let other = shop.send(Ask::item("butter").key("k")).await;
    assert_eq!((other.status, other.code().as_str()), (422, "idempotency_mismatch"));
    let bob = Ask::new("POST", "/api/v1/w/rival/items").json(r#"{"name": "bread"}"#).by("bob").key("k");
    let bobs = shop.send(bob).await;
    assert_eq!((bobs.status, bobs.header("idempotent-replayed")), (201, ""));
    assert_eq!(bobs.json()["workspace_id"], shop.rival.id().to_string());
    let once = Ask::new("POST", "/api/v1/w/acme/once").json(r#"{"name": "cake"}"#).by("alice");
    assert_eq!(shop.send(once.clone().key("k")).await.header("idempotent-replayed"), "", "another operation");
    assert_eq!(shop.send(once).await.code(), "idempotency_key_required");
    assert_eq!(shop.items().await, ["bread", "bread", "cake"]);
}

#[tokio::test]
async fn a_key_of_one_actor_says_nothing_to_another() {
    let shop = Shop::open().await;
    let carl = shop.sign_in("carl", true);
    shop.join(carl, shop.acme.id(), "acme", Role::Member, WorkspaceStatus::Active);
    let item =
        |name| Ask::new("POST", "/api/v1/w/acme/items").json(&format!(r#"{{"name": "{name}"}}"#)).key("k");
    for ask in [
        item("bread").by("alice"),
        item("butter").by("carl"),
        item("cake").with("authorization", "Bearer acme-key"),
    ] {
        let answer = shop.send(ask).await;
        assert_eq!((answer.status, answer.header("idempotent-replayed")), (201, ""));
    }
    assert_eq!(shop.runs(), 3);
}

#[tokio::test]
async fn everything_that_a_request_says_must_be_repeated() {
    let shop = Shop::open().await;
    let item = || Ask::item("bread").key("k");
    assert_eq!(shop.send(item()).await.status, 201);
    let of_another_type =
        item().without("content-type").with("content-type", "application/json; charset=utf-8");
    let spelt_otherwise = item().body(r#"{"name":"bread"}"#);
    for other in [of_another_type, spelt_otherwise] {
        assert_eq!(shop.send(other).await.code(), "idempotency_mismatch");
    }
    assert_eq!(shop.runs(), 1);
}

#[tokio::test]
async fn an_expired_answer_binds_nobody_though_it_is_still_there() {
    let shop = Shop::open().await;
    assert_eq!(shop.send(Ask::item("bread").key("k")).await.status, 201);
    shop.kernel.clock.advance(TimeDelta::hours(24));
    let other = shop.send(Ask::item("butter").key("k")).await;
    assert_eq!((other.status, other.header("idempotent-replayed")), (201, ""), "{}", other.text);
    assert_eq!(shop.send(Ask::item("butter").key("k")).await.header("idempotent-replayed"), "true");
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM kernel_core.idempotency_key")
        .fetch_one(&mut shop.kernel.admin().await)
        .await
        .unwrap();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn unusable_keys_are_refused() {
    let shop = Shop::open().await;
    for bad in ["", "with space", &"k".repeat(256)] {
        assert_eq!(
            shop.send(Ask::item("bread").key(bad)).await.code(),
            "malformed_idempotency_key",
            "{bad:?}"
        );
    }
    assert_eq!(shop.send(Ask::item("bread").key("a").key("b")).await.code(), "malformed_idempotency_key");
    assert_eq!(shop.send(Ask::item("bread").key(&"k".repeat(255))).await.status, 201);
}

#[tokio::test]
async fn a_failure_is_not_stored() {
    let shop = Shop::open().await;
    assert_eq!(shop.send(Ask::item("bad").key("k")).await.status, 409);
    assert_eq!(shop.send(Ask::item("").key("k")).await.status, 422);
    assert_eq!(shop.send(Ask::item("bread").key("k")).await.status, 201);
    assert_eq!(shop.items().await, ["bread"]);
}

#[tokio::test]
async fn a_panic_has_let_go_of_the_key_when_the_caller_hears_of_it() {
    let shop = Shop::open().await;
    // Connections at hand, so that the next request overtakes whatever the one before left to do.
    futures_util::future::join_all((0..4).map(|_| shop.send(Ask::get("/api/v1/w/acme/items").by("alice"))))
        .await;
    for n in 0..8 {
        let key = format!("k{n}");
        assert_eq!(shop.send(Ask::item("panic").key(&key)).await.status, 500);
        assert_eq!(shop.send(Ask::item(&format!("bread {n}")).key(&key)).await.status, 201, "{n}");
    }
}

#[tokio::test]
async fn the_same_request_at_the_same_time_is_told_to_wait() {
    let shop = Shop::open().await;
    let (first, second) = tokio::join!(shop.send(Ask::item("slow").key("k")), async {
        shop.town.entered.notified().await;
        let second = shop.send(Ask::item("slow").key("k")).await;
        shop.town.gate.notify_one();
        second
    });
    assert_eq!(first.status, 201);
    assert_eq!((second.status, second.code().as_str()), (409, "idempotency_in_flight"));
    assert_eq!(second.header("retry-after"), "1");
    assert_eq!(shop.send(Ask::item("slow").key("k")).await.header("idempotent-replayed"), "true");
    assert_eq!(shop.items().await, ["slow"]);
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let shop = Shop::open().await;
    let register = || Ask::new("POST", "/api/v1/register").json(r#"{"name": "eve"}"#).key("k");
    assert_eq!(shop.send(register()).await.text, "0");
    shop.kernel.clock.advance(TimeDelta::hours(23));
    assert_eq!(shop.send(register()).await.text, "0");
    shop.kernel.clock.advance(TimeDelta::hours(2));
    assert_eq!(shop.send(register()).await.text, "1", "run again, and stored in the old one's place");
    assert_eq!(shop.send(register()).await.text, "1");
}

#[tokio::test]
async fn what_is_shown_once_is_not_in_the_table() {
    let shop = Shop::open().await;
    let register =
        |name: &str| Ask::new("POST", "/api/v1/register").json(&format!(r#"{{"name": "{name}"}}"#)).key("k");
    let first = shop.send(register("eve")).await;
    let again = shop.send(register("eve")).await;
    assert!(first.header("set-cookie").contains("secret-eve-0"));
    assert_eq!(first.header("set-cookie"), again.header("set-cookie"));
    assert_eq!(again.headers.get_all("set-cookie").iter().count(), 1);
    // Nobody in particular: another body under the same key is another person, not a repetition.
    assert!(shop.send(register("mallory")).await.header("set-cookie").contains("secret-mallory-1"));

    let mut admin = shop.kernel.admin().await;
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT k::text || encode(answer, 'escape') FROM kernel_core.idempotency_key AS k",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(rows.len(), 2);
    // Neither what it says nor in which header it does.
    let open = ["secret", "set-cookie", "application/json", "c2VjcmV0"];
    assert!(rows.iter().all(|row| open.iter().all(|word| !row.contains(word))), "{rows:?}");
}
