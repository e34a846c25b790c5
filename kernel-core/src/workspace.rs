//! The evidence that a request may work in a workspace, and what it may do there.

use std::fmt;

use crate::id::WorkspaceId;
use crate::role::{Permission, Role};

/// Evidence that the kernel has resolved a workspace and let the actor in.
///
/// Only the kernel makes one (the request chain, the job runner, [`GlobalTx::found`](crate::GlobalTx::found)), so a function
/// that takes a `&Workspace` cannot be reached with an id out of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Workspace {
    id: WorkspaceId,
    slug: String,
    status: WorkspaceStatus,
    placement: usize,
}

/// What a workspace lets its members do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkspaceStatus {
    /// Everything that their roles allow.
    Active,
    /// Reading only: an expired trial, an unpaid bill.
    ReadOnly,
    /// Reading only, decided by staff.
    Suspended,
    /// Waiting for its final deletion; nobody gets in.
    Deleting,
}

impl WorkspaceStatus {
    /// Reads the text that the database holds.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::ReadOnly, Self::Suspended, Self::Deleting].into_iter().find(|s| s.name() == name)
    }

    /// The text that the database holds.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReadOnly => "read_only",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
        }
    }
}

impl Workspace {
    pub(crate) fn minted(id: WorkspaceId, slug: String, status: WorkspaceStatus, placement: usize) -> Self {
        Self { id, slug, status, placement }
    }

    /// The workspace's id.
    #[must_use]
    pub fn id(&self) -> WorkspaceId {
        self.id
    }

    /// The name that URLs use; empty where the workspace was entered by id alone (a job, a staff action).
    #[must_use]
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// Whether members may write.
    #[must_use]
    pub fn status(&self) -> WorkspaceStatus {
        self.status
    }

    pub(crate) fn placement(&self) -> usize {
        self.placement
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace")
            .field("id", &self.id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What the actor of this request may do in its workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    workspace: Workspace,
    role: Role,
}

impl Grant {
    pub(crate) fn minted(workspace: Workspace, role: Role) -> Self {
        Self { workspace, role }
    }

    /// The workspace entered.
    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The actor's role there.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the role holds `permission`.
    #[must_use]
    pub fn holds(&self, permission: Permission) -> bool {
        permission.held_by(self.role)
    }
}
