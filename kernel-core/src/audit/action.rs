//! The names of deeds.

/// A deed that the audit log tells of, declared by a pillar with [`Pillar::audits`](crate::Pillar::audits).
///
/// ```
/// use kernel_core::{AuditAction, Pillar};
///
/// const ISSUE_DELETE: AuditAction = AuditAction::new("tracker.issue.delete");
///
/// let pillar = Pillar::new("tracker").audits(&[ISSUE_DELETE]);
/// # assert_eq!(pillar.name(), "tracker");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditAction(&'static str);

impl AuditAction {
    /// A deed with its dotted name, which starts with the pillar's: `tracker.issue.delete`. Write it as a `const`: what is no
    /// such name then does not compile.
    ///
    /// # Panics
    /// For a name that is longer than 100 bytes, has no dot, or holds anything but `a` to `z`, digits, `.` and `_`.
    ///
    /// ```compile_fail
    /// const SHOUTED: kernel_core::AuditAction = kernel_core::AuditAction::new("Issue deleted");
    /// # let _ = SHOUTED;
    /// ```
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(is_dotted(name.as_bytes()), "an action is a dotted name in lower case");
        Self(name)
    }

    /// The dotted name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

const fn is_dotted(name: &[u8]) -> bool {
    let (mut at, mut dots) = (0, 0);
    while at < name.len() {
        match name[at] {
            b'.' => dots += 1,
            b'a'..=b'z' | b'0'..=b'9' | b'_' => {}
            _ => return false,
        }
        at += 1;
    }
    dots > 0 && name.len() <= 100
}

pub(crate) const AUDIT_DROP: AuditAction = AuditAction::new("core.audit.drop");
pub(crate) const DATA_KEY_REWRAP: AuditAction = AuditAction::new("core.data_key.rewrap");
pub(crate) const DATA_KEY_ROTATE: AuditAction = AuditAction::new("core.data_key.rotate");
pub(crate) const OPERATOR_OPEN: AuditAction = AuditAction::new("core.operator.open");

/// Those of the kernel itself.
pub(crate) const OWN: &[AuditAction] = &[AUDIT_DROP, DATA_KEY_REWRAP, DATA_KEY_ROTATE, OPERATOR_OPEN];
