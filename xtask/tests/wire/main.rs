//! The wire proxy between real clients and a real PostgreSQL.

mod count;
mod fixture;
mod mutant;
mod protocol;
mod strip;
mod swap;
