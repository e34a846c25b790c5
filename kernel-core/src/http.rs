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
mod input;
mod matcher;
mod openapi;
mod output;
mod page;
mod problem;
mod reply;
mod route;
mod schema;
mod security;

pub use accept::prefers_json;
pub use chain::Peer;
pub(crate) use chain::{Limits, Standing};
pub use config::{BODY_LIMIT, Cors, Counting, Environment, HttpConfig, Quota, Quotas, Resolution, Timeouts};
pub use cookie::{SetCookie, value as cookie_value};
pub(crate) use file::Spool;
pub use file::{BodyFile, Coming, Payload};
pub use handler::{Call, TxFn};
pub use input::{Body, Head, Incoming, Input, Patch, Path, Query};
pub use matcher::{Matched, Table};
pub use output::{Created, Either, Html, Items, Json, NoContent, Output, SeeOther, WithCookie, WithHeader};
pub use page::{LIMIT_DEFAULT, LIMIT_MAX, PageRequest, Paged, Sort, Unfiltered};
pub use problem::{ErrorPage, ErrorView};
pub use reply::{BytesStream, Gone, Message, Pump, Reply, Shutdown, Socket, SocketHandler, StreamError};
pub use route::{Access, Idempotency, RateClass, Route};
pub use schema::{InputSchemas, InputShape, OutputShape};
pub use security::Csp;
