use std::convert::Infallible;

use futures_util::{sink, stream};
use http::Request;

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

fn head(headers: &[(&str, &str)]) -> Parts {
    let request =
        headers.iter().fold(Request::post("/"), |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

/// A body that comes in these pieces, under a head that does not say how long it is.
async fn code(headers: &[(&str, &str)], pieces: &[&'static str]) -> String {
    let pieces: Vec<_> =
        pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes()))).collect();
    let headers = [&[("host", "a.example")], headers].concat();
    let body = receive(&matched("/api/v1/take"), &head(&headers), stream::iter(pieces), GRACE).await;
    body.map_or_else(|error| error.code().to_owned(), |body| format!("{} bytes", body.len()))
}

const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");

#[tokio::test]
async fn a_body_is_read_up_to_its_limit() {
    assert_eq!(code(&[CHUNKED], &["1234", "5678"]).await, "8 bytes");
    assert_eq!(code(&[CHUNKED], &["1234", "56789"]).await, "too_large");
    assert_eq!(code(&[CHUNKED], &[]).await, "0 bytes");
    assert_eq!(code(&[("content-length", "8")], &["12345678"]).await, "8 bytes");
}

#[tokio::test]
async fn an_announced_body_ends_where_it_was_said_to() {
    assert_eq!(code(&[("content-length", "3")], &["12", "345"]).await, "3 bytes");
    assert_eq!(code(&[("content-length", "3")], &["12"]).await, "malformed");
    assert_eq!(code(&[], &["not a body"]).await, "0 bytes");
}

#[tokio::test]
async fn a_head_of_two_minds_is_refused() {
    let twice = [("content-length", "3"), ("content-length", "3")];
    assert_eq!(code(&twice, &["123"]).await, "malformed");
    assert_eq!(code(&[("content-length", "3"), CHUNKED], &["123"]).await, "malformed");
    assert_eq!(code(&[("host", "b.example")], &[]).await, "malformed");
}

/// A body that must not be asked for.
fn unread() -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::poll_fn(|_| panic!("it was read"))
}

#[tokio::test]
async fn what_says_that_it_is_too_large_is_not_read() {
    let head = head(&[("host", "a.example"), ("content-length", "9")]);
    assert_eq!(
        receive(&matched("/api/v1/take"), &head, unread(), GRACE).await.unwrap_err().code(),
        "too_large"
    );
}

#[tokio::test]
async fn nothing_is_read_for_nobody() {
    let head = head(&[("host", "a.example"), ("content-length", "9")]);
    assert_eq!(receive(&matched("/nowhere"), &head, unread(), GRACE).await.unwrap(), Bytes::new());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_or_dawdles_is_an_error() {
    let (to, head) = (matched("/api/v1/take"), head(&[("host", "a.example"), CHUNKED]));
    let broken = stream::iter([Ok(Bytes::from_static(b"1")), Err("reset")]);
    assert_eq!(receive(&to, &head, broken, GRACE).await.unwrap_err().code(), "malformed");
    let slow = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"1"))]).chain(stream::pending());
    assert_eq!(receive(&to, &head, slow, GRACE).await.unwrap_err().code(), "too_slow");
}

fn text(text: &str) -> Message {
    Message::Text(text.to_owned())
}

fn handler<F: Future<Output = ()> + Send + 'static>(
    serve: impl FnOnce(Socket) -> F + Send + 'static,
) -> SocketHandler {
    let Reply::Socket(handler) = Reply::socket(serve) else { panic!("no socket") };
    handler
}

/// What the client hears.
async fn heard(handler: SocketHandler, incoming: impl Stream<Item = Message>) -> Vec<Message> {
    let mut heard = Vec::new();
    converse(handler, Shutdown::default(), incoming, &mut heard).await;
    heard
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
    let never = sink::unfold((), |(), _| std::future::pending::<Result<(), Infallible>>());
    tokio::join!(converse(flood, shutdown.clone(), stream::pending(), never), async {
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
        let rest: Vec<_> =
            whole.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, header)| *header).collect();
        assert!(!opens("GET", &rest), "without {}", whole[missing].0);
    }
}
