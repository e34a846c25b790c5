//! What has happened in a project: written by subscribers, after the fact.

use chrono::{DateTime, Utc};
use kernel_core::event::{Delivered, EventId};
use kernel_core::http::{Items, PageRequest};
use kernel_core::{Error, Event, TenantTx, Tx, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::event::{IssueCreated, IssueDeleted, IssueMoved, Subject};
use crate::issue::{IssueId, Status};
use crate::project::ProjectId;
use crate::store;
use crate::tracker::Tracker;

/// One thing that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct Activity {
    /// The id of the event that told it.
    pub id: EventId,
    /// The issue it happened to, which may be gone by now.
    pub issue_id: IssueId,
    /// The issue's number.
    pub issue_number: i64,
    /// `created`, `moved` or `deleted`.
    pub kind: String,
    /// The status that the issue was moved to.
    pub status: Option<String>,
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
}

pub(crate) async fn issue_created(
    (): (),
    tx: &mut TenantTx,
    told: Delivered<IssueCreated>,
) -> Result<(), Error> {
    let entry = entry(&told, &told.event.issue, "created", None);
    note(tx, told.event.issue.project_id, &entry).await
}

pub(crate) async fn issue_moved((): (), tx: &mut TenantTx, told: Delivered<IssueMoved>) -> Result<(), Error> {
    let entry = entry(&told, &told.event.issue, "moved", Some(told.event.to));
    note(tx, told.event.issue.project_id, &entry).await
}

pub(crate) async fn issue_deleted(
    (): (),
    tx: &mut TenantTx,
    told: Delivered<IssueDeleted>,
) -> Result<(), Error> {
    let entry = entry(&told, &told.event.issue, "deleted", None);
    note(tx, told.event.issue.project_id, &entry).await
}

fn entry<E: Event>(told: &Delivered<E>, issue: &Subject, kind: &str, status: Option<Status>) -> Activity {
    Activity {
        id: told.id,
        issue_id: issue.issue_id,
        issue_number: issue.number,
        kind: kind.to_owned(),
        status: status.map(|status| status.name().to_owned()),
        user_id: issue.user_id,
        created_at: told.at,
    }
}

async fn note(tx: &mut TenantTx, project: ProjectId, entry: &Activity) -> Result<(), Error> {
    let workspace = tx.workspace_id();
    store::activity::insert(tx.conn(), workspace, project, entry).await?;
    Ok(())
}
