//! What the audit log tells of this pillar.

use kernel_core::AuditAction;

pub(crate) const COMMENT_DELETE: AuditAction = AuditAction::new("tracker.comment.delete");
pub(crate) const ISSUE_DELETE: AuditAction = AuditAction::new("tracker.issue.delete");
pub(crate) const ISSUE_IMPORT: AuditAction = AuditAction::new("tracker.issue.import");
pub(crate) const LABEL_DELETE: AuditAction = AuditAction::new("tracker.label.delete");
pub(crate) const PROJECT_DELETE: AuditAction = AuditAction::new("tracker.project.delete");

pub(crate) const ALL: &[AuditAction] =
    &[COMMENT_DELETE, ISSUE_DELETE, ISSUE_IMPORT, LABEL_DELETE, PROJECT_DELETE];
