//! The arithmetic of GCRA. All that is known of a subject is when its quota is whole again.

use crate::http::config::Quota;

/// A quota in microseconds: a request that is spent puts the moment at which the quota is whole `each` later, and that
/// moment never lies more than `most` ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) each: u64,
    pub(super) most: u64,
}

/// What came of asking for one request; times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// How long a refused request should wait; `None` for an admitted one.
    pub(super) wait: Option<u64>,
    pub(super) remaining: u32,
    /// Until the quota is whole.
    pub(super) reset: u64,
}

impl Rate {
    pub(super) fn of(quota: Quota) -> Self {
        let requests = u64::from(quota.requests.get());
        let window = u64::try_from(quota.window.as_micros()).unwrap_or(u64::MAX);
        // Rounded up: no window then sees more than the quota.
        let each = window.div_ceil(requests).max(1);
        Self { each, most: each.saturating_mul(requests) }
    }

    /// Spends one request, and says when the quota is then whole; or how long to wait for one.
    pub(super) fn spend(self, whole_at: u64, now: u64) -> Result<u64, u64> {
        let reset = whole_at.saturating_sub(now);
        if reset + self.each <= self.most { Ok(now + reset + self.each) } else { Err(self.wait(reset)) }
    }

    /// How long it takes until there is one request to spend, of a quota that is whole so long from now.
    pub(super) fn wait(self, reset: u64) -> u64 {
        reset.saturating_add(self.each).saturating_sub(self.most)
    }

    pub(super) fn admitted(self, whole_at: u64, now: u64) -> Verdict {
        let reset = whole_at.saturating_sub(now);
        let remaining = self.most.saturating_sub(reset) / self.each;
        Verdict { wait: None, remaining: u32::try_from(remaining).unwrap_or(u32::MAX), reset }
    }

    pub(super) fn refused(whole_at: u64, now: u64, wait: u64) -> Verdict {
        Verdict { wait: Some(wait), remaining: 0, reset: whole_at.saturating_sub(now) }
    }
}
