//! Who may ask how often, wherever it is counted.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use kernel_core::App;
use kernel_core::http::{Counting, HttpConfig, Quota, Visit};
use sqlx::{AssertSqlSafe, Executor};

use super::ask::{Answer, Ask};
use super::shop::Shop;

fn few(http: &mut HttpConfig) {
    let quotas = &mut http.quotas;
    (quotas.anonymous, quotas.auth) = (Quota::per_minute(3), Quota::per_minute(2));
    (quotas.actor, quotas.workspace, quotas.heavy) =
        (Quota::per_minute(5), Quota::per_minute(8), Quota::per_minute(1));
}

fn plenty(http: &mut HttpConfig) {
    http.quotas.anonymous = Quota::per_minute(1000);
}

async fn open(counting: Counting, configure: fn(&mut HttpConfig)) -> Shop {
    Shop::with(|http| {
        configure(http);
        http.quotas.counting = counting;
    })
    .await
}

fn whoami() -> Ask {
    Ask::get("/api/v1/whoami")
}

async fn until_refused(shop: &Shop, ask: Ask) -> u32 {
    for count in 0..50 {
        if shop.send(ask.clone()).await.status == 429 {
            return count;
        }
    }
    panic!("never refused");
}

/// What every way of counting promises to one node.
macro_rules! contract {
    ($($way:ident: $counting:expr),*) => {
        $(mod $way {
            use super::*;

            #[tokio::test]
            async fn strangers_are_counted_by_address() {
                super::strangers_are_counted_by_address($counting).await;
            }

            #[tokio::test]
            async fn guessing_credentials_is_counted_like_showing_none() {
                super::guessing_credentials_is_counted_like_showing_none($counting).await;
            }

            #[tokio::test]
            async fn actors_and_workspaces_have_quotas_of_their_own() {
                super::actors_and_workspaces_have_quotas_of_their_own($counting).await;
            }

            #[tokio::test]
            async fn dear_routes_have_small_quotas() {
                super::dear_routes_have_small_quotas($counting).await;
            }

            #[tokio::test]
            async fn what_remains_counts_down_one_by_one() {
                super::what_remains_counts_down_one_by_one($counting).await;
            }

            #[tokio::test]
            async fn many_at_once_are_counted_one_by_one() {
                super::many_at_once_are_counted_one_by_one($counting).await;
            }

            #[tokio::test]
            async fn without_the_database_the_quota_is_that_of_the_process() {
                super::without_the_database_the_quota_is_that_of_the_process($counting).await;
            }

            #[tokio::test]
            async fn handlers_of_the_host_tell_of_the_quota_too() {
                super::handlers_of_the_host_tell_of_the_quota_too($counting).await;
            }

            #[tokio::test]
            async fn a_handler_of_the_host_that_asks_again_is_not_counted_again() {
                super::a_handler_of_the_host_that_asks_again_is_not_counted_again($counting).await;
            }
        })*
    };
}

contract!(leased: Counting::Leased, database: Counting::Database, process: Counting::Process);

async fn strangers_are_counted_by_address(counting: Counting) {
    let shop = open(counting, few).await;
    assert_eq!(until_refused(&shop, Ask::get("/api/v1/nowhere")).await, 3);
    let refused = shop.send(whoami()).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert_eq!((refused.header("retry-after"), refused.header("x-ratelimit-remaining")), ("20", "0"));
    assert_eq!(refused.header("ratelimit-policy"), "\"anonymous\";q=3;w=60");
    assert_eq!(refused.header("ratelimit"), "\"anonymous\";r=0;t=60");
    assert_eq!(shop.send(whoami().from("203.0.113.8")).await.status, 200);
    assert_eq!(shop.send(whoami().by("alice")).await.status, 200, "neighbours behind one address");
    shop.kernel.clock.advance(TimeDelta::seconds(19));
    assert_eq!(shop.send(whoami()).await.header("retry-after"), "1");
    shop.kernel.clock.advance(TimeDelta::seconds(1));
    assert_eq!(shop.send(whoami()).await.status, 200);
    assert_eq!(shop.send(whoami()).await.status, 429);
}

async fn guessing_credentials_is_counted_like_showing_none(counting: Counting) {
    let shop = open(counting, few).await;
    let guess = |n: u32| whoami().with("authorization", &format!("Bearer guess-{n}"));
    for n in 0..3 {
        assert_eq!(shop.send(guess(n)).await.status, 401);
    }
    assert_eq!(shop.send(guess(4)).await.status, 429);
    assert_eq!(shop.send(whoami().by("alice")).await.status, 200);
}

