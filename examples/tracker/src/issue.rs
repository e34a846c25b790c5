//! Issues: writing down, finding, changing, deleting.

mod filter;
mod input;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use kernel_core::http::{Items, PageRequest, Sort};
use kernel_core::{AuditEntry, Id, Noun, TenantTx, Tx, UserId, audit, publish};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action;
use crate::activity::{ISSUE_ASSIGNED, ISSUE_CREATED, ISSUE_DELETED, ISSUE_MOVED, about, record};
use crate::error::Error;
use crate::event::{IssueAssigned, IssueCreated, IssueDeleted, IssueMoved, Subject};
use crate::label::LabelId;
use crate::project::ProjectId;
use crate::store;
use crate::tracker::Tracker;

pub use filter::{Assignee, IssueFilter, IssueOrder, SearchText};
pub(crate) use filter::{BEST_FIRST, NEWEST_FIRST, Position, sort_name};
pub use input::{EditIssue, NewIssue};

/// Names issues.
#[derive(Debug)]
pub enum IssueNoun {}

impl Noun for IssueNoun {
    const PREFIX: &'static str = "iss";
}

/// The id of an issue.
pub type IssueId = Id<IssueNoun>;

/// How far an issue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody works on it.
    #[default]
    Open,
    /// Somebody works on it.
    InProgress,
    /// It needs no more work.
    Done,
}

/// How much an issue matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Nobody has said.
    #[default]
    None,
    /// Some day.
    Low,
    /// As usual.
    Medium,
    /// Before the usual.
    High,
    /// Right now.
    Urgent,
}

impl Status {
    const ALL: [Self; 3] = [Self::Open, Self::InProgress, Self::Done];

    /// The text that the database and the API hold.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Done => "done",
        }
    }
}

impl Priority {
    const ALL: [Self; 5] = [Self::None, Self::Low, Self::Medium, Self::High, Self::Urgent];

    /// The text that the database and the API hold.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

impl TryFrom<String> for Status {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::ALL.into_iter().find(|status| status.name() == text).ok_or(text)
    }
}

impl TryFrom<String> for Priority {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::ALL.into_iter().find(|priority| priority.name() == text).ok_or(text)
    }
}

/// An issue, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct Issue {
    /// What lists show of it.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub listed: ListedIssue,
    /// What it says; may be empty.
    pub body: String,
}

/// An issue, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct ListedIssue {
    /// Its id.
    pub id: IssueId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its number in the project.
    pub number: i64,
    /// What it is about.
    pub title: String,
    /// How far it is.
    #[sqlx(try_from = "String")]
    pub status: Status,
    /// How much it matters.
    #[sqlx(try_from = "String")]
    pub priority: Priority,
    /// Who takes care of it; `null` for nobody.
    #[sqlx(rename = "assignee_id")]
    pub assignee: Option<UserId>,
    /// Its labels, in the order of their making.
    #[sqlx(skip)]
    pub labels: Vec<LabelId>,
    /// How many comments there are on it.
    #[sqlx(skip)]
    pub comment_count: i64,
    /// Who wrote it down; `null` for the system.
    pub created_by: Option<UserId>,
    /// When it was written down.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// An issue of a list, and how well it matches what was looked for.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub(crate) struct RankedIssue {
    #[sqlx(flatten)]
    pub(crate) listed: ListedIssue,
    pub(crate) rank: f32,
}

impl Issue {
    pub(crate) fn subject(&self, user_id: Option<UserId>) -> Subject {
        let ListedIssue { id, project_id, number, .. } = self.listed;
        Subject { issue_id: id, project_id, number, user_id }
    }
}

impl Tracker {
    /// Writes an issue down.
    ///
    /// # Errors
    /// `not_found` without such a project, [`Error::AssigneeNotMember`], [`Error::LabelUnknown`].
    pub async fn create_issue(
        &self,
        tx: &mut TenantTx,
        project: ProjectId,
        new: NewIssue,
    ) -> Result<Issue, kernel_core::Error> {
        let author = tx.ctx().actor().user();
        self.open_issue(tx, author, project, new).await
    }

