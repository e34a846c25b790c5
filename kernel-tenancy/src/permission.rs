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
}
