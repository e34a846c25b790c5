//! All SQL of the core, one file per table or subject.

pub(crate) mod activity;
pub(crate) mod audit_log;
pub(crate) mod audit_seal;
pub(crate) mod audit_verify;
pub(crate) mod cache;
pub(crate) mod catalog;
pub(crate) mod data_key;
pub(crate) mod idempotency;
pub(crate) mod outbox;
pub(crate) mod rate_limit;
pub(crate) mod role;
pub(crate) mod sealed;
pub(crate) mod server;
pub(crate) mod setting;
pub(crate) mod tenant;
