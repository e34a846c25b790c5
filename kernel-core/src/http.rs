//! HTTP without a framework: routes as data, the chain that every request passes, and replies.
//!
//! An adapter hands head and body to [`adapter::serve`], which finds the route with [`App::find`](crate::App::find), reads
//! the body up to its limit and calls [`App::call`](crate::App::call), and translates the [`Reply`]. It knows no endpoint.

mod accept;
pub mod adapter;
mod chain;
mod config;
mod cookie;
mod file;
mod handler;
#[cfg(feature = "testkit")]
pub(crate) mod hostile;
mod input;
mod matcher;
mod openapi;
mod output;
mod page;
mod problem;
#[cfg(feature = "reference")]
mod reference;
mod reply;
mod route;
mod schema;
mod scrape;
mod security;

pub use accept::prefers_json;
#[cfg(feature = "testkit")]
pub(crate) use chain::head as hostile_head;
pub(crate) use chain::{Limits, Readings};
pub use chain::{Peer, Visit};
pub use config::{BODY_LIMIT, Cors, Counting, Environment, HttpConfig, Quota, Quotas, Resolution, Timeouts};
pub use cookie::{SetCookie, value as cookie_value};
pub(crate) use file::Spool;
pub use file::{BodyFile, Coming, Payload};
pub use handler::{Call, TxFn};
pub use input::{Body, Head, Incoming, Input, Patch, Path, Query};
pub(crate) use matcher::mounted;
pub use matcher::{Matched, Table};
pub use output::{Created, Either, Html, Items, Json, NoContent, Output, SeeOther, WithCookie, WithHeader};
#[cfg(feature = "testkit")]
pub(crate) use page::CursorSeal;
pub use page::{LIMIT_DEFAULT, LIMIT_MAX, PageRequest, Paged, Sort, Unfiltered};
pub(crate) use problem::refusals;
pub use problem::{ErrorPage, ErrorView};
pub use reply::{BytesStream, Gone, Message, Pump, Reply, Shutdown, Socket, SocketHandler, StreamError};
pub use route::{Access, Idempotency, RateClass, Route};
#[cfg(feature = "testkit")]
pub(crate) use schema::Reading;
pub use schema::{InputSchemas, InputShape, OutputShape};
pub use security::{Csp, StrictTransport};
