use std::collections::BTreeMap;

use kernel_core::{ErrorKind, Fault, Flaw};

use crate::import::Problems;

/// What can go wrong in the tracker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The assignee does not belong to the workspace.
    #[error("the assignee does not belong to the workspace")]
    AssigneeNotMember,
    /// Somebody else wrote the comment.
    #[error("somebody else wrote the comment")]
    CommentNotOwn,
    /// The file to import holds no issue.
    #[error("the file holds no issue")]
    ImportEmpty,
    /// Something is wrong with the file to import. Nothing of it has been imported.
    #[error("{} problem(s) in the file", .0.count())]
    ImportRefused(Problems),
    /// The file to import holds too many issues.
    #[error("the file holds more than {max} issues")]
    ImportTooLong {
        /// How many it may hold.
        max: usize,
    },
    /// Another project has this key.
    #[error("the key {key} is taken")]
    KeyTaken {
        /// The key.
        key: String,
    },
    /// Another label has this name.
    #[error("the label {name} is there already")]
    LabelTaken {
        /// The name.
        name: String,
    },
    /// There is no such label in the workspace.
    #[error("there is no such label in the workspace")]
    LabelUnknown,
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::AssigneeNotMember
            | Self::ImportEmpty
            | Self::ImportRefused(_)
            | Self::ImportTooLong { .. }
            | Self::LabelUnknown => ErrorKind::Invalid,
            Self::CommentNotOwn => ErrorKind::Forbidden,
            Self::KeyTaken { .. } | Self::LabelTaken { .. } => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::AssigneeNotMember => "tracker.assignee_not_member",
            Self::CommentNotOwn => "tracker.comment_not_own",
            Self::ImportEmpty => "tracker.import_empty",
            Self::ImportRefused(_) => "tracker.import_refused",
            Self::ImportTooLong { .. } => "tracker.import_too_long",
            Self::KeyTaken { .. } => "tracker.key_taken",
            Self::LabelTaken { .. } => "tracker.label_taken",
            Self::LabelUnknown => "tracker.label_unknown",
        }
    }

    fn args(&self) -> BTreeMap<&'static str, String> {
        match self {
            Self::KeyTaken { key } => BTreeMap::from([("key", key.clone())]),
            Self::LabelTaken { name } => BTreeMap::from([("name", name.clone())]),
            Self::ImportRefused(problems) => BTreeMap::from([
                ("count", problems.count().to_string()),
                ("told", problems.told().to_string()),
            ]),
            Self::ImportTooLong { max } => BTreeMap::from([("max", max.to_string())]),
            Self::AssigneeNotMember | Self::CommentNotOwn | Self::ImportEmpty | Self::LabelUnknown => {
                BTreeMap::new()
            }
        }
    }

    fn fields(&self) -> BTreeMap<String, Flaw> {
        let (field, message) = match self {
            Self::AssigneeNotMember => ("assignee", "tracker.field.not_member"),
            Self::KeyTaken { .. } => ("key", "field.taken"),
            Self::LabelTaken { .. } => ("name", "field.taken"),
            Self::LabelUnknown => ("labels", "tracker.field.no_label"),
            Self::ImportRefused(problems) => return problems.fields(),
            Self::CommentNotOwn | Self::ImportEmpty | Self::ImportTooLong { .. } => return BTreeMap::new(),
        };
        BTreeMap::from([(field.to_owned(), message.into())])
    }
}
