//! An issue tracker as a product team would write it: one [`Pillar`](kernel_core::Pillar) beside the kernel's own.
//!
//! [`app`] puts the product together. The programs `tracker-axum` and `tracker-actix` serve it, and the tests call it
//! in memory.

mod action;
mod activity;
pub mod comment;
mod error;
pub mod event;
mod hook;
#[cfg(feature = "testkit")]
pub mod hostile;
mod http;
pub mod import;
pub mod issue;
mod job;
pub mod label;
mod log;
mod page;
pub mod permission;
pub mod program;
pub mod project;
pub mod search;
pub mod seed;
mod store;
mod text;
mod tracker;

pub use error::Error;
pub use job::PurgeProject;
pub use log::RequestLog;
pub use tracker::{Settings, Tracker, app};
