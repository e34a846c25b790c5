//! The adapter over real sockets. The suite is the other adapter's too.

mod demo;
mod extract;
mod host;
mod reply;
mod request;
mod server;
mod shutdown;
