//! What this pillar announces.

use kernel_core::{Event, Role, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A workspace has been founded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceCreated {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Who founded it.
    pub owner_id: UserId,
}

impl Event for WorkspaceCreated {
    const NAME: &'static str = "tenancy.workspace.created";

    fn aggregate(&self) -> Uuid {
        self.workspace_id.uuid()
    }
}

/// Someone has another role, or their first one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleChanged {
    /// Whose role.
    pub user_id: UserId,
    /// The role that they have now.
    pub role: Role,
}

impl Event for RoleChanged {
    const NAME: &'static str = "tenancy.role.changed";

    fn aggregate(&self) -> Uuid {
        self.user_id.uuid()
    }
}
