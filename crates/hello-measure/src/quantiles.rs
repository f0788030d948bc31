use std::time::Duration;

use crate::distribution::Distribution;
use crate::histogram::Histogram;

/// The quantiles of a distribution, in milliseconds.
///
/// Percentiles are nearest-rank, with the precision of the distribution. The other values are exact
/// to the nanosecond.
///
/// A percentile needs samples: at least 1/(1-q) for quantile q, so that one in that many is beyond
/// it. With fewer it would only repeat the maximum, and it is `None`.
///
/// | percentile | samples |
/// |---|---|
/// | p50 | 2 |
/// | p90 | 10 |
/// | p95 | 20 |
/// | p99 | 100 |
/// | p99.9 | 1000 |
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{Distribution, Quantiles};
///
/// let mut rtts = Distribution::new(3);
/// assert_eq!(Quantiles::from_distribution(&rtts), None);
/// rtts.record_n(Duration::from_micros(1500), 99);
/// let of_99 = Quantiles::from_distribution(&rtts).ok_or("empty")?;
/// assert_eq!((of_99.max, of_99.p95, of_99.p99), (1.5, Some(1.5), None));
/// # Ok::<(), &str>(())
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
    /// The median; `None` for fewer than 2 samples.
    pub p50: Option<f64>,
    /// The 90th percentile; `None` for fewer than 10 samples.
    pub p90: Option<f64>,
    /// The 95th percentile; `None` for fewer than 20 samples.
    pub p95: Option<f64>,
    /// The 99th percentile; `None` for fewer than 100 samples.
    pub p99: Option<f64>,
    /// The 99.9th percentile; `None` for fewer than 1000 samples.
    pub p999: Option<f64>,
}

impl Quantiles {
    /// Summarises a distribution; `None` if it is empty.
    pub fn from_distribution(times: &Distribution) -> Option<Self> {
        let quantile = |permille| times.supported_quantile(permille).map(millis);
        Some(Self {
            min: times.min().map(millis)?,
            mean: times.mean().map(millis)?,
            max: times.max().map(millis)?,
            stddev: times.stddev().map(millis)?,
            p50: quantile(500),
            p90: quantile(900),
            p95: quantile(950),
            p99: quantile(990),
            p999: quantile(999),
        })
    }

    /// Returns what a histogram has; `None` if it is empty.
    pub(crate) fn without_percentiles(times: &Histogram) -> Option<Self> {
        Some(Self {
            min: times.min().map(millis)?,
            mean: times.mean().map(millis)?,
            max: times.max().map(millis)?,
            stddev: times.stddev().map(millis)?,
            p50: None,
            p90: None,
            p95: None,
            p99: None,
            p999: None,
        })
    }
}

/// The lateness of sent datagrams, in milliseconds. Percentiles need as many samples as those of
/// [`Quantiles`].
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
    /// The median; `None` for fewer than 2 samples.
    pub p50: Option<f64>,
    /// The 99th percentile; `None` for fewer than 100 samples.
    pub p99: Option<f64>,
    /// The maximum.
    pub max: f64,
}

impl TimerError {
    /// Summarises a distribution; `None` if it is empty.
    pub fn from_distribution(lateness: &Distribution) -> Option<Self> {
        Some(Self {
            mean: lateness.mean().map(millis)?,
            p50: lateness.supported_quantile(500).map(millis),
            p99: lateness.supported_quantile(990).map(millis),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::proptest_config())]

        #[test]
        #[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
        fn percentiles_exist_from_the_least_sample_that_supports_them(
            count in prop_oneof![1..=21_u64, 90..=110_u64, 990..=1010_u64, 1..=100_000_u64],
            nanos in 1..=10_000_000_000_u64,
        ) {
            let mut times = Distribution::new(3);
            times.record_n(Duration::from_nanos(nanos), count);
            let known = Quantiles::from_distribution(&times).expect("not empty");
            let lateness = TimerError::from_distribution(&times).expect("not empty");
            for (percentile, needed) in [
                (known.p50, 2),
                (known.p90, 10),
                (known.p95, 20),
                (known.p99, 100),
                (known.p999, 1000),
                (lateness.p50, 2),
                (lateness.p99, 100),
            ] {
                let max = (count >= needed).then_some(known.max);
                prop_assert_eq!(percentile, max, "{} of {}", count, needed);
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
    fn percentile_is_unknown_until_its_last_missing_sample() {
        for (needed, percentile) in [
            (2, (|times| times.p50) as fn(Quantiles) -> Option<f64>),
            (10, |times| times.p90),
            (20, |times| times.p95),
            (100, |times| times.p99),
            (1000, |times| times.p999),
        ] {
            let mut times = Distribution::new(3);
            times.record_n(Duration::from_millis(1), needed - 1);
            assert_eq!(Quantiles::from_distribution(&times).and_then(percentile), None);
            times.record(Duration::from_millis(1));
            assert_eq!(Quantiles::from_distribution(&times).and_then(percentile), Some(1.0));
        }
    }
}
