//! What has happened in a project: written by subscribers, after the fact.

use chrono::{DateTime, Utc};
use kernel_core::event::{Delivered, EventId};
use kernel_core::http::{Items, PageRequest};
use kernel_core::{Error, Event, Subscriber, TenantTx, Tx, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::comment::CommentId;
use crate::event::{
    CommentCreated, IssueAssigned, IssueCreated, IssueDeleted, IssueLabelled, IssueMoved, IssueUnlabelled,
    IssuesImported, Subject,
};
use crate::issue::IssueId;
use crate::label::LabelId;
use crate::project::ProjectId;
use crate::store;
use crate::tracker::Tracker;

/// One thing that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct Activity {
    /// The id of the event that told it.
    pub id: EventId,
    /// The issue it happened to, which may be gone by now; `null` for an import.
    pub issue_id: Option<IssueId>,
    /// The issue's number; `null` for an import.
    pub issue_number: Option<i64>,
    /// `created`, `moved`, `assigned`, `labelled`, `unlabelled`, `commented`, `deleted` or `imported`.
    pub kind: String,
    /// The status that the issue was moved to.
    pub status: Option<String>,
    /// Whom the issue was assigned to; `null` for nobody.
    pub assignee_id: Option<UserId>,
    /// The label that was put on or taken off, which may be gone by now.
    pub label_id: Option<LabelId>,
    /// The comment, which may be gone by now.
    pub comment_id: Option<CommentId>,
    /// How many issues were imported.
    pub issue_count: Option<i64>,
    /// Who did it; `null` for the system.
    pub user_id: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl Tracker {
    /// What has happened in a project, the latest first.
    ///
    /// # Errors
    /// `not_found` without such a project; `malformed_cursor`.
    pub async fn activity(
        &self,
        tx: &mut TenantTx,
        project: ProjectId,
        page: &PageRequest,
    ) -> Result<Items<Activity>, Error> {
        let (workspace, after) = (tx.workspace_id(), page.after()?);
        if !store::project::exists(tx.conn(), workspace, project).await? {
            return Err(Error::not_found());
        }
        let rows = store::activity::list(tx.conn(), workspace, project, after, page.fetch()).await?;
        Ok(page.items(rows, |entry| (entry.created_at, entry.id)))
    }

    /// What has happened to an issue, the latest first.
    ///
    /// # Errors
    /// `not_found` without such an issue; `malformed_cursor`.
    pub async fn issue_activity(
        &self,
        tx: &mut TenantTx,
        issue: IssueId,
        page: &PageRequest,
    ) -> Result<Items<Activity>, Error> {
        let (workspace, after) = (tx.workspace_id(), page.after()?);
        self.issue(tx, issue).await?;
        let rows = store::activity::list_of_issue(tx.conn(), workspace, issue, after, page.fetch()).await?;
        Ok(page.items(rows, |entry| (entry.created_at, entry.id)))
    }

    /// The latest entries about an issue that is in sight, at most `limit` of them.
    pub(crate) async fn latest_activity(
        &self,
        tx: &mut TenantTx,
        issue: IssueId,
        limit: i64,
    ) -> Result<Vec<Activity>, Error> {
        let workspace = tx.workspace_id();
        Ok(store::activity::list_of_issue(tx.conn(), workspace, issue, None, limit).await?)
    }
}

/// The subscribers that write the entries.
pub(crate) fn subscribers() -> [Subscriber; 8] {
    [
        Subscriber::new("tracker.activity.issue_created", (), issue_created),
        Subscriber::new("tracker.activity.issue_moved", (), issue_moved),
        Subscriber::new("tracker.activity.issue_assigned", (), issue_assigned),
        Subscriber::new("tracker.activity.issue_labelled", (), issue_labelled),
        Subscriber::new("tracker.activity.issue_unlabelled", (), issue_unlabelled),
        Subscriber::new("tracker.activity.comment_created", (), comment_created),
        Subscriber::new("tracker.activity.issue_deleted", (), issue_deleted),
        Subscriber::new("tracker.activity.issues_imported", (), issues_imported),
    ]
}

async fn issue_created((): (), tx: &mut TenantTx, told: Delivered<IssueCreated>) -> Result<(), Error> {
    let issue = &told.event.issue;
    note(tx, issue.project_id, &about(&told, issue, "created")).await
}

async fn issue_moved((): (), tx: &mut TenantTx, told: Delivered<IssueMoved>) -> Result<(), Error> {
    let issue = &told.event.issue;
    let status = Some(told.event.to.name().to_owned());
    note(tx, issue.project_id, &Activity { status, ..about(&told, issue, "moved") }).await
}

async fn issue_assigned((): (), tx: &mut TenantTx, told: Delivered<IssueAssigned>) -> Result<(), Error> {
    let issue = &told.event.issue;
    let assignee_id = told.event.to;
    note(tx, issue.project_id, &Activity { assignee_id, ..about(&told, issue, "assigned") }).await
}

async fn issue_labelled((): (), tx: &mut TenantTx, told: Delivered<IssueLabelled>) -> Result<(), Error> {
    let issue = &told.event.issue;
    let label_id = Some(told.event.label_id);
    note(tx, issue.project_id, &Activity { label_id, ..about(&told, issue, "labelled") }).await
}

async fn issue_unlabelled((): (), tx: &mut TenantTx, told: Delivered<IssueUnlabelled>) -> Result<(), Error> {
    let issue = &told.event.issue;
    let label_id = Some(told.event.label_id);
    note(tx, issue.project_id, &Activity { label_id, ..about(&told, issue, "unlabelled") }).await
}

async fn comment_created((): (), tx: &mut TenantTx, told: Delivered<CommentCreated>) -> Result<(), Error> {
    let issue = &told.event.issue;
    let comment_id = Some(told.event.comment_id);
    note(tx, issue.project_id, &Activity { comment_id, ..about(&told, issue, "commented") }).await
}

async fn issue_deleted((): (), tx: &mut TenantTx, told: Delivered<IssueDeleted>) -> Result<(), Error> {
    let issue = &told.event.issue;
    note(tx, issue.project_id, &about(&told, issue, "deleted")).await
}

async fn issues_imported((): (), tx: &mut TenantTx, told: Delivered<IssuesImported>) -> Result<(), Error> {
    let IssuesImported { project_id, count, user_id, .. } = told.event;
    note(tx, project_id, &Activity { issue_count: Some(count), ..entry(&told, "imported", user_id) }).await
}

fn about<E: Event>(told: &Delivered<E>, issue: &Subject, kind: &str) -> Activity {
    Activity {
        issue_id: Some(issue.issue_id),
        issue_number: Some(issue.number),
        ..entry(told, kind, issue.user_id)
    }
}

fn entry<E: Event>(told: &Delivered<E>, kind: &str, user_id: Option<UserId>) -> Activity {
    Activity {
        id: told.id,
        issue_id: None,
        issue_number: None,
        kind: kind.to_owned(),
        status: None,
        assignee_id: None,
        label_id: None,
        comment_id: None,
        issue_count: None,
        user_id,
        created_at: told.at,
    }
}

async fn note(tx: &mut TenantTx, project: ProjectId, entry: &Activity) -> Result<(), Error> {
    let workspace = tx.workspace_id();
    store::activity::insert(tx.conn(), workspace, project, entry).await?;
    Ok(())
}
