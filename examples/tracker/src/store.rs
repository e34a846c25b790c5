//! The tracker's SQL, and no other place has any.

pub(crate) mod comment;
pub(crate) mod issue;
pub(crate) mod label;
pub(crate) mod project;
pub(crate) mod search;
