//! The queue against a real PostgreSQL, under production's logins.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it was")]
#![expect(clippy::disallowed_methods, reason = "a test is the host, whose tasks these are")]

mod audit;
mod check;
mod chore;
mod desk;
mod enqueue;
mod isolation;
mod lease;
mod relay;
mod runner;
mod telemetry;
