use std::collections::BTreeMap;

use kernel_core::{ErrorKind, Fault, Flaw, Role};

/// What can go wrong with workspaces and members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The workspace would have no owner.
    #[error("a workspace keeps at least one owner")]
    LastOwner,
    /// The role is above the actor's own, or the member's is.
    #[error("nobody grants or takes a role above their own: {role}")]
    RoleAboveOwn {
        /// The role in question.
        role: Role,
    },
    /// Another workspace has this slug.
    #[error("the slug is taken")]
    SlugTaken,
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::LastOwner | Self::SlugTaken => ErrorKind::Conflict,
            Self::RoleAboveOwn { .. } => ErrorKind::Forbidden,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::LastOwner => "tenancy.last_owner",
            Self::RoleAboveOwn { .. } => "tenancy.role_above_own",
            Self::SlugTaken => "tenancy.slug_taken",
        }
    }

    fn args(&self) -> BTreeMap<&'static str, String> {
        match self {
            Self::RoleAboveOwn { role } => BTreeMap::from([("role", role.to_string())]),
            _ => BTreeMap::new(),
        }
    }

    fn fields(&self) -> BTreeMap<String, Flaw> {
        match self {
            Self::SlugTaken => BTreeMap::from([("slug".to_owned(), "field.taken".into())]),
            _ => BTreeMap::new(),
        }
    }
}
