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
    /// Write issues down by the file.
    pub ISSUE_IMPORT = "tracker.issue.import" for Member;
    /// See what people say about issues.
    pub COMMENT_READ = "tracker.comment.read" for Viewer;
    /// Say something about issues.
    pub COMMENT_CREATE = "tracker.comment.create" for Member;
    /// Change what one has said oneself.
    pub COMMENT_UPDATE = "tracker.comment.update" for Member;
    /// Take back what one has said oneself.
    pub COMMENT_DELETE = "tracker.comment.delete" for Member;
    /// Delete what others have said.
    pub COMMENT_MODERATE = "tracker.comment.moderate" for Admin;
    /// See labels.
    pub LABEL_READ = "tracker.label.read" for Viewer;
    /// Make labels.
    pub LABEL_CREATE = "tracker.label.create" for Member;
    /// Rename and recolour labels.
    pub LABEL_UPDATE = "tracker.label.update" for Member;
    /// Delete labels, and take them off all issues.
    pub LABEL_DELETE = "tracker.label.delete" for Admin;
    /// See the log lines of a request, where people develop.
    pub LOG_READ = "tracker.log.read" for Owner;
}
