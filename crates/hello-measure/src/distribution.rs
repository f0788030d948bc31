#[cfg(test)]
mod tests;

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

    /// Returns the number of durations up to each of these ascending bounds, as
    /// [`count_up_to`](Self::count_up_to) does, but reads the histogram only once.
    pub fn counts_up_to(&self, bounds: impl IntoIterator<Item = Duration>) -> Vec<u64> {
        // What is counted, and the first value that is not.
        let (mut count, mut next) = (0, 0);
        let bounds = bounds.into_iter().map(nanos_of);
        let count_up_to = bounds.map(|bound| {
            // Beyond the longest duration, the histogram would count its last values again.
            if bound >= next && count < self.count() {
                count += self.histogram.count_between(next, bound);
                next = self.histogram.highest_equivalent(bound).saturating_add(1);
            }
            count
        });
        count_up_to.collect()
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
