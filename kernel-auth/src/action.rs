//! What the audit log tells of this pillar.

use kernel_core::AuditAction;

pub(crate) const LOG_IN: AuditAction = AuditAction::new("auth.log_in");
pub(crate) const LOG_OUT: AuditAction = AuditAction::new("auth.log_out");
pub(crate) const SIGN_UP: AuditAction = AuditAction::new("auth.sign_up");

pub(crate) const ALL: &[AuditAction] = &[LOG_IN, LOG_OUT, SIGN_UP];