    /// The same in the name of somebody else, for hooks and seeds.
    pub(crate) async fn open_issue(
        &self,
        tx: &mut TenantTx,
        author: Option<UserId>,
        project_id: ProjectId,
        new: NewIssue,
    ) -> Result<Issue, kernel_core::Error> {
        let (workspace, now) = (tx.workspace_id(), tx.ctx().now());
        let NewIssue { title, body, priority, assignee, labels } = new;
        let number = store::project::take_numbers(tx.conn(), workspace, project_id, 1).await?;
        let number = number.ok_or_else(kernel_core::Error::not_found)?;
        self.check_assignee(tx, assignee).await?;
        let listed = ListedIssue {
            id: tx.ctx().new_id(),
            project_id,
            number,
            title,
            status: Status::default(),
            priority,
            assignee,
            labels: Vec::new(),
            comment_count: 0,
            created_by: author,
            created_at: now,
            updated_at: now,
        };
        let mut issue = Issue { listed, body };
        store::issue::insert(tx.conn(), workspace, &issue).await?;
        publish(tx, &IssueCreated { issue: issue.subject(author) }).await?;
        record(tx, author, about(ISSUE_CREATED, &issue)).await?;
        let labels = in_order(labels);
        self.relabel(tx, author, &issue, &labels).await?;
        issue.listed.labels = labels;
        Ok(issue)
    }

    /// The issues of a project that the filter lets through, in its order.
    ///
    /// # Errors
    /// `not_found` without such a project; `malformed_cursor`.
    pub async fn issues(
        &self,
        tx: &mut TenantTx,
        project: ProjectId,
        filter: &IssueFilter,
        page: &PageRequest,
    ) -> Result<Items<ListedIssue>, kernel_core::Error> {
        let workspace = tx.workspace_id();
        if !store::project::exists(tx.conn(), workspace, project).await? {
            return Err(kernel_core::Error::not_found());
        }
        let assignee = match filter.assignee {
            None => None,
            Some(Assignee::User(user)) => Some(user),
            Some(Assignee::Me) => match tx.ctx().actor().user() {
                Some(user) => Some(user),
                // Whoever is no person has nothing assigned.
                None => return Ok(page.items(Vec::new(), |_: &ListedIssue| ())),
            },
        };
        let text = filter.q.as_ref().map(SearchText::as_str).filter(|text| !text.trim().is_empty());
        let order = match (filter.sort, text) {
            (None, Some(_)) => BEST_FIRST,
            (None, None) => NEWEST_FIRST,
            // Without words all match alike.
            (Some(Sort { key: IssueOrder::Relevance, descending }), None) => {
                Sort { descending, ..NEWEST_FIRST }
            }
            (Some(order), _) => order,
        };
        let wanted = store::issue::Wanted {
            project,
            status: filter.status,
            priority: filter.priority,
            assignee,
            label: filter.label,
            text,
            order,
            after: page.after::<Position>()?,
            limit: page.fetch(),
        };
        let rows = store::issue::list(tx.conn(), workspace, wanted).await?;
        let Items { items, next_cursor, has_more } = page.items(rows, |issue| Position::of(order.key, issue));
        let mut items: Vec<_> = items.into_iter().map(|issue| issue.listed).collect();
        fill(tx, &mut items).await?;
        Ok(Items { items, next_cursor, has_more })
    }

