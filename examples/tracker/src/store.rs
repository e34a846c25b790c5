//! The tracker's SQL, and no other place has any.

pub(crate) mod activity;
pub(crate) mod issue;
pub(crate) mod project;
