//! What reaches the app, and what is refused before.

use std::sync::atomic::Ordering;
use std::time::Instant;

use kernel_core::testkit::Answer;

use crate::demo::Seen;
use crate::server::{Server, TIMEOUTS, within};

fn is_envelope(answer: &Answer, code: &str) -> bool {
    answer.code() == code && answer.headers.contains_key("x-request-id")
}

#[tokio::test]
async fn the_hosts_own_routes_stay_beside_the_app() {
    let server = Server::start().await;
    let own = server.get("/own").await;
    assert_eq!((own.status, own.text().as_str()), (200, "own"));
    assert!(!own.headers.contains_key("x-request-id"));
    let hello = server.get("/api/v1/hello").await;
    assert_eq!((hello.status, hello.text().as_str()), (200, "\"hello\""));
    let nowhere = server.get("/api/v1/nowhere").await;
    assert!(nowhere.status == 404 && is_envelope(&nowhere, "not_found"));
    let method = server.ask("DELETE", "/api/v1/hello", "", "").await;
    assert!(method.status == 405 && is_envelope(&method, "method_not_allowed"));
}

#[tokio::test]
async fn all_of_it_can_live_under_a_prefix() {
    let server = Server::under("/app").await;
    assert_eq!(server.get("/app/own").await.text(), "own");
    assert_eq!(server.get("/app/own/caller").await.text(), "anonymous");
    let seen: Seen = serde_json::from_slice(&server.get("/app/api/v1/seen?a=%2F").await.body).unwrap();
    assert_eq!(seen.uri, "/api/v1/seen?a=%2F");
    assert!(is_envelope(&server.get("/app/api/v1/nowhere").await, "not_found"));
    for outside in ["/api/v1/hello", "/", "/appendix"] {
        let answer = server.get(outside).await;
        assert!(answer.status == 404 && !answer.headers.contains_key("x-request-id"), "{outside}");
    }
}

#[tokio::test]
async fn headers_come_and_go_byte_for_byte() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let head = b"GET /api/v1/seen?a=%zz HTTP/1.1\r\nHost: localhost\r\nCookie: a=1\r\nCookie: a=2\r\nX-Bytes: \xff\xfe\r\n\r\n";
    client.send(head).await.unwrap();
    let answer = within(client.answer(false)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen: Seen = serde_json::from_slice(&answer.body).unwrap();
    let values = |name: &str| -> Vec<Vec<u8>> {
        seen.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
    };
    assert_eq!(values("cookie"), [b"a=1", b"a=2"]);
    assert_eq!(values("x-bytes"), [b"\xff\xfe"]);
    assert_eq!(seen.uri, "/api/v1/seen?a=%zz");
    assert_eq!(seen.ip.as_deref(), Some("127.0.0.1"));
    let cookies = server.get("/api/v1/cookies").await;
    assert_eq!((cookies.status, cookies.headers.get_all("set-cookie").iter().count()), (204, 2));
    assert!(!cookies.headers.contains_key("content-length"));
}

#[tokio::test]
async fn the_path_is_matched_as_it_was_sent() {
    let server = Server::start().await;
    assert_eq!(server.get("/api/v1/things/a%2Fb").await.text(), "\"a/b\"");
    assert_eq!(server.get("/api/v1/things/a%252Fb").await.text(), "\"a%2Fb\"");
    for path in
        ["/api/v1/things/a/b", "/api//v1/hello", "/api/v1/hello/", "/api/v1/x/../hello", "/API/v1/hello"]
    {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_head_request_names_the_length_of_what_it_does_not_send() {
    let server = Server::start().await;
    for path in ["/api/v1/hello", "/api/v1/nowhere"] {
        let (get, head) = (server.get(path).await, server.ask("HEAD", path, "", "").await);
        assert_eq!(head.status, get.status);
        assert_eq!(head.headers["content-length"], get.headers["content-length"], "{path}");
        assert_eq!(head.body, "");
    }
}

#[tokio::test]
async fn too_large_a_body_is_refused_unread() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send("POST /api/v1/take HTTP/1.1\r\nhost: localhost\r\ncontent-length: 65\r\n\r\n").await.unwrap();
    let unread = within(client.answer(false)).await.unwrap();
    assert!(unread.status == 413 && is_envelope(&unread, "too_large"));

    let mut client = server.connect().await;
    let head = "POST /api/v1/take HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(format!("{head}40\r\n{0}\r\n1\r\nx\r\n", "x".repeat(64))).await.unwrap();
    let cut = within(client.answer(false)).await.unwrap();
    assert!(cut.status == 413 && is_envelope(&cut, "too_large"));
    assert_eq!(server.demo.taken.load(Ordering::SeqCst), 0);
}

/// A client in the middle of a long upload still learns why it is refused.
#[tokio::test]
async fn the_refusal_reaches_a_client_that_goes_on_sending() {
    let server = Server::start().await;
    for _ in 0..5 {
        let mut client = server.connect().await;
        let body = "x".repeat(3_000_000);
        let head = format!(
            "POST /api/v1/take HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        client.send(head).await.unwrap();
        // The server may stop listening in between; what it said must be there all the same.
        let _ = client.send(&body).await;
        assert_eq!(within(client.answer(false)).await.unwrap().status, 413);
    }
}

#[tokio::test]
async fn a_slow_body_ends_in_an_answer_and_a_slow_head_in_none_that_is_long_in_coming() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send("POST /api/v1/take HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
    let slow = within(client.answer(false)).await.unwrap();
    assert!(slow.status == 408 && is_envelope(&slow, "too_slow"));

    let mut client = server.connect().await;
    let began = Instant::now();
    client.send("GET /api/v1/hello HTTP/1.1\r\nhost: loc").await.unwrap();
    let said = within(client.rest()).await.unwrap();
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408"), "{said:?}");
    assert!(began.elapsed() < TIMEOUTS.head * 4, "{:?}", began.elapsed());
}

#[tokio::test]
async fn no_handler_runs_for_half_a_body() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .send("POST /api/v1/take HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n")
        .await
        .unwrap();
    client.send("content-length: 15\r\n\r\n{\"text\": \"a\"}").await.unwrap();
    drop(client);
    let whole =
        server.ask("POST", "/api/v1/take", "content-type: application/json\r\n", "{\"text\": \"a\"}").await;
    assert_eq!((whole.status, server.demo.taken.load(Ordering::SeqCst)), (200, 1));
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let get = |path: &str| format!("GET /api/v1/{path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let body = "{\"text\": \"abc\"}";
    let post = format!(
        "POST /api/v1/take HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send(get("hello") + &post + &get("nowhere") + &get("panic") + &get("hello")).await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(within(client.answer(false)).await.unwrap().status);
    }
    assert_eq!(statuses, [200, 200, 404, 500, 200]);
}
