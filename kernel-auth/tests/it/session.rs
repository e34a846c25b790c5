use chrono::TimeDelta;
use kernel_core::testkit::Client;
use serde_json::json;

use crate::account::{kernel, log_in, sign_up};

const ME: &str = "/api/v1/me";

#[tokio::test]
async fn logging_out_ends_the_session_on_the_server() {
    let kernel = kernel().await;
    let mut client = Client::new(&kernel.app);
    sign_up(&mut client, "ada@example.com").await;
    let mut thief = client.clone();
    assert_eq!(thief.get(ME).await.status, 200);
    let out = client.post("/api/v1/auth/log-out", &json!({})).await;
    assert_eq!(out.status, 204, "{}", out.text());
    assert_eq!(thief.get(ME).await.status, 401);
}

#[tokio::test]
async fn each_log_in_has_a_token_of_its_own() {
    let kernel = kernel().await;
    let mut client = Client::new(&kernel.app);
    sign_up(&mut client, "ada@example.com").await;
    let first = client.cookie().unwrap().to_owned();
    log_in(&mut client, "ada@example.com", "correct horse battery").await;
    assert_ne!(client.cookie().unwrap(), first);
}

#[tokio::test]
async fn a_log_in_ends_the_session_that_the_browser_came_with() {
    let kernel = kernel().await;
    let mut client = Client::new(&kernel.app);
    sign_up(&mut client, "ada@example.com").await;
    let mut stolen = client.clone();
    assert_eq!(stolen.get(ME).await.status, 200);
    log_in(&mut client, "ada@example.com", "correct horse battery").await;
    assert_eq!(client.get(ME).await.status, 200);
    assert_eq!(stolen.get(ME).await.status, 401);
}

#[tokio::test]
async fn a_session_slides_with_use_and_ends_all_the_same() {
    let kernel = kernel().await;
    let mut client = Client::new(&kernel.app);
    sign_up(&mut client, "ada@example.com").await;
    for _ in 0..6 {
        kernel.clock.advance(TimeDelta::days(13));
        assert_eq!(client.get(ME).await.status, 200);
    }
    kernel.clock.advance(TimeDelta::days(13));
    assert_eq!(client.get(ME).await.status, 401, "ninety days are the end");

    log_in(&mut client, "ada@example.com", "correct horse battery").await;
    kernel.clock.advance(TimeDelta::days(15));
    assert_eq!(client.get(ME).await.status, 401, "fifteen days unused");
}

#[tokio::test]
async fn a_session_is_no_bearer_token_and_a_write_needs_its_csrf_token() {
    let kernel = kernel().await;
    let mut client = Client::new(&kernel.app);
    sign_up(&mut client, "ada@example.com").await;
    let value = client.cookie().unwrap().split_once('=').unwrap().1.to_owned();
    let mut other = Client::new(&kernel.app);
    let bearer = http::Request::builder().uri(ME).header("authorization", format!("Bearer {value}"));
    assert_eq!(other.send(bearer, bytes::Bytes::new()).await.status, 401);

    let without = http::Request::builder()
        .method("POST")
        .uri("/api/v1/auth/log-out")
        .header("cookie", client.cookie().unwrap());
    let refused = other.send(without, bytes::Bytes::new()).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "csrf"));
    assert_eq!(client.get(ME).await.status, 200);
}

#[tokio::test]
async fn what_is_no_session_is_nobody() {
    let kernel = kernel().await;
    for value in ["", "x", "AAAA", &"A".repeat(43), &"A".repeat(5000), "%00"] {
        let request = http::Request::builder().uri(ME).header("cookie", format!("__Host-session={value}"));
        let answer = Client::new(&kernel.app).send(request, bytes::Bytes::new()).await;
        assert_eq!(answer.status, 401, "{value}");
    }
}
