//! Medians and spreads.

use serde::Serialize;

/// The middle of a number of measurements, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    /// The 10th percentile.
    pub(crate) low: f64,
    /// The 90th percentile.
    pub(crate) high: f64,
}

impl Summary {
    /// Sums up; `None` of nothing.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        // The measurement at that percentile, by the nearest rank.
        let percentile = |percent: usize| sorted[(last * percent + 50) / 100];
        Some(Self { median: percentile(50), low: percentile(10), high: percentile(90) })
    }
}
