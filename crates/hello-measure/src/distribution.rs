use std::time::Duration;

use hdrhistogram::Histogram;

use crate::nanos::nanos_of;

/// A distribution of durations, in constant memory.
///
/// Count, minimum, maximum and mean are exact, and the standard deviation is exact except for
/// rounding. Percentiles come from a histogram (HdrHistogram): with three digits, they are at most
/// a thousandth above the nearest rank. The memory depends on the longest duration: 300 kB for an
/// hour with three digits.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Distribution;
///
/// let mut rtts = Distribution::new(3);
/// for millis in 1..=100 {
///     rtts.record(Duration::from_millis(millis));
/// }
/// assert_eq!(rtts.mean(), Some(Duration::from_micros(50_500)));
/// assert_eq!(rtts.quantile(1000), Some(Duration::from_millis(100)));
/// assert_eq!(rtts.count_up_to(Duration::from_millis(10)), 10);
/// ```
#[derive(Clone, Debug)]
pub struct Distribution {
    histogram: Histogram<u64>,
    min: Duration,
    max: Duration,
    /// In nanoseconds.
    sum: u128,
    /// The running mean in nanoseconds, for `squares`.
    mean: f64,
    /// The sum of the squared distances from the mean (Welford 1962). The difference of two large
    /// sums would have few correct digits.
    squares: f64,
}

impl Distribution {
    /// Creates an empty distribution with percentiles of `digits` significant digits.
    ///
    /// # Panics
    ///
    /// If `digits` is more than 5.
    pub fn new(digits: u8) -> Self {
        Self {
            histogram: Histogram::new(digits).expect("up to 5 digits"),
            min: Duration::MAX,
            max: Duration::ZERO,
            sum: 0,
            mean: 0.0,
            squares: 0.0,
        }
    }

    /// Records a duration.
    pub fn record(&mut self, duration: Duration) {
        self.record_n(duration, 1);
    }

    /// Records a duration `count` times, as fast as once.
    pub fn record_n(&mut self, duration: Duration, count: u64) {
        if count == 0 {
            return;
        }
        let nanos = nanos_of(duration);
        // Fails only if the histogram did not grow, but it does.
        let _ = self.histogram.record_n(nanos, count);
        self.min = self.min.min(duration);
        self.max = self.max.max(duration);
        self.sum += u128::from(nanos) * u128::from(count);
        self.join(count, nanos as f64, 0.0);
    }

    /// Adds another distribution. If it has fewer digits, so do the percentiles of its durations.
    pub fn merge(&mut self, other: &Self) {
        if other.count() == 0 {
            return;
        }
        // Fails only if the histogram did not grow, but it does.
        let _ = self.histogram.add(&other.histogram);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.join(other.count(), other.mean, other.squares);
    }

    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Returns the sum of the durations.
    pub fn sum(&self) -> Duration {
        let (seconds, rest) = (self.sum / NANOS, self.sum % NANOS);
        match (u64::try_from(seconds), u32::try_from(rest)) {
            (Ok(seconds), Ok(rest)) => Duration::new(seconds, rest),
            _ => Duration::MAX,
        }
    }

    /// Returns the shortest duration.
    pub fn min(&self) -> Option<Duration> {
        (self.count() > 0).then_some(self.min)
    }

    /// Returns the longest duration.
    pub fn max(&self) -> Option<Duration> {
        (self.count() > 0).then_some(self.max)
    }

