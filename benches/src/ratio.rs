//! Ratios of two things measured in turns, so that what the machine does meanwhile hits both.

/// The median of the blocks' ratios and a 95 % interval for it, by order statistics: no shape is assumed.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Ratio {
    /// Compares what `ours` took with what `theirs` took, block by block; at least six of each.
    pub fn between(ours: &[f64], theirs: &[f64]) -> Self {
        Self::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect())
    }

    fn of(mut ratios: Vec<f64>) -> Self {
        assert!(ratios.len() >= 6, "fewer than six blocks say nothing at 95 %");
        ratios.sort_by(f64::total_cmp);
        let n = ratios.len();
        // The binomial ranks around the middle: n/2 ± 0.98·√n hold the median in 95 % of all samples.
        let spread = 0.98 * (n as f64).sqrt();
        let low = ((n as f64 / 2.0 - spread).floor().max(0.0)) as usize;
        let high = ((n as f64 / 2.0 + spread).ceil() as usize).min(n - 1);
        Self { low: ratios[low], median: middle(&ratios), high: ratios[high] }
    }

    /// Whether the median lies beyond the goal; the interval says how much the next run may differ.
    pub fn misses(self, goal: f64) -> bool {
        self.median > goal
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}[{:.3}–{:.3}]", self.median, self.low, self.high)
    }
}

/// The value in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    middle(&values)
}

/// What 99 of 100 values are not above.
pub fn p99(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() * 99).div_ceil(100).saturating_sub(1)]
}

fn middle(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    if n % 2 == 1 { sorted[n / 2] } else { f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]) }
}

#[cfg(test)]
mod tests {
    use super::Ratio;

    #[test]
    fn the_interval_holds_the_median_and_a_goal_below_it_is_missed() {
        let ratio = Ratio::of((0..40).map(|n| 1.0 + f64::from(n) / 100.0).collect());
        assert!(ratio.low < ratio.median && ratio.median < ratio.high);
        assert!(!ratio.misses(ratio.median) && ratio.misses(f64::midpoint(ratio.low, ratio.median)));
    }
}
