//! Who was let in when, and whether that was too much.

use std::time::{Duration, Instant};

use super::load::Traffic;

/// A request: it was counted at some time between these two.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) traffic: Traffic,
    pub(super) sent_at: Instant,
    pub(super) heard_at: Instant,
    pub(super) admitted: bool,
}

/// All requests of a trial.
#[derive(Debug, Default)]
pub(super) struct Record(pub(super) Vec<Asked>);

/// The requests of one subject.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) admitted: Vec<Asked>,
    pub(super) refused: usize,
}

impl Record {
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn of(&self, traffic: Traffic) -> Share {
        let own = self.0.iter().copied().filter(|asked| asked.traffic == traffic);
        let (admitted, refused): (Vec<_>, Vec<_>) = own.partition(|asked| asked.admitted);
        Share { admitted, refused: refused.len() }
    }
}

/// What a quota lets in, wherever it is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) quota: u32,
    pub(super) window: Duration,
    /// How long what is leased may be spent.
    pub(super) life: Duration,
}

/// The window that came closest to its bound, or went furthest beyond.
#[derive(Debug, Default)]
pub(super) struct Worst {
    pub(super) window: Duration,
    pub(super) admitted: u64,
    pub(super) bound: u64,
}

impl Bound {
    /// What the quota alone allows in so much time, a whole one at the beginning included.
    pub(super) fn own(self, time: Duration) -> u64 {
        let each = self.window / self.quota;
        u64::from(self.quota) + u64::try_from(time.as_nanos() / each.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The most that may be let in within so much time.
    fn most(self, time: Duration) -> u64 {
        self.own(time + self.life)
    }

    /// Looks at every window that begins when a request was sent and ends when one was answered, and counts those that
    /// certainly lie within.
    pub(super) fn worst(self, admitted: &[Asked]) -> Worst {
        let mut by_end = admitted.to_vec();
        by_end.sort_by_key(|asked| asked.heard_at);
        let mut worst = Worst::default();
        for start in admitted.iter().map(|asked| asked.sent_at) {
            let inside = by_end.iter().filter(|asked| asked.sent_at >= start);
            for (admitted, asked) in (1..).zip(inside) {
                let window = asked.heard_at.duration_since(start);
                let bound = self.most(window);
                if worst.bound == 0 || admitted * worst.bound > worst.admitted * bound {
                    worst = Worst { window, admitted, bound };
                }
            }
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_beyond_the_bound_is_found_wherever_it_is() {
        let start = Instant::now();
        let bound = Bound { quota: 10, window: Duration::from_secs(10), life: Duration::from_secs(1) };
        let at = |seconds: u64| {
            let at = start + Duration::from_secs(seconds);
            Asked { traffic: Traffic::Address, sent_at: at, heard_at: at, admitted: true }
        };
        let even: Vec<_> = (0..100).map(at).collect();
        let worst = bound.worst(&even);
        assert!(worst.admitted <= worst.bound);
        let burst: Vec<_> = even.iter().copied().chain((0..11).map(|_| at(50))).collect();
        let worst = bound.worst(&burst);
        assert_eq!((worst.window, worst.admitted, worst.bound), (Duration::ZERO, 12, 11));
    }
}
