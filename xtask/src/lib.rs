//! The development commands, as modules: `cargo xtask help` lists them.
//!
//! A proof is one module that is registered in [`prove::PROOFS`]; a measurement is one module that is
//! registered in `bench::BENCHES`. Everything else here is the machinery around them.

#![expect(clippy::print_stdout, reason = "printing is what a command does")]

pub mod atomicity;
pub mod audit;
pub mod bench;
pub mod browser;
pub mod cargo;
pub mod client;
pub mod contract;
pub mod cost;
pub mod data_classes;
pub mod dev;
pub mod docs;
pub mod doctor;
pub mod founder;
pub mod fuzz;
pub mod import;
pub mod isolation;
pub mod leaks;
pub mod limits;
pub mod outcome;
pub mod package;
pub mod parity;
pub mod postgres;
pub mod prove;
pub mod search;
pub mod secrets;
pub mod statements;
pub mod telemetry;
pub mod test;
pub mod wire;
