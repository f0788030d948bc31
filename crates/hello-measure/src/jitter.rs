use std::time::Duration;

/// Estimates the variation of round-trip times from one reply to the next.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::JitterEstimator;
///
/// let mut jitter = JitterEstimator::default();
/// for difference in [4, 3, 0] {
///     jitter.record(Duration::from_millis(difference));
/// }
/// let jitter = jitter.jitter().ok_or("no differences")?;
/// assert_eq!(jitter.mean, 2.333333);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JitterEstimator {
    count: u64,
    /// The sum of the differences, in nanoseconds.
    sum: u128,
    /// In nanoseconds.
    smoothed: f64,
}

impl JitterEstimator {
    /// Records the difference between two consecutive round-trip times.
    pub fn record(&mut self, difference: Duration) {
        let nanos = difference.as_nanos();
        self.count += 1;
        self.sum += nanos;
        self.smoothed += (nanos as f64 - self.smoothed) / 16.0;
    }

    /// Returns an estimator with a new mean, whose smoothed estimate continues from this one.
    #[must_use]
    pub fn next_part(&self) -> Self {
        Self { smoothed: self.smoothed, ..Self::default() }
    }

    /// Adds what a later estimator recorded, which continued from this one.
    pub fn append(&mut self, later: &Self) {
        self.count += later.count;
        self.sum += later.sum;
        self.smoothed = later.smoothed;
    }

    /// Returns the estimates; `None` without a difference.
    pub fn jitter(&self) -> Option<Jitter> {
        let millis = |nanos: f64| nanos.round() / 1e6;
        (self.count > 0).then(|| Jitter {
            mean: millis(self.sum as f64 / self.count as f64),
            rfc3550: millis(self.smoothed),
        })
    }
}

/// The jitter: the difference between consecutive round-trip times, in milliseconds.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{Jitter, JitterEstimator};
///
/// let mut estimator = JitterEstimator::default();
/// estimator.record(Duration::from_millis(16));
/// assert_eq!(estimator.jitter(), Some(Jitter { mean: 16.0, rfc3550: 1.0 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Jitter {
    /// The mean of the differences.
    pub mean: f64,
    /// The differences smoothed as in RFC 3550 section 6.4.1: each moves the estimate by a
    /// sixteenth of its distance. It starts at 0 and reflects the last few dozen replies.
    pub rfc3550: f64,
}