    /// Returns the arithmetic mean, rounded down to a nanosecond.
    pub fn mean(&self) -> Option<Duration> {
        self.sum
            .checked_div(self.count().into())
            .map(|nanos| Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Returns the standard deviation of the recorded durations as a population, like ping's mdev.
    pub fn stddev(&self) -> Option<Duration> {
        let variance = self.squares / self.count() as f64;
        (self.count() > 0).then(|| Duration::from_secs_f64(variance.max(0.0).sqrt() / 1e9))
    }

    /// Returns the duration that `permille` in a thousand do not exceed (nearest rank).
    pub fn quantile(&self, permille: u32) -> Option<Duration> {
        let count = self.count();
        let rank = (u128::from(count) * u128::from(permille)).div_ceil(1000).max(1);
        // Half a rank lower, so that rounding does not reach the next one: 99.9 % of 1000 are 999.
        let value = self.histogram.value_at_quantile((rank as f64 - 0.5) / count as f64);
        (count > 0).then(|| Duration::from_nanos(value).clamp(self.min, self.max))
    }

    /// Returns the [quantile](Self::quantile), unless there are too few durations for it: it needs one
    /// beyond it, on average.
    pub(crate) fn supported_quantile(&self, permille: u32) -> Option<Duration> {
        let beyond = u128::from(self.count()) * u128::from(1000_u32.saturating_sub(permille));
        self.quantile(permille).filter(|_| beyond >= 1000)
    }

    /// Returns the number of durations up to `duration`, with the precision of the percentiles.
    pub fn count_up_to(&self, duration: Duration) -> u64 {
        self.histogram.count_between(0, nanos_of(duration))
    }

    /// Returns the number of durations between each two of these ascending bounds, with the precision
    /// of the percentiles. The first number includes all shorter durations, and the last one all
    /// longer ones.
    pub fn counts_between(&self, bounds: &[Duration]) -> Vec<u64> {
        let last = bounds.len().saturating_sub(1);
        let up_to = bounds.iter().enumerate().map(|(index, bound)| match index {
            0 => 0,
            _ if index == last => self.count(),
            _ => self.count_up_to(*bound),
        });
        let up_to = Vec::from_iter(up_to);
        up_to.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect()
    }

    /// Divides the range from the minimum to the 99th percentile into `number` bins of equal width,
    /// at least one, and adds a bin for longer durations if there are any. The ends of a bin belong
    /// to it.
    pub fn bins(&self, number: u32) -> Vec<Bin> {
        let number = number.max(1);
        let (Some(from), Some(to)) = (self.min(), self.quantile(990)) else { return vec![] };
        // No bin is narrower than the histogram's resolution.
        let resolution = Duration::from_nanos(self.histogram.equivalent_range(nanos_of(to)));
        let width = ((to - from) / number).max(resolution);
        let mut bins = Vec::new();
        let (mut start, mut below) = (from, 0);
        for left in (0..number).rev() {
            // The last bin takes the remainder of the division.
            let end = if left == 0 { to } else { (start + width).min(to) };
            let up_to = self.count_up_to(end).max(below);
            bins.push(Bin { start, end, count: up_to - below });
            (start, below) = (end, up_to);
            if end == to {
                break;
            }
        }
        if below < self.count() {
            bins.push(Bin { start, end: self.max, count: self.count() - below });
        }
        bins
    }

    /// Updates the mean and the squares by those of `count` more durations (Chan, Golub and LeVeque
    /// 1979), which are counted already. For one duration, this is Welford's step.
    fn join(&mut self, count: u64, mean: f64, squares: f64) {
        let (distance, count) = (mean - self.mean, count as f64);
        // In this order, the mean of equal durations is exact.
        self.mean += distance / (self.count() as f64 / count);
        self.squares += squares + count * distance * (mean - self.mean);
    }
}

/// A bin of a histogram.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Distribution;
///
/// let mut rtts = Distribution::new(3);
/// rtts.record_n(Duration::from_millis(1), 990);
/// rtts.record_n(Duration::from_millis(80), 10);
/// // The last bin is beyond the 99th percentile.
/// let last = rtts.bins(4).pop().ok_or("empty")?;
/// assert_eq!((last.end, last.count), (Duration::from_millis(80), 10));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bin {
    /// The lower bound.
    pub start: Duration,
    /// The upper bound.
    pub end: Duration,
    /// The number of durations.
    pub count: u64,
}

/// The nanoseconds of a second.
const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(nanos: &[u64]) -> Distribution {
        let mut distribution = Distribution::new(3);
        nanos.iter().for_each(|nanos| distribution.record(Duration::from_nanos(*nanos)));
        distribution
    }

