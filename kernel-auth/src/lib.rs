#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod action;
mod auth;
mod error;
pub mod event;
#[cfg(feature = "testkit")]
pub mod hostile;
mod http;
mod password;
mod session;
mod store;

pub use account::{Account, LogIn, NewAccount};
pub use auth::{Auth, Settings};
pub use error::Error;
pub use session::{COOKIE, Opened, Session};
