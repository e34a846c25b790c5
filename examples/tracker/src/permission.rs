//! What a role may do in the tracker.

kernel_core::permissions! {
    /// See projects.
    pub PROJECT_READ = "tracker.project.read" for Viewer;
    /// Start projects.
    pub PROJECT_CREATE = "tracker.project.create" for Member;
    /// Rename and describe projects.
    pub PROJECT_UPDATE = "tracker.project.update" for Member;
    /// Delete projects with all their issues.
    pub PROJECT_DELETE = "tracker.project.delete" for Admin;
    /// See issues and what happened to them.
    pub ISSUE_READ = "tracker.issue.read" for Viewer;
    /// Write issues down.
    pub ISSUE_CREATE = "tracker.issue.create" for Member;
    /// Change issues.
    pub ISSUE_UPDATE = "tracker.issue.update" for Member;
    /// Delete issues.
    pub ISSUE_DELETE = "tracker.issue.delete" for Admin;
}
