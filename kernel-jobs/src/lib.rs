#![doc = include_str!("../README.md")]

mod check;
mod depth;
mod enqueue;
mod jobs;
mod runner;
mod store;

pub use depth::Depth;
pub use enqueue::{MAX_PAYLOAD, Options, Priority, enqueue, enqueue_many, enqueue_with};
pub use jobs::Jobs;
pub use runner::{Backoff, Drained, Runner, RunnerConfig, Tended};