    /// Returns the exact values: the count, the sum, the extremes and the mean.
    fn exact(distribution: &Distribution) -> (u64, Duration, [Option<Duration>; 3]) {
        let rest = [distribution.min(), distribution.max(), distribution.mean()];
        (distribution.count(), distribution.sum(), rest)
    }

    #[test]
    fn empty_distribution_has_no_values() {
        let mut none = of(&[]);
        none.record_n(Duration::from_nanos(5), 0);
        none.merge(&of(&[]));
        for nothing in [none, of(&[])] {
            assert_eq!((nothing.min(), nothing.max(), nothing.mean()), (None, None, None));
            assert_eq!((nothing.stddev(), nothing.quantile(500)), (None, None));
            assert_eq!(
                (nothing.count(), nothing.sum(), nothing.bins(9)),
                (0, Duration::ZERO, vec![])
            );
        }
    }

    #[test]
    fn single_duration_is_every_percentile() {
        let one = of(&[123_456_789]);
        let nanos = Some(Duration::from_nanos(123_456_789));
        for permille in [0, 500, 999, 1000] {
            assert_eq!(one.quantile(permille), nanos);
        }
        assert_eq!((one.mean(), one.stddev()), (nanos, Some(Duration::ZERO)));
        assert_eq!(one.bins(4).iter().map(|bin| bin.count).sum::<u64>(), 1);
    }

    #[test]
    fn every_duration_is_between_two_bounds() {
        let (several, nanos) = (of(&[1000, 2000, 2500, 9000]), Duration::from_nanos);
        let counts = |bounds: &[u64]| {
            several.counts_between(&Vec::from_iter(bounds.iter().copied().map(nanos)))
        };
        assert_eq!(counts(&[1500, 2200, 3000, 3001]), [2, 1, 1]);
        assert_eq!(counts(&[5, 6]), [4]);
        assert_eq!((counts(&[5]), counts(&[])), (vec![], vec![]));
    }

    #[test]
    fn no_bins_are_one_bin() {
        let several = of(&[1000, 2000, 3000]);
        assert_eq!(several.bins(0), several.bins(1));
        assert_eq!(several.bins(0).iter().map(|bin| bin.count).sum::<u64>(), 3);
    }

    #[test]
    fn percentiles_of_a_thousand_are_exact_ranks() {
        let thousand = of(&Vec::from_iter(1..=1000));
        let ranks = [1, 500, 900, 950, 990, 999, 1000];
        for rank in ranks {
            assert_eq!(thousand.quantile(rank), Some(Duration::from_nanos(rank.into())));
        }
    }

    #[test]
    fn small_spread_around_a_large_mean_is_not_rounded_away() {
        // With sums of squares in a double, this would be 0 or hundreds.
        let nanos = Vec::from_iter((0..1000).map(|i| 3_600_000_000_000 + i % 2 * 20));
        assert_eq!(of(&nanos).stddev(), Some(Duration::from_nanos(10)));
        let mut halves = [0, 20].map(|more| {
            let mut half = Distribution::new(3);
            half.record_n(Duration::from_nanos(3_600_000_000_000 + more), 500);
            half
        });
        let [one, other] = &mut halves;
        one.merge(other);
        assert_eq!(one.stddev(), Some(Duration::from_nanos(10)));
    }

    #[test]
    fn merge_with_fewer_digits_loses_no_duration() {
        let (mut fine, mut coarse) = (of(&[1_000_000, 3_000_000]), Distribution::new(1));
        coarse.record_n(Duration::from_nanos(9_000_001), 2);
        fine.merge(&coarse);
        assert_eq!((fine.count(), fine.max()), (4, Some(Duration::from_nanos(9_000_001))));
        let median = fine.quantile(500).map_or(0, nanos_of);
        assert!((3_000_000..=3_003_000).contains(&median), "{median}");
    }

