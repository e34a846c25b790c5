use std::time::Duration;

use kernel_core::Entropy;

/// How long a failed job waits: twice as long after each failure, up to a limit, less a random part of up to half so
/// that jobs which failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Backoff {
    /// From 5 seconds to an hour: ten attempts take about half an hour in all.
    fn default() -> Self {
        Self { first: Duration::from_secs(5), longest: Duration::from_hours(1) }
    }
}

impl Backoff {
    /// The wait after the failure of this attempt, from 1.
    pub(super) fn wait(self, attempt: u32, entropy: &Entropy) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        let share = f64::from(u32::from_be_bytes(entropy.bytes())) / f64::from(u32::MAX);
        whole.mul_f64(1.0 - share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_vary_by_half() {
        let (backoff, entropy) = (Backoff::default(), Entropy::seeded(1));
        for (attempt, whole) in
            [(1, 5), (2, 10), (3, 20), (10, 2560), (11, 3600), (40, 3600), (u32::MAX, 3600)]
        {
            let whole = Duration::from_secs(whole);
            let waits: Vec<_> = (0..200).map(|_| backoff.wait(attempt, &entropy)).collect();
            assert!(waits.iter().all(|wait| (whole / 2..=whole).contains(wait)), "attempt {attempt}");
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*most > *least + whole / 3, "attempt {attempt}: from {least:?} to {most:?} only");
        }
    }
}
