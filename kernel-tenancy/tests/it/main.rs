//! The pillar against a real PostgreSQL, through the request chain.

mod membership;
mod people;
mod workspace;