    proptest! {
        #![proptest_config(crate::proptest_config())]

        #[test]
        #[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
        fn mean_and_deviation_equal_a_plain_computation(
            nanos in prop::collection::vec(0..10_000_000_000_u64, 1..300),
        ) {
            let (distribution, count) = (of(&nanos), nanos.len() as f64);
            let sum = nanos.iter().sum::<u64>();
            prop_assert_eq!(distribution.sum(), Duration::from_nanos(sum));
            prop_assert_eq!(distribution.mean(), Some(Duration::from_nanos(sum / nanos.len() as u64)));
            let mean = sum as f64 / count;
            let squares = nanos.iter().map(|nanos| (*nanos as f64 - mean).powi(2)).sum::<f64>();
            let stddev = (squares / count).sqrt();
            let ours = distribution.stddev().map_or(f64::NAN, |stddev| stddev.as_secs_f64() * 1e9);
            prop_assert!((ours - stddev).abs() <= 1.0 + stddev * 1e-9, "{ours} {stddev}");
            let extremes = (nanos.iter().min(), nanos.iter().max());
            let [min, max] = [distribution.min(), distribution.max()].map(|found| {
                found.map(nanos_of)
            });
            prop_assert_eq!((min.as_ref(), max.as_ref()), extremes);
        }

        #[test]
        #[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
        fn batches_and_merged_parts_equal_single_records(
            runs in prop::collection::vec((0..10_000_000_000_u64, 0..20_u64), 0..30),
            cuts in prop::collection::vec(0..30_usize, 0..3),
        ) {
            let mut one_by_one = Distribution::new(3);
            let mut at_once = Distribution::new(3);
            let mut parts = vec![Distribution::new(3)];
            for (index, (nanos, count)) in runs.iter().enumerate() {
                let duration = Duration::from_nanos(*nanos);
                (0..*count).for_each(|_| one_by_one.record(duration));
                at_once.record_n(duration, *count);
                if cuts.contains(&index) {
                    parts.push(Distribution::new(3));
                }
                parts.last_mut().expect("one part").record_n(duration, *count);
            }
            let mut merged = Distribution::new(3);
            parts.iter().for_each(|part| merged.merge(part));
            for other in [at_once, merged] {
                prop_assert_eq!(exact(&other), exact(&one_by_one));
                // With the histogram, all percentiles are equal.
                prop_assert!(other.histogram == one_by_one.histogram);
                let [ours, theirs] = [&other, &one_by_one].map(Distribution::stddev);
                let off = ours.unwrap_or_default().abs_diff(theirs.unwrap_or_default());
                let rounding = Duration::from_nanos(1) + theirs.unwrap_or_default() / 1_000_000_000;
                prop_assert!(off <= rounding, "{ours:?} {theirs:?}");
            }
        }

        #[test]
        #[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
        fn percentile_is_at_most_a_thousandth_above_the_nearest_rank(
            mut nanos in prop::collection::vec(1..5_000_000_000_u64, 1..300),
            permille in 1..=1000_u32,
        ) {
            let percentile = of(&nanos).quantile(permille);
            nanos.sort_unstable();
            let rank = (nanos.len() * permille as usize).div_ceil(1000);
            let exact = nanos[rank - 1];
            let ours = percentile.map_or(0, nanos_of);
            prop_assert!((exact..=exact + exact / 1000).contains(&ours), "{ours} {exact}");
        }

        #[test]
        #[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
        fn bins_are_adjacent_and_complete(
            nanos in prop::collection::vec(0..5_000_000_u64, 1..300),
            number in 1..30_u32,
        ) {
            let distribution = of(&nanos);
            let bins = distribution.bins(number);
            prop_assert!(bins.len() <= number as usize + 1);
            prop_assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), nanos.len() as u64);
            prop_assert!(bins.windows(2).all(|pair| pair[0].end == pair[1].start));
            prop_assert_eq!(bins.first().map(|bin| bin.start), distribution.min());
            prop_assert!(bins.last().map(|bin| bin.end) <= distribution.max());
        }
    }
}
