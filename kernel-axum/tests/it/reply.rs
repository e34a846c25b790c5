//! Streams, sockets, and handlers that nobody waits for any more.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::server::{Server, until, within};

#[tokio::test]
async fn a_stream_comes_piece_by_piece() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send("GET /api/v1/ticks HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let head = within(client.head()).await.unwrap();
    assert_eq!(head.headers["content-type"], "text/event-stream");
    assert!(head.headers.contains_key("x-request-id"));
    for _ in 0..3 {
        assert_eq!(within(client.chunk()).await.unwrap(), "data: tick\n\n");
    }
}

#[tokio::test]
async fn a_socket_carries_messages_both_ways() {
    let server = Server::start().await;
    let (mut socket, response) =
        connect_async(format!("ws://{}/api/v1/echo", server.address())).await.unwrap();
    assert_eq!(response.status().as_u16(), 101);
    let large = Message::binary(vec![7; 200_000]);
    for message in [Message::text("hello"), large, Message::text("")] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(within(socket.next()).await.unwrap().unwrap(), message);
    }
    socket.send(Message::Ping("are you there".into())).await.unwrap();
    assert_eq!(within(socket.next()).await.unwrap().unwrap(), Message::Pong("are you there".into()));
    until(&server.demo.waiting, 1).await;
    socket.close(None).await.unwrap();
    until(&server.demo.waiting, 0).await;
    while let Some(last) = within(socket.next()).await {
        assert!(matches!(last, Ok(Message::Close(_)) | Err(Error::ConnectionClosed)), "{last:?}");
    }
}

#[tokio::test]
async fn too_large_a_message_ends_the_socket() {
    let server = Server::start().await;
    let (mut socket, _) = connect_async(format!("ws://{}/api/v1/echo", server.address())).await.unwrap();
    until(&server.demo.waiting, 1).await;
    // The server may hang up before it has read all of it.
    let _ = socket.send(Message::binary(vec![7; 300_000])).await;
    let answer = within(socket.next()).await;
    assert!(!matches!(answer, Some(Ok(Message::Binary(_)))), "it was echoed");
    until(&server.demo.waiting, 0).await;
}

#[tokio::test]
async fn an_address_for_sockets_says_so() {
    let server = Server::start().await;
    let plain = server.get("/api/v1/echo").await;
    assert_eq!((plain.status, plain.code().as_str()), (400, "websocket_expected"));
    let foreign = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\norigin: https://evil.example\r\n";
    let refused = server.ask("GET", "/api/v1/echo", foreign, "").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "cross_site"));
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_handler_with_it() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send("GET /api/v1/wait HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(&server.demo.waiting, 1).await;
    drop(client);
    until(&server.demo.waiting, 0).await;
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_server_goes_on() {
    let server = Server::start().await;
    let panicked = server.get("/api/v1/panic").await;
    assert_eq!((panicked.status, panicked.code().as_str()), (500, "internal"));
    assert!(!panicked.text().contains("on purpose"));
    assert_eq!(server.get("/api/v1/hello").await.status, 200);
}
