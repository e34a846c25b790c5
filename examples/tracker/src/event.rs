//! What the tracker announces.

use kernel_core::{Event, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::issue::{IssueId, Status};
use crate::project::ProjectId;

/// A project has been started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectCreated {
    /// The project.
    pub project_id: ProjectId,
}

impl Event for ProjectCreated {
    const NAME: &'static str = "tracker.project.created";

    fn aggregate(&self) -> Uuid {
        self.project_id.uuid()
    }
}

/// A project is out of sight, and its issues with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectDeleted {
    /// The project.
    pub project_id: ProjectId,
}

impl Event for ProjectDeleted {
    const NAME: &'static str = "tracker.project.deleted";

    fn aggregate(&self) -> Uuid {
        self.project_id.uuid()
    }
}

/// Which issue an event is about, and who caused it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The issue.
    pub issue_id: IssueId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its number there.
    pub number: i64,
    /// The person who did it; nobody for the system.
    pub user_id: Option<UserId>,
}

/// An issue has been written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueCreated {
    /// Which one.
    pub issue: Subject,
}

impl Event for IssueCreated {
    const NAME: &'static str = "tracker.issue.created";

    fn aggregate(&self) -> Uuid {
        self.issue.issue_id.uuid()
    }
}

/// An issue has another status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueMoved {
    /// Which one.
    pub issue: Subject,
    /// The status before.
    pub from: Status,
    /// The status now.
    pub to: Status,
}

impl Event for IssueMoved {
    const NAME: &'static str = "tracker.issue.moved";

    fn aggregate(&self) -> Uuid {
        self.issue.issue_id.uuid()
    }
}

/// An issue is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueDeleted {
    /// Which one.
    pub issue: Subject,
}

impl Event for IssueDeleted {
    const NAME: &'static str = "tracker.issue.deleted";

    fn aggregate(&self) -> Uuid {
        self.issue.issue_id.uuid()
    }
}
