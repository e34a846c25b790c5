//! The core against a real PostgreSQL.
#![cfg(feature = "testkit")]
#![expect(clippy::unwrap_used, reason = "what a test arranges may fail like the test itself")]

mod audit;
mod build;
mod cache;
mod doctor;
mod handle;
mod http;
mod migration;
mod purge;
mod redaction;
mod search;
mod secret;
mod shop;
