//! Stopping: streams and sockets end, requests under way are answered, nobody waits for ever.

use futures_util::StreamExt;
use tokio_tungstenite::connect_async;

use crate::server::{Server, until, within};

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
