//! Workspaces: founding, seeing, renaming.

use garde::Validate;
use kernel_core::activity::record;
use kernel_core::hook;
use kernel_core::http::{Items, PageRequest};
use kernel_core::rule::{SAYING_SOMETHING, saying_something};
use kernel_core::{
    ActivityEntry, AuditEntry, GlobalTx, Role, TenantTx, Tx, UserId, WorkspaceId, audit, publish, violates,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action;
use crate::activity::{WORKSPACE_CREATED, WORKSPACE_RENAMED};
use crate::error::Error;
use crate::event::WorkspaceCreated;
use crate::slug::Slug;
use crate::store;
use crate::tenancy::Tenancy;

/// How many of a person's workspaces are listed at once where there are no pages.
const MINE_MAX: i64 = 500;

/// A workspace, as its members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// The name that URLs use.
    pub slug: String,
    /// The name that people use.
    pub name: String,
    /// `active`, `read_only` or `suspended`.
    pub status: String,
}

/// A workspace that someone belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct MyWorkspace {
    /// The workspace.
    #[serde(flatten)]
    pub workspace: Workspace,
    /// Their role there.
    pub role: Role,
}

/// What founding a workspace takes.
#[derive(Debug, Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewWorkspace {
    /// The name that people use.
    #[garde(length(chars, min = 2, max = 100), custom(saying_something))]
    #[schemars(length(min = 2, max = 100), regex(pattern = SAYING_SOMETHING))]
    pub name: String,
    /// The name that URLs use.
    #[garde(skip)]
    pub slug: Slug,
}

/// What can be changed about a workspace.
#[derive(Debug, Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct EditWorkspace {
    /// The name that people use.
    #[garde(length(chars, min = 2, max = 100), custom(saying_something))]
    #[schemars(length(min = 2, max = 100), regex(pattern = SAYING_SOMETHING))]
    pub name: String,
}

impl Tenancy {
    /// Founds a workspace with `owner` as its first member, and runs the `on_workspace_created` hooks inside it.
    ///
    /// # Errors
    /// [`Error::SlugTaken`], or what a hook says; nothing exists then.
    pub async fn create(
        &self,
        tx: &mut GlobalTx,
        owner: UserId,
        new: NewWorkspace,
    ) -> Result<Workspace, kernel_core::Error> {
        let id: WorkspaceId = tx.ctx().new_id();
        tx.found(id, async |tx: &mut TenantTx| {
            let now = tx.ctx().now();
            let created = store::workspace::insert(tx.conn(), id, &new, now).await;
            let workspace = created.map_err(|error| -> kernel_core::Error {
                if violates(&error, "workspace_slug") { Error::SlugTaken.into() } else { error.into() }
            })?;
            self.join(tx, owner, Role::Owner).await?;
            audit(tx, AuditEntry::new(action::WORKSPACE_CREATE).target("workspace", id)).await?;
            record(tx, ActivityEntry::new(WORKSPACE_CREATED, "workspace", id).by(Some(owner))).await?;
            publish(tx, &WorkspaceCreated { workspace_id: id, owner_id: owner }).await?;
            let created = hook::WorkspaceCreated::new(id, new.slug.to_string(), owner);
            hook::workspace_created(tx, &created).await?;
            Ok(workspace)
        })
        .await
    }

    /// The workspaces that the transaction's actor belongs to, by name; at most 500. None for anybody but a user.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn list_mine(&self, tx: &mut impl Tx) -> Result<Vec<MyWorkspace>, kernel_core::Error> {
        let Some(user) = tx.ctx().actor().user() else { return Ok(Vec::new()) };
        Ok(store::workspace::list_of(tx.conn(), user, None, MINE_MAX).await?)
    }

    /// A page of the same.
    ///
    /// # Errors
    /// `malformed_cursor`; when the database refuses.
    pub async fn page_of_mine(
        &self,
        tx: &mut impl Tx,
        page: &PageRequest,
    ) -> Result<Items<MyWorkspace>, kernel_core::Error> {
        let after = page.after()?;
        let rows = match tx.ctx().actor().user() {
            Some(user) => store::workspace::list_of(tx.conn(), user, after.as_ref(), page.fetch()).await?,
            None => Vec::new(),
        };
        Ok(page.items(rows, |mine| (mine.workspace.name.clone(), mine.workspace.slug.clone())))
    }

    /// The workspace of the transaction.
    ///
    /// # Errors
    /// `not_found` when another pillar founded it and this one knows nothing of it.
    pub async fn show(&self, tx: &mut TenantTx) -> Result<Workspace, kernel_core::Error> {
        let id = tx.workspace_id();
        store::workspace::find(tx.conn(), id).await?.ok_or_else(kernel_core::Error::not_found)
    }

    /// Renames the workspace of the transaction.
    ///
    /// # Errors
    /// `not_found` when this pillar knows nothing of it.
    pub async fn rename(
        &self,
        tx: &mut TenantTx,
        edit: EditWorkspace,
    ) -> Result<Workspace, kernel_core::Error> {
        let (id, now) = (tx.workspace_id(), tx.ctx().now());
        let renamed = store::workspace::rename(tx.conn(), id, &edit.name, now).await?;
        audit(tx, AuditEntry::new(action::WORKSPACE_UPDATE).target("workspace", id)).await?;
        record(tx, ActivityEntry::new(WORKSPACE_RENAMED, "workspace", id)).await?;
        renamed.ok_or_else(kernel_core::Error::not_found)
    }
}
