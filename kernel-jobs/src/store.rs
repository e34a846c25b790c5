//! All SQL of the queue, one file per subject.

pub(crate) mod backlog;
pub(crate) mod chore;
pub(crate) mod job;
pub(crate) mod lease;
pub(crate) mod relay;
