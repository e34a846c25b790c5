#![doc = include_str!("../README.md")]

mod action;
mod activity;
mod audit_log;
mod error;
pub mod event;
pub mod feature;
#[cfg(feature = "testkit")]
pub mod hostile;
mod http;
mod membership;
pub mod permission;
mod slug;
mod store;
mod tenancy;
mod workspace;

pub use activity::{Activity, ActivityPlace, ActivityTarget, ListActivity};
pub use audit_log::{AuditEvent, Doer, ExportFormat, ListAudit, Target, TargetId};
pub use error::Error;
pub use membership::{ChangeRole, Member};
pub use slug::{RESERVED, Slug, UnusableSlug};
pub use tenancy::Tenancy;
pub use workspace::{EditWorkspace, MyWorkspace, NewWorkspace, Workspace};
