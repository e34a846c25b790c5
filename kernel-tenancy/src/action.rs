//! What the audit log tells of this pillar.

use kernel_core::AuditAction;

pub(crate) const AUDIT_LOG_EXPORT: AuditAction = AuditAction::new("tenancy.audit_log.export");
pub(crate) const MEMBER_JOIN: AuditAction = AuditAction::new("tenancy.member.join");
pub(crate) const MEMBER_ROLE: AuditAction = AuditAction::new("tenancy.member.role");
pub(crate) const WORKSPACE_CREATE: AuditAction = AuditAction::new("tenancy.workspace.create");
pub(crate) const WORKSPACE_UPDATE: AuditAction = AuditAction::new("tenancy.workspace.update");

pub(crate) const ALL: &[AuditAction] =
    &[AUDIT_LOG_EXPORT, MEMBER_JOIN, MEMBER_ROLE, WORKSPACE_CREATE, WORKSPACE_UPDATE];
