//! What a role may do with its workspace.

kernel_core::permissions! {
    /// See the workspace.
    pub WORKSPACE_READ = "tenancy.workspace.read" for Viewer;
    /// Rename the workspace.
    pub WORKSPACE_UPDATE = "tenancy.workspace.update" for Admin;
    /// See who belongs to the workspace.
    pub MEMBER_READ = "tenancy.member.read" for Viewer;
    /// Change members' roles, and see their addresses.
    pub MEMBER_UPDATE = "tenancy.member.update" for Admin;
    /// See what has happened in the workspace, as far as one may see what it happened to.
    pub ACTIVITY_READ = "tenancy.activity.read" for Viewer;
    /// Read the audit log.
    pub AUDIT_LOG_READ = "tenancy.audit_log.read" for Admin;
    /// Take the audit log out as a file.
    pub AUDIT_LOG_EXPORT = "tenancy.audit_log.export" for Admin;
    /// See in the audit log from which address and browser something was done.
    pub AUDIT_LOG_PERSONAL = "tenancy.audit_log.personal" for Owner;
}
