//! The chain, from the first header to the committed row.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand, like the tests themselves")]

mod ask;
mod health;
mod idempotency;
mod language;
mod limit;
mod log;
mod order;
mod reply;
mod shop;
mod site;
mod telemetry;
mod workspace;
