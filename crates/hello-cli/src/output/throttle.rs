//! Limits on the rate of printed lines.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// Limits the lines in any second, and counts those suppressed.
///
/// It reads no clock: `now` is the time since any origin, and never decreases.
#[derive(Debug)]
pub struct LineThrottle {
    per_second: usize,
    /// The times of the last `per_second` lines.
    admitted: VecDeque<Duration>,
    suppressed: u64,
}

impl LineThrottle {
    /// Creates a limit of `per_second` lines in any second.
    pub fn new(per_second: u16) -> Self {
        Self { per_second: per_second.into(), admitted: VecDeque::new(), suppressed: 0 }
    }

    /// Returns whether a line may be printed now, and counts it as suppressed otherwise.
    pub fn admit(&mut self, now: Duration) -> bool {
        if self.admitted.len() == self.per_second {
            match self.admitted.front() {
                Some(oldest) if now >= *oldest + Duration::from_secs(1) => {
                    self.admitted.pop_front();
                }
                _ => {
                    self.suppressed += 1;
                    return false;
                }
            }
        }
        self.admitted.push_back(now);
        true
    }

    /// Returns the number of lines suppressed since the last call.
    pub fn take_suppressed(&mut self) -> u64 {
        std::mem::take(&mut self.suppressed)
    }
}

/// Limits each kind of error to one line per [`PERIOD`](Self::PERIOD).
///
/// It reads no clock: `now` is the time since any origin, and never decreases.
#[derive(Debug)]
pub struct ErrorThrottle<K> {
    kinds: HashMap<K, Kind>,
}

#[derive(Debug)]
struct Kind {
    admitted: Duration,
    /// The errors since then.
    suppressed: u64,
}

impl<K: Eq + Hash> ErrorThrottle<K> {
    /// The shortest time between two lines of the same kind.
    pub const PERIOD: Duration = Duration::from_secs(30);

    /// Returns the number of errors that a line printed now covers, these included; `None` if no
    /// line is due yet.
    pub fn admit(&mut self, kind: K, errors: u64, now: Duration) -> Option<u64> {
        match self.kinds.get_mut(&kind) {
            Some(kind) if now < kind.admitted + Self::PERIOD => {
                kind.suppressed += errors;
                None
            }
            Some(kind) => {
                kind.admitted = now;
                Some(errors + std::mem::take(&mut kind.suppressed))
            }
            None => {
                self.kinds.insert(kind, Kind { admitted: now, suppressed: 0 });
                Some(errors)
            }
        }
    }

    /// Returns the errors of a line that could not be printed, so that the next line covers them.
    pub fn refund(&mut self, kind: &K, errors: u64) {
        if let Some(kind) = self.kinds.get_mut(kind) {
            kind.suppressed += errors;
        }
    }
}

impl<K> Default for ErrorThrottle<K> {
    fn default() -> Self {
        Self { kinds: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_has_a_line_in_thirty_seconds_with_all_errors_since_the_last() {
        let mut limit = ErrorThrottle::default();
        let mut admit =
            |kind, errors, second| limit.admit(kind, errors, Duration::from_secs(second));
        assert_eq!(admit("one", 1, 5), Some(1));
        assert_eq!(admit("one", 1, 5), None);
        assert_eq!(admit("other", 7, 6), Some(7));
        assert_eq!(admit("one", 2, 34), None);
        assert_eq!(admit("one", 1, 35), Some(4));
        assert_eq!(admit("one", 1, 64), None);
        assert_eq!(admit("one", 1, 99), Some(2));
        assert_eq!(admit("other", 1, 99), Some(1));
        limit.refund(&"other", 1);
        assert_eq!(limit.admit("other", 1, Duration::from_secs(200)), Some(2));
    }

    #[test]
    fn burst_is_limited_and_the_next_second_admits_again() {
        let mut limit = LineThrottle::new(2);
        let at = Duration::from_millis;
        let admitted = [0, 0, 1, 999, 1000, 1000, 1001, 2000].map(|now| limit.admit(at(now)));
        assert_eq!(admitted, [true, true, false, false, true, true, false, true]);
        assert_eq!((limit.take_suppressed(), limit.take_suppressed()), (3, 0));
    }

    #[test]
    fn limit_of_zero_admits_nothing() {
        assert!(!LineThrottle::new(0).admit(Duration::from_secs(9)));
    }

    proptest! {
        #[test]
        fn no_second_exceeds_the_limit_and_no_line_is_suppressed_without_need(
            per_second in 1..20_u16,
            steps in prop::collection::vec(0..400_u64, 1..200),
        ) {
            let mut limit = LineThrottle::new(per_second);
            let (mut now, mut admitted, mut suppressed) = (Duration::ZERO, Vec::new(), 0);
            for step in steps {
                now += Duration::from_millis(step);
                let recent = admitted.iter().filter(|at| **at + Duration::from_secs(1) > now);
                let room = recent.count() < usize::from(per_second);
                prop_assert_eq!(limit.admit(now), room);
                if room { admitted.push(now) } else { suppressed += 1 }
            }
            prop_assert_eq!(limit.take_suppressed(), suppressed);
        }
    }
}
