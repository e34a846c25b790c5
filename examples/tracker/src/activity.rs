//! What the tracker tells the activity feed, and what its things are called there.

use kernel_core::activity::{
    self, ActivityEntry, ActivityFilter, ActivityKind, ActivityRecord, Thing, Things,
};
use kernel_core::http::{Items, PageRequest};
use kernel_core::{Error, Id, Pillar, TenantTx, Tx, UserId, WorkspaceId};
use kernel_tenancy::Activity;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::issue::{Issue, IssueId};
use crate::permission::{COMMENT_READ, ISSUE_READ, PROJECT_READ};
use crate::project::ProjectId;
use crate::store;
use crate::tracker::Tracker;

/// Somebody has said something about an issue.
pub(crate) const COMMENT_CREATED: ActivityKind = ActivityKind::new("tracker.comment.created", COMMENT_READ);
/// An issue has another assignee, or none.
pub(crate) const ISSUE_ASSIGNED: ActivityKind = ActivityKind::new("tracker.issue.assigned", ISSUE_READ);
/// An issue has been written down.
pub(crate) const ISSUE_CREATED: ActivityKind = ActivityKind::new("tracker.issue.created", ISSUE_READ);
/// An issue is gone.
pub(crate) const ISSUE_DELETED: ActivityKind = ActivityKind::new("tracker.issue.deleted", ISSUE_READ);
/// Many issues have been written down at once.
pub(crate) const ISSUE_IMPORTED: ActivityKind = ActivityKind::new("tracker.issue.imported", ISSUE_READ);
/// An issue has a label that it had not.
pub(crate) const ISSUE_LABELLED: ActivityKind = ActivityKind::new("tracker.issue.labelled", ISSUE_READ);
/// An issue has another status.
pub(crate) const ISSUE_MOVED: ActivityKind = ActivityKind::new("tracker.issue.moved", ISSUE_READ);
/// An issue has a label no more.
pub(crate) const ISSUE_UNLABELLED: ActivityKind = ActivityKind::new("tracker.issue.unlabelled", ISSUE_READ);
/// A project has been started.
pub(crate) const PROJECT_CREATED: ActivityKind = ActivityKind::new("tracker.project.created", PROJECT_READ);
/// A project is gone, and its issues with it.
pub(crate) const PROJECT_DELETED: ActivityKind = ActivityKind::new("tracker.project.deleted", PROJECT_READ);

const ALL: &[ActivityKind] = &[
    COMMENT_CREATED,
    ISSUE_ASSIGNED,
    ISSUE_CREATED,
    ISSUE_DELETED,
    ISSUE_IMPORTED,
    ISSUE_LABELLED,
    ISSUE_MOVED,
    ISSUE_UNLABELLED,
    PROJECT_CREATED,
    PROJECT_DELETED,
];

/// Declares all of it.
pub(crate) fn declare(pillar: Pillar) -> Pillar {
    pillar
        .activities(ALL)
        .names("issue", IssueNames)
        .names("label", LabelNames)
        .names("project", ProjectNames)
}

/// An entry about an issue.
pub(crate) fn about(kind: ActivityKind, issue: &Issue) -> ActivityEntry {
    ActivityEntry::new(kind, "issue", issue.listed.id).within("project", issue.listed.project_id)
}

/// Writes an entry in the name of this person: whoever acts, or whom a hook or a seed acts for.
pub(crate) async fn record(
    tx: &mut TenantTx,
    author: Option<UserId>,
    entry: ActivityEntry,
) -> Result<(), Error> {
    let acts = tx.ctx().actor().user() == author;
    activity::record(tx, if acts { entry } else { entry.by(author) }).await?;
    Ok(())
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
        let workspace = tx.workspace_id();
        if !store::project::exists(tx.conn(), workspace, project).await? {
            return Err(Error::not_found());
        }
        let within = ActivityFilter { within: Some(project.uuid()), ..ActivityFilter::default() };
        self.tenancy.activity(tx, &within, page).await
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
        self.issue(tx, issue).await?;
        self.tenancy.activity(tx, &of_issue(issue), page).await
    }

    /// The latest entries about an issue that is in sight, at most `limit` of them.
    pub(crate) async fn latest_activity(
        &self,
        tx: &mut TenantTx,
        issue: IssueId,
        limit: i64,
    ) -> Result<Vec<ActivityRecord>, Error> {
        Ok(activity::list(tx, &of_issue(issue), None, limit).await?)
    }
}

fn of_issue(issue: IssueId) -> ActivityFilter {
    ActivityFilter { target: Some(issue.uuid()), ..ActivityFilter::default() }
}

struct IssueNames;
struct LabelNames;
struct ProjectNames;

fn typed<N>(ids: &[Uuid]) -> Vec<Id<N>> {
    ids.iter().copied().map(Id::from_uuid).collect()
}

#[async_trait::async_trait]
impl Things for IssueNames {
    async fn things(
        &self,
        conn: &mut PgConnection,
        workspace: WorkspaceId,
        ids: &[Uuid],
    ) -> Result<Vec<Thing>, Error> {
        let found = store::issue::names(conn, workspace, &typed(ids)).await?;
        let named = |(id, key, number, title): (IssueId, String, i64, String)| {
            Thing::new(id.uuid(), format!("{key}-{number} {title}")).at(format!("/issues/{id}"))
        };
        Ok(found.into_iter().map(named).collect())
    }
}

#[async_trait::async_trait]
impl Things for LabelNames {
    async fn things(
        &self,
        conn: &mut PgConnection,
        workspace: WorkspaceId,
        ids: &[Uuid],
    ) -> Result<Vec<Thing>, Error> {
        let found = store::label::find_all(conn, workspace, &typed(ids)).await?;
        Ok(found.into_iter().map(|label| Thing::new(label.id.uuid(), label.name)).collect())
    }
}

#[async_trait::async_trait]
impl Things for ProjectNames {
    async fn things(
        &self,
        conn: &mut PgConnection,
        workspace: WorkspaceId,
        ids: &[Uuid],
    ) -> Result<Vec<Thing>, Error> {
        let found = store::project::names(conn, workspace, &typed(ids)).await?;
        let named =
            |(id, name): (ProjectId, String)| Thing::new(id.uuid(), name).at(format!("/projects/{id}"));
        Ok(found.into_iter().map(named).collect())
    }
}
