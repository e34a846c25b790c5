//! Searching: what typed words may mean, anywhere in the workspace.

use chrono::{DateTime, Utc};
use kernel_core::{Error, TenantTx, Tx, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::comment::CommentId;
use crate::issue::{IssueId, SearchText, Status};
use crate::permission::{COMMENT_READ, ISSUE_READ, PROJECT_READ};
use crate::project::ProjectId;
use crate::store;
use crate::tracker::Tracker;

/// How many things of each kind are offered to somebody who is still typing.
const OFFERED: i64 = 8;
/// How many of each kind a search finds.
pub(crate) const FOUND_MAX: i64 = 20;

/// What to look for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Words, `"a phrase"`, `or`, `-without`; or an issue's key, such as `APP-1`. In titles, names and comments words may
    /// be begun only, or misspelt a little.
    pub(crate) q: SearchText,
}

/// What was found, of each kind the 20 that match best, the best first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Found {
    /// Issues with the words in their title or description.
    pub issues: Vec<IssueFound>,
    /// Comments with the words.
    pub comments: Vec<CommentFound>,
    /// Projects with the words in their name or description, and the one with this key.
    pub projects: Vec<ProjectFound>,
}

/// A project that is meant, perhaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct ProjectFound {
    /// Its id.
    pub id: ProjectId,
    /// What the numbers of its issues start with.
    pub key: String,
    /// Its name.
    pub name: String,
}

/// An issue that is meant, perhaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct IssueFound {
    /// Its id.
    pub id: IssueId,
    /// The key of its project.
    pub key: String,
    /// Its number in the project.
    pub number: i64,
    /// What it is about.
    pub title: String,
    /// How far it is.
    #[sqlx(try_from = "String")]
    pub status: Status,
}

/// A comment that is meant, perhaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct CommentFound {
    /// Its id.
    pub id: CommentId,
    /// The issue that it is on.
    pub issue_id: IssueId,
    /// The key of the issue's project.
    pub key: String,
    /// The issue's number in the project.
    pub number: i64,
    /// What the issue is about.
    pub title: String,
    /// The part of the comment that matches: plain text of some 30 words.
    pub excerpt: String,
    /// Who wrote it; `null` for the system.
    pub created_by: Option<UserId>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

impl Tracker {
    /// What the words may mean, of each kind that the caller may see.
    ///
    /// # Errors
    /// What the database says.
    pub async fn search(&self, tx: &mut TenantTx, wanted: &SearchText) -> Result<Found, Error> {
        let (text, ctx) = (wanted.as_str().trim(), tx.ctx().clone());
        let mut found = Found::default();
        if ctx.can(ISSUE_READ) {
            found.issues = issues(tx, text, FOUND_MAX).await?;
        }
        if ctx.can(COMMENT_READ) {
            let workspace = tx.workspace_id();
            found.comments = store::search::comments(tx.conn(), workspace, text, FOUND_MAX).await?;
        }
        if ctx.can(PROJECT_READ) {
            found.projects = projects(tx, text, FOUND_MAX).await?;
        }
        Ok(found)
    }

    /// The projects that may be meant, the likeliest first; without a text the oldest.
    pub(crate) async fn projects_meant(
        &self,
        tx: &mut TenantTx,
        text: &str,
    ) -> Result<Vec<ProjectFound>, Error> {
        let workspace = tx.workspace_id();
        if text.is_empty() {
            return Ok(store::search::first_projects(tx.conn(), workspace, OFFERED).await?);
        }
        projects(tx, text, OFFERED).await
    }

    /// The issues that may be meant, the likeliest first; without a text those that were changed last.
    pub(crate) async fn issues_meant(&self, tx: &mut TenantTx, text: &str) -> Result<Vec<IssueFound>, Error> {
        let workspace = tx.workspace_id();
        if text.is_empty() {
            return Ok(store::search::recent_issues(tx.conn(), workspace, OFFERED).await?);
        }
        issues(tx, text, OFFERED).await
    }
}

/// The project with this key, and those that match.
async fn projects(tx: &mut TenantTx, text: &str, limit: i64) -> Result<Vec<ProjectFound>, Error> {
    let (workspace, key) = (tx.workspace_id(), text.to_uppercase());
    let named = store::search::project_by_key(tx.conn(), workspace, &key).await?;
    let matching = store::search::projects(tx.conn(), workspace, text, limit).await?;
    Ok(named_first(named, matching, |project| project.id, limit))
}

/// The issue with this key, and those that match.
async fn issues(tx: &mut TenantTx, text: &str, limit: i64) -> Result<Vec<IssueFound>, Error> {
    let workspace = tx.workspace_id();
    let named = match number(text) {
        Some((key, number)) => store::search::issue_by_number(tx.conn(), workspace, &key, number).await?,
        None => None,
    };
    let matching = store::search::issues(tx.conn(), workspace, text, limit).await?;
    Ok(named_first(named, matching, |issue| issue.id, limit))
}

fn named_first<T, K: PartialEq>(
    named: Option<T>,
    mut matching: Vec<T>,
    id: impl Fn(&T) -> K,
    limit: i64,
) -> Vec<T> {
    if let Some(named) = named {
        matching.retain(|other| id(other) != id(&named));
        matching.insert(0, named);
    }
    matching.truncate(usize::try_from(limit).unwrap_or_default());
    matching
}

/// What people call an issue by: `app-1`.
fn number(text: &str) -> Option<(String, i64)> {
    let (key, number) = text.split_once('-')?;
    Some((key.to_uppercase(), number.parse().ok()?))
}
