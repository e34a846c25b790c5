//! Stopping: streams and sockets end, requests under way are answered, nobody waits for ever.

use std::time::Duration;

use futures_util::StreamExt;
use kernel_core::http::Timeouts;
use kernel_core::testkit::RawClient;
use tokio_tungstenite::connect_async;

use crate::server::{Server, TIMEOUTS, until, within};

#[tokio::test]
async fn open_streams_and_sockets_do_not_hold_the_server() {
    let mut server = Server::start().await;
    let mut ticks = server.connect().await;
    ticks.send("GET /api/v1/ticks HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    within(ticks.head()).await.unwrap();
    let (mut socket, _) = connect_async(format!("ws://{}/api/v1/echo", server.address())).await.unwrap();
    until(&server.demo.waiting, 1).await;
    // An idle connection, which could last until its keep-alive ends.
    let mut idle = server.connect().await;
    idle.send("GET /api/v1/hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    within(idle.answer(false)).await.unwrap();

    server.stop();
    while !within(ticks.chunk()).await.unwrap().is_empty() {}
    while let Some(Ok(message)) = within(socket.next()).await {
        assert!(message.is_close(), "{message:?}");
    }
    drop(socket);
    until(&server.demo.waiting, 0).await;
    assert_eq!(within(idle.rest()).await.unwrap(), "");
    assert!(server.app().shutdown().has_begun());
    assert!(server.ended().await, "the server waits for something");
}

#[tokio::test]
async fn a_request_under_way_is_answered() {
    let mut server = Server::start().await;
    let mut client = server.connect().await;
    client.send("GET /api/v1/nap HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(&server.demo.waiting, 1).await;
    server.stop();
    assert_eq!(within(client.answer(false)).await.unwrap().text(), "\"rested\"");
    drop(client);
    assert!(server.ended().await, "the server waits for something");
}

#[tokio::test]
async fn requests_are_taken_while_the_load_balancer_is_given_notice_and_no_longer() {
    let mut server = Server::with("", Timeouts { notice: Some(Duration::from_hours(1)), ..TIMEOUTS }).await;
    assert_eq!(server.get("/readyz").await.status, 200);
    let mut ticks = server.connect().await;
    ticks.send("GET /api/v1/ticks HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    within(ticks.head()).await.unwrap();
    server.stop();
    let noticed = async {
        while server.get("/readyz").await.status != 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(Box::pin(noticed)).await;
    // The listener is open, connections are kept and streams go on.
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send("GET /api/v1/hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(within(client.answer(false)).await.unwrap().status, 200);
    }
    assert!(!within(ticks.chunk()).await.unwrap().is_empty());
    client.send("GET /api/v1/nap HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(&server.demo.waiting, 1).await;

    // Asked a second time, the host does not wait for the rest of it.
    server.app().shutdown().begin();
    assert_eq!(within(client.answer(false)).await.unwrap().text(), "\"rested\"");
    while !within(ticks.chunk()).await.unwrap().is_empty() {}
    drop(client);
    assert!(server.ended().await, "the server waits for something");
    assert!(RawClient::connect(server.address()).await.is_err(), "the listener is closed");
}

#[tokio::test]
async fn the_notice_ends_by_itself() {
    let notice = Some(Duration::from_millis(200));
    let mut server = Server::with("", Timeouts { notice, ..TIMEOUTS }).await;
    server.stop();
    assert!(server.ended().await, "the server waits for something");
    assert!(server.app().shutdown().has_begun());
}
