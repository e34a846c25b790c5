//! What a plan may include of this pillar.

kernel_core::features! {
    /// Take the audit log out as a file.
    pub AUDIT_LOG_EXPORT = "tenancy.audit_log_export";
}
