//! The pillar against a real PostgreSQL, through the request chain.
#![expect(clippy::unwrap_used, reason = "what a test arranges may fail like the test itself")]

mod activity;
mod audit_log;
mod membership;
mod people;
mod workspace;
