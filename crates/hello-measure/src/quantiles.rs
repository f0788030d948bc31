use std::time::Duration;

use crate::distribution::Distribution;

/// The quantiles of a distribution, in milliseconds.
///
/// Percentiles are nearest-rank, with the precision of the distribution. The other values are exact
/// to the nanosecond.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{Distribution, Quantiles};
///
/// let mut rtts = Distribution::new(3);
/// assert_eq!(Quantiles::from_distribution(&rtts), None);
/// rtts.record(Duration::from_micros(1500));
/// assert_eq!(Quantiles::from_distribution(&rtts).map(|rtts| rtts.p50), Some(1.5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Quantiles {
    /// The minimum.
    pub min: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The maximum.
    pub max: f64,
    /// The standard deviation.
    pub stddev: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
}

impl Quantiles {
    /// Summarises a distribution; `None` if it is empty.
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

/// The lateness of sent datagrams, in milliseconds.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{Distribution, TimerError};
///
/// let mut lateness = Distribution::new(3);
/// lateness.record(Duration::from_micros(20));
/// lateness.record(Duration::from_micros(60));
/// assert_eq!(TimerError::from_distribution(&lateness).map(|error| error.mean), Some(0.04));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TimerError {
    /// The arithmetic mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The maximum.
    pub max: f64,
}

impl TimerError {
    /// Summarises a distribution; `None` if it is empty.
    pub fn from_distribution(lateness: &Distribution) -> Option<Self> {
        Some(Self {
            mean: lateness.mean().map(millis)?,
            p50: lateness.quantile(500).map(millis)?,
            p99: lateness.quantile(990).map(millis)?,
            max: lateness.max().map(millis)?,
        })
    }
}

/// Converts a duration to milliseconds, with nanosecond resolution.
///
/// ```
/// assert_eq!(hello_measure::millis(std::time::Duration::from_nanos(1_500_001)), 1.500001);
/// ```
pub fn millis(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}

/// Returns one point for each x, with the median of its y values. The points must be sorted by x.
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
