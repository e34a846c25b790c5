//! The adapter over real sockets. The suite is the other adapter's too.
#![expect(clippy::unwrap_used, reason = "what a test arranges may fail like the test itself")]

#[path = "../../../kernel-axum/tests/it/demo.rs"]
mod demo;
#[path = "../../../kernel-axum/tests/it/extract.rs"]
mod extract;
mod host;
#[path = "../../../kernel-axum/tests/it/reply.rs"]
mod reply;
#[path = "../../../kernel-axum/tests/it/request.rs"]
mod request;
#[path = "../../../kernel-axum/tests/it/scrape.rs"]
mod scrape;
#[path = "../../../kernel-axum/tests/it/server.rs"]
mod server;
#[path = "../../../kernel-axum/tests/it/shutdown.rs"]
mod shutdown;
