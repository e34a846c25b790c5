//! Routes whose answers are not one piece of JSON.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Method};
use kernel_core::Error;
use kernel_core::http::{
    Access, Call, Json, Path, Reply, Route, SeeOther, SetCookie, Socket, WithCookie, WithHeader,
};

use super::{ON_PURPOSE, Runs};

pub(super) fn routes(runs: &Runs) -> Vec<Route> {
    let (runs, public) = (|| runs.clone(), Access::Public);
    vec![
        Route::free(Method::GET, "/cookies", "parity.cookies", public, runs(), cookies),
        Route::free(Method::GET, "/odd-header", "parity.odd_header", public, runs(), odd_header),
        Route::free(Method::GET, "/bytes/{length}", "parity.bytes", public, runs(), bytes),
        Route::free(Method::GET, "/elsewhere", "parity.elsewhere", public, runs(), elsewhere),
        Route::free(Method::GET, "/stream", "parity.stream", public, runs(), finite_stream),
        Route::free(Method::GET, "/endless", "parity.stream.endless", public, runs(), endless_stream),
        Route::free(Method::GET, "/failing", "parity.stream.failing", public, runs(), failing_stream),
        Route::free(Method::GET, "/panicking", "parity.stream.panicking", public, runs(), panicking_stream),
        Route::free(Method::GET, "/socket", "parity.socket", public, runs(), socket),
        Route::free(
            Method::GET,
            "/panicking-socket",
            "parity.socket.panicking",
            public,
            runs(),
            panicking_socket,
        ),
    ]
}

async fn cookies(runs: Runs, _: Call, (): ()) -> Result<WithCookie<WithCookie<Json<u8>>>, Error> {
    let _run = runs.begin();
    let cookie = |name| SetCookie::session(name, "value");
    Ok(WithCookie(cookie("__Host-one"), WithCookie(cookie("__Host-other"), Json(2))))
}

async fn odd_header(runs: Runs, _: Call, (): ()) -> Result<WithHeader<WithHeader<Json<u8>>>, Error> {
    let _run = runs.begin();
    let bytes = HeaderValue::from_bytes(b"caf\xe9 \xff").map_err(Error::internal)?;
    let twice = HeaderName::from_static("x-odd");
    Ok(WithHeader(twice.clone(), bytes, WithHeader(twice, HeaderValue::from_static("plain"), Json(1))))
}

async fn bytes(runs: Runs, _: Call, Path(length): Path<u32>) -> Result<Reply, Error> {
    let _run = runs.begin();
    let length = usize::try_from(length.min(1 << 20)).map_err(Error::internal)?;
    let body: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
    Ok(Reply::bytes("application/octet-stream", body))
}

async fn elsewhere(runs: Runs, _: Call, (): ()) -> Result<SeeOther, Error> {
    let _run = runs.begin();
    Ok(SeeOther::to("/form"))
}

async fn finite_stream(runs: Runs, _: Call, (): ()) -> Result<Reply, Error> {
    let _run = runs.begin();
    let pieces =
        ["one\n", "two\n", "three\n"].map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes())));
    Ok(Reply::stream("text/event-stream", stream::iter(pieces)))
}

async fn endless_stream(runs: Runs, _: Call, (): ()) -> Result<Reply, Error> {
    let run = runs.begin();
    let ticks = stream::unfold(run, |run| async {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b"tick\n")), run))
    });
    Ok(Reply::stream("text/event-stream", ticks))
}

async fn failing_stream(runs: Runs, _: Call, (): ()) -> Result<Reply, Error> {
    let _run = runs.begin();
    let pieces = [Ok(Bytes::from_static(b"one\n")), Err("the source is dry")];
    Ok(Reply::stream("text/plain", stream::iter(pieces)))
}

async fn panicking_stream(runs: Runs, _: Call, (): ()) -> Result<Reply, Error> {
    let _run = runs.begin();
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"one\n"))]);
    Ok(Reply::stream("text/plain", first.chain(stream::poll_fn(|_| panic!("{ON_PURPOSE}")))))
}

async fn socket(runs: Runs, _: Call, (): ()) -> Result<Reply, Error> {
    Ok(Reply::socket(|mut socket: Socket| async move {
        let _run = runs.begin();
        while let Some(message) = socket.receive().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    }))
}

async fn panicking_socket(runs: Runs, _: Call, (): ()) -> Result<Reply, Error> {
    Ok(Reply::socket(|mut socket: Socket| async move {
        let _run = runs.begin();
        let _ = socket.receive().await;
        panic!("{ON_PURPOSE}")
    }))
}
