use std::borrow::Cow;
use std::time::Duration;

use super::distribution::Distribution;

/// A distribution that is fast for runs of equal durations, such as those of a GSO or GRO batch.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::RunLength;
///
/// let mut rtts = RunLength::new(3);
/// for _ in 0..64 {
///     rtts.record(Duration::from_millis(2), 1);
/// }
/// assert_eq!(rtts.distribution().count(), 64);
/// ```
#[derive(Clone, Debug)]
pub struct RunLength {
    distribution: Distribution,
    /// The last duration, and the number of times not yet added to the distribution.
    last: (Duration, u64),
}

impl RunLength {
    /// Creates an empty distribution with percentiles of `digits` significant digits.
    ///
    /// # Panics
    ///
    /// If `digits` is more than 5.
    pub fn new(digits: u8) -> Self {
        Self { distribution: Distribution::new(digits), last: (Duration::ZERO, 0) }
    }

    /// Records a duration `count` times.
    pub fn record(&mut self, duration: Duration, count: u64) {
        if duration == self.last.0 {
            self.last.1 += count;
        } else {
            self.flush();
            self.last = (duration, count);
        }
    }

    /// Adds another distribution.
    pub fn merge(&mut self, other: &Self) {
        let (duration, count) = other.last;
        self.distribution.merge(&other.distribution);
        self.distribution.record_n(duration, count);
    }

    /// Returns the distribution of all durations.
    pub fn distribution(&self) -> Cow<'_, Distribution> {
        match self.last {
            (_, 0) => Cow::Borrowed(&self.distribution),
            (duration, count) => {
                let mut distribution = self.distribution.clone();
                distribution.record_n(duration, count);
                Cow::Owned(distribution)
            }
        }
    }

    fn flush(&mut self) {
        let (duration, count) = &mut self.last;
        self.distribution.record_n(*duration, std::mem::take(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_equal_single_records() {
        let micros = Duration::from_micros;
        let (mut runs, mut other) = (RunLength::new(3), RunLength::new(3));
        let mut singly = Distribution::new(3);
        for (duration, count) in [(5, 3), (5, 2), (7, 1), (5, 4)] {
            runs.record(micros(duration), count);
            other.record(micros(duration), count);
            (0..2 * count).for_each(|_| singly.record(micros(duration)));
        }
        runs.merge(&other);
        let recorded = runs.distribution();
        assert_eq!((recorded.count(), recorded.sum()), (singly.count(), singly.sum()));
        assert_eq!(recorded.quantile(500), singly.quantile(500));
    }
}
