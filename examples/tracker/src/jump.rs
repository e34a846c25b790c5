//! Jumping: what a few typed letters may mean, anywhere in the workspace.

use kernel_core::{Error, TenantTx, Tx};

use crate::issue::{IssueId, Status};
use crate::project::ProjectId;
use crate::store;
use crate::tracker::Tracker;

/// How many things of each kind are offered.
const OFFERED: i64 = 8;

/// A project that is meant, perhaps.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ProjectFound {
    pub(crate) id: ProjectId,
    pub(crate) key: String,
    pub(crate) name: String,
}

/// An issue that is meant, perhaps.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct IssueFound {
    pub(crate) id: IssueId,
    pub(crate) key: String,
    pub(crate) number: i64,
    pub(crate) title: String,
    #[sqlx(try_from = "String")]
    pub(crate) status: Status,
}

impl Tracker {
    /// The projects with this text in their name, in capitals or not, or with this key; without a text the oldest.
    pub(crate) async fn projects_meant(
        &self,
        tx: &mut TenantTx,
        text: &str,
    ) -> Result<Vec<ProjectFound>, Error> {
        let workspace = tx.workspace_id();
        Ok(store::project::find_by_text(tx.conn(), workspace, text, OFFERED).await?)
    }

    /// The issues with this text in their title, in capitals or not, or with this number; without a text all. Those
    /// that were changed last come first.
    pub(crate) async fn issues_meant(&self, tx: &mut TenantTx, text: &str) -> Result<Vec<IssueFound>, Error> {
        let workspace = tx.workspace_id();
        Ok(store::issue::find_by_text(tx.conn(), workspace, text, OFFERED).await?)
    }
}
