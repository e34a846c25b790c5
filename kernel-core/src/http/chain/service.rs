//! The app as a `tower::Service`, for hosts without an adapter and for tests.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Request;
use tower::Service;

use crate::app::App;
use crate::http::reply::Reply;

/// The address of the connection, as an extension of the request. Without one it is unknown: `0.0.0.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

impl Service<Request<Bytes>> for App {
    type Response = Reply;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let app = self.clone();
        Box::pin(async move {
            let peer = request.extensions().get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(ip)| *ip);
            let (head, body) = request.into_parts();
            let to = app.find(&head);
            Ok(Self::call(&app, to, Request::from_parts(head, body), peer).await)
        })
    }
}
