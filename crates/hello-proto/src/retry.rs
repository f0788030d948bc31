use core::{iter::FusedIterator, num::NonZeroU32, time::Duration};

/// A retransmission schedule with exponential back-off (RFC 8085 section 3.1.1).
///
/// It holds no clock: it yields the delays, and the caller has the timer.
///
/// ```
/// use core::time::Duration;
/// use hello_proto::Retry;
///
/// let seconds: Vec<u64> = Retry::default().delays().map(|wait| wait.as_secs()).collect();
/// assert_eq!(seconds, [1, 2, 4]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    first: Duration,
    attempts: NonZeroU32,
    max: Duration,
}

impl Retry {
    /// Creates a schedule of `attempts` attempts. The delay after the first is `first`, and doubles
    /// after each further one, up to `max`.
    pub const fn new(first: Duration, attempts: NonZeroU32, max: Duration) -> Self {
        Self { first, attempts, max }
    }

    /// Yields the delay after each attempt, in order.
    pub fn delays(self) -> Delays {
        Delays { next: self.first.min(self.max), left: self.attempts.get(), max: self.max }
    }

    /// Returns the longest delay.
    pub const fn max(self) -> Duration {
        self.max
    }
}

/// Three attempts, with delays of 1, 2 and 4 seconds. RFC 8085 section 3.1.1 asks for one second
/// before a round-trip time is known.
impl Default for Retry {
    fn default() -> Self {
        const ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).expect("three is not zero");
        Self::new(Duration::from_secs(1), ATTEMPTS, Duration::from_secs(60))
    }
}

/// The delays of a [`Retry`], one for each attempt.
#[derive(Clone, Debug)]
pub struct Delays {
    next: Duration,
    left: u32,
    max: Duration,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.max);
        Some(wait)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Delays {}
impl FusedIterator for Delays {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    fn retry(first: u64, attempts: u32, max: u64) -> Retry {
        let attempts = NonZeroU32::new(attempts).expect("not zero");
        Retry::new(Duration::from_secs(first), attempts, Duration::from_secs(max))
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        for (retry, expected) in [
            (Retry::default(), &[1, 2, 4][..]),
            (retry(3, 1, 60), &[3]),
            (retry(1, 6, 10), &[1, 2, 4, 8, 10, 10]),
            (retry(7, 2, 5), &[5, 5]),
            (retry(0, 2, 5), &[0, 0]),
        ] {
            let waits: Vec<u64> = retry.delays().map(|wait| wait.as_secs()).collect();
            assert_eq!(waits, expected);
            assert_eq!(retry.delays().len(), expected.len());
        }
    }

    #[test]
    fn the_longest_schedule_saturates() {
        let mut waits = retry(u64::MAX, u32::MAX, u64::MAX).delays();
        assert_eq!(waits.nth(99), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(waits.len(), u32::MAX as usize - 100);
    }
}
