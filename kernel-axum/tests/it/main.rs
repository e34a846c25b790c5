//! The adapter over real sockets. The suite is the other adapter's too.
#![expect(clippy::unwrap_used, reason = "what a test arranges may fail like the test itself")]

mod demo;
mod extract;
mod host;
mod reply;
mod request;
mod scrape;
mod server;
mod shutdown;
