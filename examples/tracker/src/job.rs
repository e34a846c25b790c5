//! Work that is done after the answer.

use kernel_core::{Error, Job, TenantTx, Tx};
use serde::{Deserialize, Serialize};

use crate::project::ProjectId;
use crate::store;

/// How many rows one attempt removes, so that no transaction takes long.
const BATCH: i64 = 1000;

/// Removes what a deleted project holds, and then the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeProject {
    /// The project.
    pub project_id: ProjectId,
}

impl Job for PurgeProject {
    const KIND: &'static str = "tracker.purge_project";
}

pub(crate) async fn purge_project((): (), tx: &mut TenantTx, job: PurgeProject) -> Result<(), Error> {
    let (workspace, project) = (tx.workspace_id(), job.project_id);
    let issues = store::issue::delete_of_project(tx.conn(), workspace, project, BATCH).await?;
    if issues == BATCH.unsigned_abs() {
        kernel_jobs::enqueue(tx, &job).await?;
    } else {
        store::project::delete(tx.conn(), workspace, project).await?;
    }
    Ok(())
}
