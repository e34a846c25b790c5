use std::convert::Infallible;

use futures_util::stream;
use http::Request;
use tokio::sync::mpsc;

use super::*;
use crate::http::config::HttpConfig;
use crate::http::handler::Call;
use crate::http::matcher::Table;
use crate::http::output::NoContent;
use crate::http::reply::Reply;
use crate::http::route::{Access, Route};

async fn take((): (), _: Call, (): ()) -> Result<NoContent, Error> {
    Ok(NoContent)
}

fn matched(path: &str) -> Matched {
    let route = Route::free(Method::POST, "/take", "demo.take", Access::Public, (), take).body_limit(8);
    let table = Table::new(vec![route], &HttpConfig::default(), None).unwrap();
    table.find(&Request::post(path).body(()).unwrap().into_parts().0)
}

async fn code(length: Option<&str>, pieces: &[&'static str]) -> String {
    let mut headers = HeaderMap::new();
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length.parse().unwrap());
    }
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes()))).collect();
    let body = receive(&matched("/api/v1/take"), &headers, stream::iter(pieces), GRACE).await;
    body.map_or_else(|error| error.code().to_owned(), |body| format!("{} bytes", body.len()))
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit() {
    assert_eq!(code(None, &["1234", "5678"]).await, "8 bytes");
    assert_eq!(code(None, &["1234", "56789"]).await, "too_large");
    assert_eq!(code(None, &[]).await, "0 bytes");
    assert_eq!(code(Some("8"), &["12345678"]).await, "8 bytes");
}

#[tokio::test]
async fn what_says_that_it_is_too_large_is_not_read() {
    let headers = HeaderMap::from_iter([(CONTENT_LENGTH, "9".parse().unwrap())]);
    let unread = stream::poll_fn(|_| -> std::task::Poll<Option<Result<Bytes, Infallible>>> { panic!("it was read") });
    let error = receive(&matched("/api/v1/take"), &headers, unread, GRACE).await.unwrap_err();
    assert_eq!(error.code(), "too_large");
}

#[tokio::test]
async fn nothing_is_read_for_nobody() {
    let unread = stream::poll_fn(|_| -> std::task::Poll<Option<Result<Bytes, Infallible>>> { panic!("it was read") });
    assert_eq!(receive(&matched("/nowhere"), &HeaderMap::new(), unread, GRACE).await.unwrap(), Bytes::new());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_or_dawdles_is_an_error() {
    let to = matched("/api/v1/take");
    let broken = stream::iter([Ok(Bytes::from_static(b"1")), Err("reset")]);
    assert_eq!(receive(&to, &HeaderMap::new(), broken, GRACE).await.unwrap_err().code(), "malformed");
    let slow = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"1"))]).chain(stream::pending());
    assert_eq!(receive(&to, &HeaderMap::new(), slow, GRACE).await.unwrap_err().code(), "too_slow");
}

fn text(text: &str) -> Message {
    Message::Text(text.to_owned())
}

fn handler<F: Future<Output = ()> + Send + 'static>(serve: impl FnOnce(Socket) -> F + Send + 'static) -> SocketHandler {
    let Reply::Socket(handler) = Reply::socket(serve) else { panic!("no socket") };
    handler
}

/// What the client hears.
async fn heard(handler: SocketHandler, incoming: impl Stream<Item = Message>) -> Vec<Message> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    converse(handler, &Shutdown::default(), incoming, async |message| sender.send(message).map_err(|_| Gone)).await;
    receiver.close();
    stream::poll_fn(|context| receiver.poll_recv(context)).collect().await
}

#[tokio::test(start_paused = true)]
async fn what_the_handler_said_last_still_reaches_the_client() {
    let echo = handler(|mut socket| async move {
        while let Some(message) = socket.receive().await {
            socket.send(message).await.unwrap();
        }
        socket.send(text("bye")).await.unwrap();
    });
    let incoming = stream::iter([text("hello"), Message::Close, text("unheard")]);
    assert_eq!(heard(echo, incoming).await, [text("hello"), text("bye")]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_or_never_ends_holds_nobody() {
    let panicking = handler(|_| async move { panic!("on purpose") });
    assert_eq!(heard(panicking, stream::pending()).await, []);
    let stuck = handler(|_socket| std::future::pending());
    assert_eq!(heard(stuck, stream::empty()).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_makes_the_handler_wait() {
    let shutdown = Shutdown::default();
    let (counted, mut count) = tokio::sync::watch::channel(0);
    let flood = handler(move |socket| async move {
        while socket.send(text("more")).await.is_ok() {
            counted.send_modify(|count| *count += 1);
        }
    });
    let never = async |_| std::future::pending().await;
    tokio::join!(converse(flood, &shutdown, stream::pending(), never), async {
        let _ = count.wait_for(|count| *count > BACKLOG).await;
        tokio::time::sleep(GRACE).await;
        assert!(*count.borrow() <= BACKLOG + 1, "{} messages are waiting", *count.borrow());
        shutdown.begin();
    });
}

#[test]
fn only_a_whole_handshake_opens_a_socket() {
    let whole = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let opens = |method: &str, headers: &[(&str, &str)]| {
        let request = Request::builder().method(method);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        opens_socket(&request.body(()).unwrap().into_parts().0)
    };
    assert!(opens("GET", &whole));
    assert!(!opens("POST", &whole));
    for missing in 0..whole.len() {
        let rest: Vec<_> = whole.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, header)| *header).collect();
        assert!(!opens("GET", &rest), "without {}", whole[missing].0);
    }
}
