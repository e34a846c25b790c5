//! The queue against a real PostgreSQL, under production's logins.

mod desk;
mod enqueue;
mod isolation;
mod lease;
mod relay;
mod runner;
