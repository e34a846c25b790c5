use std::collections::BTreeMap;

use kernel_core::{ErrorKind, Fault};

/// What can go wrong in the tracker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The assignee does not belong to the workspace.
    #[error("the assignee does not belong to the workspace")]
    AssigneeNotMember,
    /// Another project has this key.
    #[error("the key {key} is taken")]
    KeyTaken {
        /// The key.
        key: String,
    },
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::AssigneeNotMember => ErrorKind::Invalid,
            Self::KeyTaken { .. } => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::AssigneeNotMember => "tracker.assignee_not_member",
            Self::KeyTaken { .. } => "tracker.key_taken",
        }
    }

    fn args(&self) -> BTreeMap<&'static str, String> {
        match self {
            Self::AssigneeNotMember => BTreeMap::new(),
            Self::KeyTaken { key } => BTreeMap::from([("key", key.clone())]),
        }
    }

    fn fields(&self) -> BTreeMap<String, String> {
        let (field, message) = match self {
            Self::AssigneeNotMember => ("assignee", "tracker.field.not_member"),
            Self::KeyTaken { .. } => ("key", "tracker.field.taken"),
        };
        BTreeMap::from([(field.to_owned(), message.to_owned())])
    }
}