async fn actors_and_workspaces_have_quotas_of_their_own(counting: Counting) {
    let shop = open(counting, few).await;
    let items = |who| Ask::get("/api/v1/w/acme/items").by(who);
    assert_eq!(shop.send(items("alice")).await.header("x-ratelimit-remaining"), "4");
    assert_eq!(until_refused(&shop, items("alice")).await, 4);
    // Five of the workspace's eight are spent, whoever spent them, and from whatever address.
    assert_eq!(until_refused(&shop, items("vera").from("198.51.100.9")).await, 3);
    let refused = shop.send(Ask::get("/api/v1/w/acme/items").with("authorization", "Bearer acme-key")).await;
    assert_eq!(refused.header("ratelimit-policy"), "\"workspace\";q=8;w=60");
    assert_eq!(shop.send(Ask::get("/api/v1/w/rival/items").by("bob")).await.status, 200);
}

async fn dear_routes_have_small_quotas(counting: Counting) {
    let shop = open(counting, few).await;
    let register =
        |name: &str| Ask::new("POST", "/api/v1/register").json(&format!(r#"{{"name": "{name}"}}"#));
    assert_eq!(until_refused(&shop, register("eve")).await, 2);
    let heavy = Ask::get("/api/v1/w/acme/heavy").by("alice");
    assert_eq!(until_refused(&shop, heavy).await, 1);
    assert_eq!(shop.send(Ask::get("/api/v1/w/acme/heavy").by("vera")).await.status, 429, "one per workspace");
}

async fn what_remains_counts_down_one_by_one(counting: Counting) {
    let shop = open(counting, plenty).await;
    for spent in 1..=40 {
        let answer = shop.send(whoami()).await;
        assert_eq!(answer.header("x-ratelimit-remaining"), (1000 - spent).to_string());
        let seconds = (spent * 60_u64).div_ceil(1000);
        assert_eq!(
            answer.header("ratelimit"),
            format!("\"anonymous\";r={};t={seconds}", 1000 - spent),
            "60 ms each"
        );
    }
}

async fn many_at_once_are_counted_one_by_one(counting: Counting) {
    let shop = open(counting, |http| http.quotas.anonymous = Quota::per_minute(60)).await;
    let all = join_all((0..100).map(|_| shop.send(whoami()))).await;
    let admitted: Vec<_> = all.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(admitted.len(), 60);
    let remaining: BTreeSet<_> =
        admitted.iter().map(|answer| answer.header("x-ratelimit-remaining")).collect();
    assert_eq!(remaining.len(), 60, "no two of them were told the same");
}

async fn without_the_database_the_quota_is_that_of_the_process(counting: Counting) {
    let shop = open(counting, few).await;
    shop.kernel.app.db().close().await;
    assert_eq!(until_refused(&shop, whoami()).await, 3);
    assert_eq!(shop.send(whoami()).await.header("retry-after"), "20");
    shop.kernel.clock.advance(TimeDelta::seconds(20));
    assert_eq!(until_refused(&shop, whoami()).await, 1);
}

async fn handlers_of_the_host_tell_of_the_quota_too(counting: Counting) {
    let shop = open(counting, few).await;
    let ask = Ask::get("/of-the-host").by("alice");
    let (head, _) = ask.request.into_parts();
    let visit = Visit::new(&shop.kernel.app);
    visit.admit(head, "/of-the-host", ask.peer).await.unwrap();
    let mut headers = http::HeaderMap::new();
    visit.finish(http::StatusCode::OK, &mut headers);
    assert_eq!(headers["ratelimit-policy"], "\"actor\";q=5;w=60");
    assert_eq!(headers["x-ratelimit-remaining"], "4");
}

async fn a_handler_of_the_host_that_asks_again_is_not_counted_again(counting: Counting) {
    let shop = open(counting, few).await;
    for (path, code) in [("/w/acme/report", None), ("/w/rival/report", Some("not_found"))] {
        let ask = Ask::get(path).by("alice");
        let (head, _) = ask.request.into_parts();
        let visit = Visit::new(&shop.kernel.app);
        for _ in 0..3 {
            let admitted = visit.admit(head.clone(), path, ask.peer).await;
            assert_eq!(admitted.err().as_ref().map(kernel_core::Error::code), code);
        }
    }
    assert_eq!(until_refused(&shop, whoami().by("alice")).await, 3, "two of five were taken");
}

/// Sends to the nodes in turn until all of them refuse; how many were let in.
async fn admitted(nodes: [&App; 2], ask: &Ask) -> u32 {
    let mut admitted = 0;
    for _ in 0..20 {
        for node in nodes {
            admitted += u32::from(sent(node, ask).await.status == 200);
        }
    }
    admitted
}

async fn sent(node: &App, ask: &Ask) -> Answer {
    let (head, body) = ask.request.clone().into_parts();
    let to = node.find(&head);
    Answer::of(node.call(to, http::Request::from_parts(head, body), ask.peer).await)
}

#[tokio::test]
async fn nodes_share_a_quota_that_the_database_counts() {
    for (counting, expected) in [(Counting::Leased, 3), (Counting::Database, 3), (Counting::Process, 6)] {
        let shop = open(counting, few).await;
        let other = shop.node().await;
        assert_eq!(admitted([&shop.kernel.app, &other], &whoami()).await, expected, "{counting:?}");
        shop.kernel.clock.advance(TimeDelta::seconds(20));
        assert_eq!(admitted([&shop.kernel.app, &other], &whoami()).await, expected / 3, "{counting:?}");
    }
}

/// When the quota of the only stranger is whole, as the database has it.
async fn whole_at(shop: &Shop) -> i64 {
    let mut admin = shop.kernel.admin().await;
    sqlx::query_scalar("SELECT whole_at FROM kernel_core.rate_limit").fetch_one(&mut admin).await.unwrap()
}

#[tokio::test]
async fn a_lease_is_spent_without_asking() {
    let shop = open(Counting::Leased, plenty).await;
    let mut asked = BTreeSet::new();
    for _ in 0..31 {
        assert_eq!(shop.send(whoami()).await.status, 200);
        asked.insert(whole_at(&shop).await);
    }
    assert_eq!(asked.len(), 5, "1 + 2 + 4 + 8 + 16");
    // What is left of a lease when it ends is not spent, and its subject has to ask again.
    shop.send(whoami()).await;
    let last = whole_at(&shop).await;
    shop.send(whoami()).await;
    assert_eq!(whole_at(&shop).await, last);
    shop.kernel.clock.advance(TimeDelta::seconds(6));
    shop.send(whoami()).await;
    assert_ne!(whole_at(&shop).await, last);
}

#[tokio::test]
async fn requests_that_come_together_ask_once() {
    let shop = open(Counting::Leased, plenty).await;
    let all = join_all((0..30).map(|_| shop.send(whoami()))).await;
    assert!(all.iter().all(|answer| answer.status == 200));
    let mut admin = shop.kernel.admin().await;
    let taken: i32 =
        sqlx::query_scalar("SELECT taken FROM kernel_core.rate_limit").fetch_one(&mut admin).await.unwrap();
    // One that the runtime puts off may come too late for the second asking.
    assert!(taken > 20, "the first one asked for itself, the second for all others: {taken}");
}

#[tokio::test]
async fn a_refused_subject_is_not_asked_for_again() {
    let shop = open(Counting::Leased, few).await;
    assert_eq!(until_refused(&shop, whoami()).await, 3);
    // The database would let it in by now; it is not asked.
    shop.kernel.admin().await.execute("DELETE FROM kernel_core.rate_limit").await.unwrap();
    assert_eq!(shop.send(whoami()).await.status, 429);
    shop.kernel.clock.advance(TimeDelta::seconds(20));
    assert_eq!(until_refused(&shop, whoami()).await, 3);
}

#[tokio::test]
async fn a_node_asks_again_when_the_database_is_back() {
    let shop = open(Counting::Leased, few).await;
    let rename = async |from: &str, to: &str| {
        let statement = format!("ALTER TABLE kernel_core.{from} RENAME TO {to}");
        shop.kernel.admin().await.execute(AssertSqlSafe(statement)).await.unwrap();
    };
    rename("rate_limit", "hidden").await;
    assert_eq!(until_refused(&shop, whoami()).await, 3, "counted in the process");
    rename("hidden", "rate_limit").await;
    assert_eq!(shop.send(whoami()).await.status, 429, "for a second nobody asks");
    shop.kernel.clock.advance(TimeDelta::seconds(1));
    assert_eq!(until_refused(&shop, whoami()).await, 3, "the database knew of none of it");
}

#[tokio::test]
async fn a_database_that_keeps_a_node_waiting_is_not_waited_for() {
    let shop = open(Counting::Leased, few).await;
    assert_eq!(shop.send(whoami()).await.status, 200);
    let mut admin = shop.kernel.admin().await;
    admin.execute("BEGIN; SELECT FROM kernel_core.rate_limit FOR UPDATE").await.unwrap();
    let left = tokio::time::timeout(Duration::from_millis(100), shop.send(whoami())).await;
    assert!(left.is_err(), "a caller leaves while it waits");
    assert_eq!(until_refused(&shop, whoami()).await, 2, "nobody waits for it, and the node counts on");
    admin.execute("ROLLBACK").await.unwrap();
}
