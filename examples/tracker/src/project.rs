//! Projects: starting, seeing, renaming, deleting.

use chrono::{DateTime, Utc};
use garde::Validate;
use kernel_core::http::{Items, PageRequest};
use kernel_core::{ActivityEntry, AuditEntry, Id, Noun, TenantTx, Tx, UserId, audit, publish, violates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action;
use crate::activity::{PROJECT_CREATED, PROJECT_DELETED, record};
use crate::error::Error;
use crate::event::{ProjectCreated, ProjectDeleted};
use crate::job::PurgeProject;
use crate::store;
use crate::text::{PRINTABLE, SAYING_SOMETHING, present, printable, saying_something};
use crate::tracker::Tracker;

/// Names projects.
#[derive(Debug)]
pub enum ProjectNoun {}

impl Noun for ProjectNoun {
    const PREFIX: &'static str = "proj";
}

/// The id of a project.
pub type ProjectId = Id<ProjectNoun>;

/// A project, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// What the numbers of its issues start with.
    pub key: String,
    /// Its name.
    pub name: String,
    /// What it is about; may be empty.
    pub description: String,
    /// How many of its issues are not done.
    pub open_issue_count: i64,
    /// Who started it; `null` for the system.
    pub created_by: Option<UserId>,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When it was last renamed or described.
    pub updated_at: DateTime<Utc>,
}

/// What starting a project takes.
#[derive(Debug, Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// Its name.
    #[garde(length(chars, min = 1, max = 80), custom(saying_something))]
    #[schemars(length(min = 1, max = 80), regex(pattern = SAYING_SOMETHING))]
    pub name: String,
    /// 2 to 6 capital letters, unique in the workspace.
    #[garde(custom(key_form))]
    #[schemars(regex(pattern = r"^[A-Z]{2,6}$"))]
    pub key: String,
    /// What it is about.
    #[serde(default)]
    #[garde(length(chars, max = 500), custom(printable))]
    #[schemars(length(max = 500), regex(pattern = PRINTABLE))]
    pub description: String,
}

/// What can be changed about a project.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct EditProject {
    /// Its name.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(length(chars, min = 1, max = 80), custom(saying_something)))]
    #[schemars(with = "String", length(min = 1, max = 80), regex(pattern = SAYING_SOMETHING))]
    pub name: Option<String>,
    /// What it is about.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(length(chars, max = 500), custom(printable)))]
    #[schemars(with = "String", length(max = 500), regex(pattern = PRINTABLE))]
    pub description: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde passes its context by reference")]
fn key_form(key: &str, (): &()) -> garde::Result {
    let capitals = key.bytes().all(|byte| byte.is_ascii_uppercase());
    if capitals && (2..=6).contains(&key.len()) {
        Ok(())
    } else {
        Err(garde::Error::new("tracker.field.key_form"))
    }
}

impl Tracker {
    /// Starts a project.
    ///
    /// # Errors
    /// [`Error::KeyTaken`].
    pub async fn create_project(
        &self,
        tx: &mut TenantTx,
        new: NewProject,
    ) -> Result<Project, kernel_core::Error> {
        let author = tx.ctx().actor().user();
        self.start_project(tx, author, new).await
    }

    /// The same in the name of somebody else, for hooks and seeds.
    pub(crate) async fn start_project(
        &self,
        tx: &mut TenantTx,
        author: Option<UserId>,
        new: NewProject,
    ) -> Result<Project, kernel_core::Error> {
        let (workspace, now) = (tx.workspace_id(), tx.ctx().now());
        let project = Project {
            id: tx.ctx().new_id(),
            key: new.key,
            name: new.name,
            description: new.description,
            open_issue_count: 0,
            created_by: author,
            created_at: now,
            updated_at: now,
        };
        store::project::insert(tx.conn(), workspace, &project).await.map_err(
            |error| -> kernel_core::Error {
                let taken = violates(&error, "project_key");
                if taken { Error::KeyTaken { key: project.key.clone() }.into() } else { error.into() }
            },
        )?;
        publish(tx, &ProjectCreated { project_id: project.id }).await?;
        record(tx, author, ActivityEntry::new(PROJECT_CREATED, "project", project.id)).await?;
        Ok(project)
    }

    /// The projects of the workspace, the oldest first.
    ///
    /// # Errors
    /// When the cursor is not one of this list.
    pub async fn projects(
        &self,
        tx: &mut TenantTx,
        page: &PageRequest,
    ) -> Result<Items<Project>, kernel_core::Error> {
        let (workspace, after) = (tx.workspace_id(), page.after()?);
        let rows = store::project::list(tx.conn(), workspace, after, page.fetch()).await?;
        Ok(page.items(rows, |project| (project.created_at, project.id)))
    }

    /// A project.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn project(&self, tx: &mut TenantTx, id: ProjectId) -> Result<Project, kernel_core::Error> {
        let workspace = tx.workspace_id();
        store::project::find(tx.conn(), workspace, id).await?.ok_or_else(kernel_core::Error::not_found)
    }

    /// Renames or describes a project.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn update_project(
        &self,
        tx: &mut TenantTx,
        id: ProjectId,
        edit: EditProject,
    ) -> Result<Project, kernel_core::Error> {
        let (workspace, now) = (tx.workspace_id(), tx.ctx().now());
        let EditProject { name, description } = edit;
        store::project::update(tx.conn(), workspace, id, name, description, now).await?;
        self.project(tx, id).await
    }

    /// Takes a project out of sight. A job removes what it holds.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete_project(&self, tx: &mut TenantTx, id: ProjectId) -> Result<(), kernel_core::Error> {
        let (workspace, now) = (tx.workspace_id(), tx.ctx().now());
        if !store::project::mark_deleted(tx.conn(), workspace, id, now).await? {
            return Err(kernel_core::Error::not_found());
        }
        audit(tx, AuditEntry::new(action::PROJECT_DELETE).target("project", id)).await?;
        publish(tx, &ProjectDeleted { project_id: id }).await?;
        let me = tx.ctx().actor().user();
        record(tx, me, ActivityEntry::new(PROJECT_DELETED, "project", id)).await?;
        kernel_jobs::enqueue(tx, &PurgeProject { project_id: id }).await?;
        Ok(())
    }
}
