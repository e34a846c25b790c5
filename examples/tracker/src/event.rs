//! What the tracker announces.

use kernel_core::{Event, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::comment::CommentId;
use crate::issue::{IssueId, Status};
use crate::label::LabelId;
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

/// An issue has another assignee, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueAssigned {
    /// Which one.
    pub issue: Subject,
    /// Who took care of it before.
    pub from: Option<UserId>,
    /// Who does now.
    pub to: Option<UserId>,
}

impl Event for IssueAssigned {
    const NAME: &'static str = "tracker.issue.assigned";

    fn aggregate(&self) -> Uuid {
        self.issue.issue_id.uuid()
    }
}

/// An issue has a label that it had not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueLabelled {
    /// Which one.
    pub issue: Subject,
    /// The label.
    pub label_id: LabelId,
}

impl Event for IssueLabelled {
    const NAME: &'static str = "tracker.issue.labelled";

    fn aggregate(&self) -> Uuid {
        self.issue.issue_id.uuid()
    }
}

/// An issue has a label no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueUnlabelled {
    /// Which one.
    pub issue: Subject,
    /// The label.
    pub label_id: LabelId,
}

impl Event for IssueUnlabelled {
    const NAME: &'static str = "tracker.issue.unlabelled";

    fn aggregate(&self) -> Uuid {
        self.issue.issue_id.uuid()
    }
}

/// Somebody has said something about an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentCreated {
    /// Which issue.
    pub issue: Subject,
    /// The comment.
    pub comment_id: CommentId,
}

impl Event for CommentCreated {
    const NAME: &'static str = "tracker.comment.created";

    fn aggregate(&self) -> Uuid {
        self.issue.issue_id.uuid()
    }
}

/// A comment says something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentUpdated {
    /// Which issue.
    pub issue: Subject,
    /// The comment.
    pub comment_id: CommentId,
}

impl Event for CommentUpdated {
    const NAME: &'static str = "tracker.comment.updated";

    fn aggregate(&self) -> Uuid {
        self.issue.issue_id.uuid()
    }
}

/// A comment is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentDeleted {
    /// Which issue.
    pub issue: Subject,
    /// The comment.
    pub comment_id: CommentId,
}

impl Event for CommentDeleted {
    const NAME: &'static str = "tracker.comment.deleted";

    fn aggregate(&self) -> Uuid {
        self.issue.issue_id.uuid()
    }
}

/// Many issues have been written down at once: one event for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuesImported {
    /// Their project.
    pub project_id: ProjectId,
    /// The number of the first one there.
    pub first_number: i64,
    /// How many there are; their numbers follow each other.
    pub count: i64,
    /// The person who did it; nobody for the system.
    pub user_id: Option<UserId>,
}

impl Event for IssuesImported {
    const NAME: &'static str = "tracker.issue.imported";

    fn aggregate(&self) -> Uuid {
        self.project_id.uuid()
    }
}
