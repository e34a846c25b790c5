//! The four roles of a workspace, and the permissions that pillars and products grant to them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a member may do in a workspace. Later roles hold everything that earlier ones do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Works.
    Member,
    /// Runs the workspace: members, settings.
    Admin,
    /// Holds the workspace: ownership, deletion, billing.
    Owner,
}

impl Role {
    /// All roles, least powerful first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Member, Self::Admin, Self::Owner];

    /// The role's name in the database and on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: viewer, member, admin or owner")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// The right to do one thing, declared by a pillar or product with [`permissions!`](crate::permissions).
///
/// It has no public constructor, so one that nobody declared cannot be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permission {
    name: &'static str,
    least: Role,
}

impl Permission {
    #[doc(hidden)]
    #[must_use]
    pub const fn __declare(name: &'static str, least: Role) -> Self {
        Self { name, least }
    }

    /// The dotted name: `tracker.project.create`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The least powerful role that holds it.
    #[must_use]
    pub const fn least(self) -> Role {
        self.least
    }

    /// Whether `role` holds it.
    #[must_use]
    pub fn held_by(self, role: Role) -> bool {
        role >= self.least
    }
}

/// Something that a plan includes or not, declared with [`features!`](crate::features).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Feature {
    name: &'static str,
}

impl Feature {
    #[doc(hidden)]
    #[must_use]
    pub const fn __declare(name: &'static str) -> Self {
        Self { name }
    }

    /// The dotted name: `tracker.export`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }
}

/// How much of something a plan may allow, declared with [`limits!`](crate::limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    name: &'static str,
}

impl Limit {
    #[doc(hidden)]
    #[must_use]
    pub const fn __declare(name: &'static str) -> Self {
        Self { name }
    }

    /// The dotted name: `tracker.projects`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }
}

/// Declares permissions as constants, each with the least role that holds it, and `ALL` to hand to the pillar.
///
/// ```
/// mod permission {
///     kernel_core::permissions! {
///         /// See projects.
///         pub PROJECT_READ = "tracker.project.read" for Viewer;
///         /// Start a project.
///         pub PROJECT_CREATE = "tracker.project.create" for Member;
///     }
/// }
/// assert_eq!(permission::ALL.len(), 2);
/// assert!(!permission::PROJECT_CREATE.held_by(kernel_core::Role::Viewer));
/// ```
#[macro_export]
macro_rules! permissions {
    ($($(#[$doc:meta])* pub $name:ident = $text:literal for $role:ident;)*) => {
        $($(#[$doc])* pub const $name: $crate::Permission = $crate::Permission::__declare($text, $crate::Role::$role);)*
        /// Every permission declared here.
        pub const ALL: &[$crate::Permission] = &[$($name),*];
    };
}

/// Declares plan features as constants, and `ALL` to hand to the pillar.
///
/// ```
/// mod feature {
///     kernel_core::features! {
///         /// Export issues as CSV.
///         pub EXPORT = "tracker.export";
///     }
/// }
/// assert_eq!(feature::EXPORT.name(), "tracker.export");
/// ```
#[macro_export]
macro_rules! features {
    ($($(#[$doc:meta])* pub $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: $crate::Feature = $crate::Feature::__declare($text);)*
        /// Every feature declared here.
        pub const ALL: &[$crate::Feature] = &[$($name),*];
    };
}

/// Declares limits of plans as constants, and `ALL` to hand to the pillar.
///
/// ```
/// mod limit {
///     kernel_core::limits! {
///         /// Projects in a workspace.
///         pub PROJECTS = "tracker.projects";
///     }
/// }
/// assert_eq!(limit::PROJECTS.name(), "tracker.projects");
/// ```
#[macro_export]
macro_rules! limits {
    ($($(#[$doc:meta])* pub $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: $crate::Limit = $crate::Limit::__declare($text);)*
        /// Every limit declared here.
        pub const ALL: &[$crate::Limit] = &[$($name),*];
    };
}
