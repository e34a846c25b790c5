//! What people say when they write an issue down or change it.

use garde::Validate;
use kernel_core::UserId;
use kernel_core::http::Patch;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Priority, Status};
use crate::label::LabelId;
use crate::text::{
    OrBlank, PRINTABLE, SAYING_SOMETHING, blank_as_none, present, printable, saying_something,
};

/// What writing down an issue takes.
#[derive(Debug, Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewIssue {
    /// What it is about.
    #[garde(length(chars, min = 1, max = 120), custom(saying_something))]
    #[schemars(length(min = 1, max = 120), regex(pattern = SAYING_SOMETHING))]
    pub title: String,
    /// What it says.
    #[serde(default)]
    #[garde(length(chars, max = 20_000), custom(printable))]
    #[schemars(length(max = 20_000), regex(pattern = PRINTABLE))]
    pub body: String,
    /// How much it matters.
    #[serde(default)]
    #[garde(skip)]
    pub priority: Priority,
    /// Who takes care of it: a member of the workspace, or nobody.
    #[serde(default, deserialize_with = "blank_as_none")]
    #[garde(skip)]
    #[schemars(with = "Option<OrBlank<UserId>>")]
    pub assignee: Option<UserId>,
    /// Its labels.
    #[serde(default)]
    #[garde(length(max = 20))]
    #[schemars(length(max = 20))]
    pub labels: Vec<LabelId>,
}

/// What can be changed about an issue.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct EditIssue {
    /// What it is about.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(length(chars, min = 1, max = 120), custom(saying_something)))]
    #[schemars(with = "String", length(min = 1, max = 120), regex(pattern = SAYING_SOMETHING))]
    pub title: Option<String>,
    /// What it says.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(length(chars, max = 20_000), custom(printable)))]
    #[schemars(with = "String", length(max = 20_000), regex(pattern = PRINTABLE))]
    pub body: Option<String>,
    /// How far it is.
    #[serde(default, deserialize_with = "present")]
    #[garde(skip)]
    #[schemars(with = "Status")]
    pub status: Option<Status>,
    /// How much it matters.
    #[serde(default, deserialize_with = "present")]
    #[garde(skip)]
    #[schemars(with = "Priority")]
    pub priority: Option<Priority>,
    /// Who takes care of it; `null` for nobody.
    #[serde(default)]
    #[garde(skip)]
    pub assignee: Patch<UserId>,
    /// Its labels from now on: all of them.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(length(max = 20)))]
    #[schemars(with = "Vec<LabelId>", length(max = 20))]
    pub labels: Option<Vec<LabelId>>,
}
