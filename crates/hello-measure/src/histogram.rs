use std::iter;
use std::time::Duration;

use super::nanos::nanos_of;

/// Counts of times between bounds that are powers of two of a second, in constant and little memory.
///
/// The bounds are those of a native histogram of Prometheus with schema 0, from 2^-15 s (about 31 us)
/// to 2^4 s. Longer times are counted beyond the last bound. The sum, the minimum and the maximum are
/// exact.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Histogram;
///
/// let mut histogram = Histogram::new();
/// for millis in [100, 200, 900] {
///     histogram.record(Duration::from_millis(millis));
/// }
/// let up_to = |seconds| histogram.cumulative().find(|(bound, _)| *bound == seconds);
/// assert_eq!(up_to(0.125), Some((0.125, 1)));
/// assert_eq!(up_to(0.25), Some((0.25, 2)));
/// assert_eq!(histogram.mean(), Some(Duration::from_millis(400)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The number of times up to each bound and above the one before; the last is above all.
    counts: [u64; BOUNDS + 1],
    sum: Duration,
    /// The sum of the squares, in nanoseconds by nanoseconds.
    squares: u128,
    extremes: Option<(Duration, Duration)>,
}

impl Histogram {
    /// Creates an empty histogram.
    pub fn new() -> Self {
        Self::default()
    }

    /// Yields the bounds, in seconds.
    ///
    /// ```
    /// use hello_measure::Histogram;
    ///
    /// assert_eq!(Histogram::bounds().next(), Some(0.000030517578125));
    /// assert_eq!(Histogram::bounds().last(), Some(16.0));
    /// ```
    pub fn bounds() -> impl Iterator<Item = f64> {
        // `exp2` does not promise to be exact. The exponent of a power of two is all that it has.
        let exponent = |power: i32| u64::from((EXPONENT_BIAS + power).cast_unsigned());
        let shift = f64::MANTISSA_DIGITS - 1;
        (FIRST_POWER..=LAST_POWER).map(move |power| f64::from_bits(exponent(power) << shift))
    }

    /// Counts a time.
    pub fn record(&mut self, time: Duration) {
        self.counts[bucket(time)] += 1;
        self.sum = self.sum.saturating_add(time);
        let nanos = u128::from(nanos_of(time));
        self.squares = self.squares.saturating_add(nanos * nanos);
        let (min, max) = self.extremes.unwrap_or((time, time));
        self.extremes = Some((min.min(time), max.max(time)));
    }

    /// Adds the times of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (count, other) in self.counts.iter_mut().zip(other.counts) {
            *count += other;
        }
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
        self.extremes = match (self.extremes, other.extremes) {
            (Some((min, max)), Some((least, most))) => Some((min.min(least), max.max(most))),
            (own, other) => own.or(other),
        };
    }

    /// Yields each bound, in seconds, and the number of times up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let sums = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        iter::zip(Self::bounds(), sums)
    }

    /// Returns the number of times.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the sum of the times.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Returns the shortest time; `None` if there is none.
    pub fn min(&self) -> Option<Duration> {
        self.extremes.map(|(min, _)| min)
    }

    /// Returns the longest time; `None` if there is none.
    pub fn max(&self) -> Option<Duration> {
        self.extremes.map(|(_, max)| max)
    }

    /// Returns the mean of the times; `None` if there is none.
    pub fn mean(&self) -> Option<Duration> {
        let nanos = self.sum.as_nanos().checked_div(self.count().into())?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Returns the standard deviation of the times; `None` if there is none.
    pub fn stddev(&self) -> Option<Duration> {
        let (count, mean) = (self.count() as f64, self.mean()?.as_nanos() as f64);
        let variance = self.squares as f64 / count - mean * mean;
        Some(Duration::from_secs_f64(variance.max(0.0).sqrt() / 1e9))
    }
}

