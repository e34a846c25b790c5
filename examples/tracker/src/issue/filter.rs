//! Which issues a list shows, and in which order.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use kernel_core::UserId;
use kernel_core::http::Sort;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::{IssueId, Priority, RankedIssue, Status};
use crate::label::LabelId;
use crate::text::{OrBlank, blank_as_none};

/// The order of a list when nobody asks for another.
pub(crate) const NEWEST_FIRST: Sort<IssueOrder> = Sort { key: IssueOrder::CreatedAt, descending: true };

/// The same of a list that looks for words.
pub(crate) const BEST_FIRST: Sort<IssueOrder> = Sort { key: IssueOrder::Relevance, descending: true };

const TEXT_MAX: usize = 120;

/// Which issues of a project a list shows. An empty parameter is as good as none, because forms send all their fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueFilter {
    /// Those of this status.
    #[serde(default, deserialize_with = "blank_as_none")]
    #[schemars(with = "Option<OrBlank<Status>>")]
    pub status: Option<Status>,
    /// Those of this priority.
    #[serde(default, deserialize_with = "blank_as_none")]
    #[schemars(with = "Option<OrBlank<Priority>>")]
    pub priority: Option<Priority>,
    /// Those of this member; `me` for whoever asks.
    #[serde(default, deserialize_with = "blank_as_none")]
    #[schemars(with = "Option<OrBlank<Assignee>>")]
    pub assignee: Option<Assignee>,
    /// Those with this label.
    #[serde(default, deserialize_with = "blank_as_none")]
    #[schemars(with = "Option<OrBlank<LabelId>>")]
    pub label: Option<LabelId>,
    /// Those with these words in their title or description, or with words like them or begun like them in their title:
    /// the 1,000 that match best. Typed as people type: words, `"a phrase"`, `or`, `-without`.
    #[serde(default, deserialize_with = "blank_as_none")]
    #[schemars(with = "Option<OrBlank<SearchText>>")]
    pub q: Option<SearchText>,
    /// Their order. Unless said, the newest first, and with `q` those that match best.
    #[serde(default, deserialize_with = "blank_as_none")]
    #[schemars(with = "Option<OrBlank<Sort<IssueOrder>>>")]
    pub sort: Option<Sort<IssueOrder>>,
}

/// What a list of issues can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IssueOrder {
    /// When it was written down.
    CreatedAt,
    /// How much it matters.
    Priority,
    /// How well it matches `q`; without `q` the same as `created_at`.
    Relevance,
    /// Its title.
    Title,
    /// When it was last changed.
    UpdatedAt,
}

/// Whose issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignee {
    /// Those of whoever asks.
    Me,
    /// Those of this member.
    User(UserId),
}

impl<'de> Deserialize<'de> for Assignee {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        if text == "me" {
            return Ok(Self::Me);
        }
        text.parse().map(Self::User).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Assignee {
    fn schema_name() -> Cow<'static, str> {
        "Assignee".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(me|usr_[0-9a-f]{32})$" })
    }
}

/// A text to look for, of 1 to 120 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchText(String);

impl SearchText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for SearchText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let sound = (1..=TEXT_MAX).contains(&text.chars().count()) && !text.contains('\0');
        if sound { Ok(Self(text)) } else { Err(serde::de::Error::custom("too long, or no text")) }
    }
}

impl JsonSchema for SearchText {
    fn schema_name() -> Cow<'static, str> {
        "SearchText".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": TEXT_MAX, "pattern": r"^[^\x00]*$" })
    }
}

/// Where a page of the list ends: the sort key of its last issue. A cursor is good for its own filter only, so the
/// variant is always that of the order asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Position {
    Age(DateTime<Utc>, IssueId),
    Change(DateTime<Utc>, IssueId),
    Rank(i16, IssueId),
    /// The bits of the rank, so that it comes back as it was.
    Relevance(u32, IssueId),
    Title(String, IssueId),
}

impl Position {
    pub(crate) fn of(order: IssueOrder, RankedIssue { listed: issue, rank }: &RankedIssue) -> Self {
        match order {
            IssueOrder::CreatedAt => Self::Age(issue.created_at, issue.id),
            IssueOrder::Priority => Self::Rank(issue.priority.rank(), issue.id),
            IssueOrder::Relevance => Self::Relevance(rank.to_bits(), issue.id),
            IssueOrder::Title => Self::Title(issue.title.clone(), issue.id),
            IssueOrder::UpdatedAt => Self::Change(issue.updated_at, issue.id),
        }
    }
}

/// The order as the parameter `sort` says it.
pub(crate) fn sort_name(sort: Sort<IssueOrder>) -> String {
    let name = match sort.key {
        IssueOrder::CreatedAt => "created_at",
        IssueOrder::Priority => "priority",
        IssueOrder::Relevance => "relevance",
        IssueOrder::Title => "title",
        IssueOrder::UpdatedAt => "updated_at",
    };
    format!("{}{name}", if sort.descending { "-" } else { "" })
}

impl IssueOrder {
    /// The column that holds it.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::CreatedAt => "i.created_at",
            Self::Priority => "i.priority_rank",
            Self::Relevance => "f.rank",
            Self::Title => "i.title",
            Self::UpdatedAt => "i.updated_at",
        }
    }
}

impl Priority {
    /// The value of the column `priority_rank`.
    pub(crate) fn rank(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Low => 1,
            Self::Medium => 2,
            Self::High => 3,
            Self::Urgent => 4,
        }
    }
}
