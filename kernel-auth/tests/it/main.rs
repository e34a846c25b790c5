//! The pillar against a real PostgreSQL, through the request chain.

mod account;
mod session;