/// Returns the number of the first bound that is not below a time.
fn bucket(time: Duration) -> usize {
    // A time is up to the bound of 2^power seconds if time * 2^-power is at most a second.
    let nanos = u128::from(nanos_of(time));
    let is_below = |power: &i32| match power.cast_unsigned() {
        up @ 0..32 => nanos > NANOS << up,
        _ => nanos << power.unsigned_abs() > NANOS,
    };
    (FIRST_POWER..=LAST_POWER).take_while(is_below).count()
}

const NANOS: u128 = Duration::from_secs(1).as_nanos();

/// The bounds as powers of two of a second.
const FIRST_POWER: i32 = -15;
const LAST_POWER: i32 = 4;

/// The exponent of 1.0 in the bits of an `f64` (IEEE 754, binary64).
const EXPONENT_BIAS: i32 = f64::MAX_EXP - 1;

const BOUNDS: usize = (LAST_POWER - FIRST_POWER + 1) as usize;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn histogram(nanos: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        nanos.iter().for_each(|nanos| histogram.record(Duration::from_nanos(*nanos)));
        histogram
    }

    #[test]
    fn time_at_a_bound_is_counted_there_and_a_longer_one_is_not() {
        // 2^-15 s are 30,517.578125 ns.
        for (nanos, first) in [
            (0, 0.000_030_517_578_125),
            (30_517, 0.000_030_517_578_125),
            (30_518, 0.000_061_035_156_25),
            (1_953_125, 0.001_953_125),
            (1_953_126, 0.003_906_25),
            (1_000_000_000, 1.0),
            (1_000_000_001, 2.0),
            (16_000_000_000, 16.0),
        ] {
            let histogram = histogram(&[nanos]);
            let found = histogram.cumulative().find(|(_, count)| *count == 1);
            assert_eq!(found, Some((first, 1)), "{nanos}");
        }
        let long = histogram(&[16_000_000_001, u64::MAX]);
        assert_eq!((long.cumulative().last(), long.count()), (Some((16.0, 0)), 2));
    }

    #[test]
    fn empty_histogram_has_no_mean_and_no_extremes() {
        let empty = Histogram::new();
        assert_eq!((empty.min(), empty.mean(), empty.max()), (None, None, None));
        assert_eq!(empty.stddev(), None);
        assert_eq!((empty.count(), empty.sum()), (0, Duration::ZERO));
    }

    #[test]
    fn standard_deviation_is_that_of_all_times() {
        let histogram = histogram(&[2_000_000, 4_000_000, 4_000_000, 6_000_000]);
        let stddev = histogram.stddev().expect("four").as_secs_f64();
        assert!((stddev - 2_f64.sqrt() / 1e3).abs() < 1e-9, "{stddev}");
    }

    #[test]
    fn histogram_takes_a_fraction_of_a_kibibyte() {
        assert!(size_of::<Histogram>() <= 256, "{}", size_of::<Histogram>());
    }

    proptest! {
        #![proptest_config(crate::proptest_config())]

        #[test]
        fn each_bound_counts_the_times_up_to_it(times in vec(0..20_000_000_000_u64, 0..50)) {
            let histogram = histogram(&times);
            for (bound, count) in histogram.cumulative() {
                let up_to = times.iter().filter(|nanos| **nanos as f64 / 1e9 <= bound).count();
                prop_assert_eq!(count, up_to as u64, "{}", bound);
            }
            prop_assert_eq!(histogram.sum(), Duration::from_nanos(times.iter().sum()));
            prop_assert_eq!(histogram.min(), times.iter().min().copied().map(Duration::from_nanos));
            prop_assert_eq!(histogram.max(), times.iter().max().copied().map(Duration::from_nanos));
        }

        #[test]
        fn merged_histograms_are_that_of_all_times(
            one in vec(any::<u64>(), 0..20),
            other in vec(any::<u64>(), 0..20),
        ) {
            let mut merged = histogram(&one);
            merged.merge(&histogram(&other));
            prop_assert_eq!(merged, histogram(&[one, other].concat()));
        }
    }
}