    /// An issue.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn issue(&self, tx: &mut TenantTx, id: IssueId) -> Result<Issue, kernel_core::Error> {
        let workspace = tx.workspace_id();
        let issue = store::issue::find(tx.conn(), workspace, id).await?;
        let mut issue = issue.ok_or_else(kernel_core::Error::not_found)?;
        fill(tx, std::slice::from_mut(&mut issue.listed)).await?;
        Ok(issue)
    }

    /// Changes an issue.
    ///
    /// # Errors
    /// `not_found`, [`Error::AssigneeNotMember`], [`Error::LabelUnknown`].
    pub async fn update_issue(
        &self,
        tx: &mut TenantTx,
        id: IssueId,
        edit: EditIssue,
    ) -> Result<Issue, kernel_core::Error> {
        let (workspace, now, me) = (tx.workspace_id(), tx.ctx().now(), tx.ctx().actor().user());
        let old = self.lock_issue(tx, id).await?;
        let mut new = old.clone();
        new.body = edit.body.unwrap_or(new.body);
        new.listed.title = edit.title.unwrap_or(new.listed.title);
        new.listed.status = edit.status.unwrap_or(new.listed.status);
        new.listed.priority = edit.priority.unwrap_or(new.listed.priority);
        new.listed.assignee = edit.assignee.over(new.listed.assignee);
        new.listed.labels = edit.labels.map_or(new.listed.labels, in_order);
        if new == old {
            return Ok(old);
        }
        // Somebody who has left may stay the assignee, but cannot become it.
        if new.listed.assignee != old.listed.assignee {
            self.check_assignee(tx, new.listed.assignee).await?;
        }
        new.listed.updated_at = now;
        store::issue::update(tx.conn(), workspace, &new).await?;
        self.relabel(tx, me, &old, &new.listed.labels).await?;
        let (from, to) = (old.listed.status, new.listed.status);
        if from != to {
            publish(tx, &IssueMoved { issue: new.subject(me), from, to }).await?;
            record(tx, me, about(ISSUE_MOVED, &new).word("status", to.name())).await?;
        }
        let (from, to) = (old.listed.assignee, new.listed.assignee);
        if from != to {
            publish(tx, &IssueAssigned { issue: new.subject(me), from, to }).await?;
            record(tx, me, about(ISSUE_ASSIGNED, &new).person("assignee", to)).await?;
        }
        Ok(new)
    }

    /// Deletes an issue.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete_issue(&self, tx: &mut TenantTx, id: IssueId) -> Result<Issue, kernel_core::Error> {
        let workspace = tx.workspace_id();
        let issue = self.lock_issue(tx, id).await?;
        store::issue::delete(tx.conn(), workspace, id).await?;
        let entry = AuditEntry::new(action::ISSUE_DELETE).target("issue", id);
        audit(tx, entry.detail("number", issue.listed.number)).await?;
        let me = tx.ctx().actor().user();
        publish(tx, &IssueDeleted { issue: issue.subject(me) }).await?;
        record(tx, me, about(ISSUE_DELETED, &issue).number("number", issue.listed.number)).await?;
        Ok(issue)
    }

    /// The issue, locked until the transaction ends.
    async fn lock_issue(&self, tx: &mut TenantTx, id: IssueId) -> Result<Issue, kernel_core::Error> {
        let workspace = tx.workspace_id();
        let issue = store::issue::lock(tx.conn(), workspace, id).await?;
        let mut issue = issue.ok_or_else(kernel_core::Error::not_found)?;
        fill(tx, std::slice::from_mut(&mut issue.listed)).await?;
        Ok(issue)
    }

    async fn check_assignee(
        &self,
        tx: &mut TenantTx,
        assignee: Option<UserId>,
    ) -> Result<(), kernel_core::Error> {
        match assignee {
            Some(user) if !self.tenancy.is_member(tx, user).await? => Err(Error::AssigneeNotMember.into()),
            _ => Ok(()),
        }
    }
}

/// Each label once.
fn in_order(labels: Vec<LabelId>) -> Vec<LabelId> {
    BTreeSet::from_iter(labels).into_iter().collect()
}

/// Adds what other tables know of the issues.
async fn fill(tx: &mut TenantTx, issues: &mut [ListedIssue]) -> Result<(), kernel_core::Error> {
    let workspace = tx.workspace_id();
    let ids: Vec<_> = issues.iter().map(|issue| issue.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let counts: HashMap<_, _> =
        store::comment::count(tx.conn(), workspace, &ids).await?.into_iter().collect();
    let mut labels: HashMap<_, Vec<_>> = HashMap::new();
    for (issue, label) in store::label::on_issues(tx.conn(), workspace, &ids).await? {
        labels.entry(issue).or_default().push(label);
    }
    for issue in issues {
        issue.comment_count = counts.get(&issue.id).copied().unwrap_or_default();
        issue.labels = labels.remove(&issue.id).unwrap_or_default();
    }
    Ok(())
}
