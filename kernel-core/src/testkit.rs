//! What tests and development commands need: a PostgreSQL, servers to put in front of it, and a way to say what could
//! not be tested.

pub mod audit;
mod client;
mod contract;
mod database;
#[cfg(unix)]
mod development;
pub mod hostile;
mod input;
mod kernel;
mod left_out;
mod limit;
mod listener;
#[cfg(unix)]
pub mod pgbouncer;
#[cfg(unix)]
pub mod postgres;
mod raw;
mod text;

pub use client::{Answer, Client};
pub use contract::{cache_contract, key_provider_contract, secret_source_contract};
pub use database::{DatabaseError, Logins, TestDatabase, server};
#[cfg(unix)]
pub use development::{Development, DevelopmentError};
pub use input::read;
pub use kernel::{TestKernel, config, roles};
pub use left_out::left_out;
pub use limit::RateLimit;
#[cfg(feature = "otlp")]
pub use listener::SeenSpan;
pub use listener::{Listener, Manner, Received};
pub use raw::RawClient;
pub use text::TextKeys;
