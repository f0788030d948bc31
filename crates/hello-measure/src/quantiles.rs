//! What a distribution comes to, in milliseconds.

use std::time::Duration;

use crate::distribution::Distribution;

/// How times are distributed, in milliseconds.
///
/// The percentiles are those of nearest rank, or more by what the digits leave out; all else is
/// exact, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Quantiles {
    /// The shortest.
    pub min: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The longest.
    pub max: f64,
    /// The standard deviation.
    pub stddev: f64,
    /// The median.
    pub p50: f64,
    /// What 90 % are not longer than.
    pub p90: f64,
    /// What 95 % are not longer than.
    pub p95: f64,
    /// What 99 % are not longer than.
    pub p99: f64,
    /// What 99.9 % are not longer than.
    pub p999: f64,
}

impl Quantiles {
    /// Returns what they come to, if there are any.
    pub fn from_distribution(times: &Distribution) -> Option<Self> {
        let quantile = |permille| times.quantile(permille).map(millis);
        Some(Self {
            min: times.min().map(millis)?,
            mean: times.mean().map(millis)?,
            max: times.max().map(millis)?,
            stddev: times.stddev().map(millis)?,
            p50: quantile(500)?,
            p90: quantile(900)?,
            p95: quantile(950)?,
            p99: quantile(990)?,
            p999: quantile(999)?,
        })
    }
}

/// How much later than due datagrams left, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TimerError {
    /// The arithmetic mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// What 99 % are not longer than.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl TimerError {
    /// Returns what they come to, if there are any.
    pub fn from_distribution(lateness: &Distribution) -> Option<Self> {
        Some(Self {
            mean: lateness.mean().map(millis)?,
            p50: lateness.quantile(500).map(millis)?,
            p99: lateness.quantile(990).map(millis)?,
            max: lateness.max().map(millis)?,
        })
    }
}

/// Returns milliseconds to the nanosecond.
pub fn millis(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}

/// Returns one point for each abscissa, with the median of its ordinates. The points are sorted by
/// their abscissas.
///
/// ```
/// let points = [(1.0, 5.0), (1.0, 1.0), (1.0, 3.0), (2.0, 4.0), (2.0, 2.0)];
/// assert_eq!(hello_measure::medians(&points), [(1.0, 3.0), (2.0, 3.0)]);
/// ```
pub fn medians(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let median = |points: &[(f64, f64)]| {
        let mut points = points.to_vec();
        points.sort_by(|one, other| one.1.total_cmp(&other.1));
        let (low, high) = (points[(points.len() - 1) / 2], points[points.len() / 2]);
        (low.0, (low.1 + high.1) / 2.0)
    };
    points.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()).map(median).collect()
}
