//! The core against a real PostgreSQL.
#![cfg(feature = "testkit")]

mod build;
mod handle;
mod migration;
mod shop;
