//! The wire proxy between real clients and a real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its fixture too")]

mod count;
mod fixture;
mod mutant;
mod protocol;
mod strip;
mod swap;
