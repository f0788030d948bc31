use std::time::Duration;

use super::ledger::Counts;

/// The counts and rates of a part of a run. It includes the replies to, and losses of, earlier
/// requests. Times are since an origin that the caller chooses.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{Counts, Interval};
///
/// let mut counts = Counts::default();
/// let before = (Duration::from_secs(1), counts);
/// counts.sent += 500;
/// counts.answered += 400;
/// let interval = Interval::between(before, (Duration::from_secs(3), counts), None);
/// assert_eq!((interval.sent_per_s, interval.in_flight), (Some(250.0), 100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Interval {
    /// The end of the interval, in seconds after the caller's origin.
    pub at_s: f64,
    /// The length of the interval, in seconds.
    pub duration_s: f64,
    /// Whether it ended before its time, or no request was due in it. It then has no rates.
    pub partial: bool,
    /// The rate that the caller intended, in requests per second; `None` if it intended none.
    pub rate: Option<u64>,
    /// Requests sent.
    pub sent: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests lost.
    pub lost: u64,
    /// Requests neither answered nor lost at the end.
    pub in_flight: u64,
    /// Requests sent per second; `None` if the interval is partial or too short for a rate.
    pub sent_per_s: Option<f64>,
    /// Requests answered per second; `None` if the interval is partial or too short for a rate.
    pub answered_per_s: Option<f64>,
}

impl Interval {
    /// Returns the interval between two times, each with the counts from the origin until then.
    ///
    /// A difference is 0 if a count or the time is lower at the end than at the start. If an answer
    /// was counted before its request, the request is not in flight.
    pub fn between(
        (from, before): (Duration, Counts),
        (to, now): (Duration, Counts),
        rate: Option<u64>,
    ) -> Self {
        let duration_s = to.saturating_sub(from).as_secs_f64();
        let in_a_second =
            |count: u64| (duration_s >= SHORTEST_S).then(|| count as f64 / duration_s);
        let sent = now.sent.saturating_sub(before.sent);
        let answered = now.answered.saturating_sub(before.answered);
        Self {
            at_s: to.as_secs_f64(),
            duration_s,
            partial: false,
            rate,
            sent,
            answered,
            lost: now.lost.saturating_sub(before.lost),
            in_flight: now.in_flight(),
            sent_per_s: in_a_second(sent),
            answered_per_s: in_a_second(answered),
        }
    }

    /// Returns the same interval as one that ended before its time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use hello_measure::{Counts, Interval};
    ///
    /// let origin = (Duration::ZERO, Counts::default());
    /// let interval = Interval::between(origin, (Duration::from_secs(1), Counts::default()), None);
    /// assert_eq!(interval.sent_per_s, Some(0.0));
    /// assert_eq!(interval.cut_short().sent_per_s, None);
    /// ```
    #[must_use]
    pub fn cut_short(self) -> Self {
        Self { partial: true, sent_per_s: None, answered_per_s: None, ..self }
    }

    /// Returns whether nothing was sent, answered or lost.
    pub fn is_empty(&self) -> bool {
        self.sent + self.answered + self.lost == 0
    }
}

/// The shortest interval with a rate, in seconds: a batch in a shorter one would be thousands per
/// second.
const SHORTEST_S: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sent: u64, answered: u64, lost: u64) -> Counts {
        let mut counts = Counts::default();
        (counts.sent, counts.answered, counts.lost) = (sent, answered, lost);
        counts
    }

    #[test]
    fn interval_has_the_difference_of_the_counts() {
        let millis = Duration::from_millis;
        let (before, now) =
            ((millis(1000), counts(100, 90, 5)), (millis(1500), counts(300, 280, 6)));
        let expected = Interval {
            at_s: 1.5,
            duration_s: 0.5,
            partial: false,
            rate: Some(400),
            sent: 200,
            answered: 190,
            lost: 1,
            in_flight: 14,
            sent_per_s: Some(400.0),
            answered_per_s: Some(380.0),
        };
        assert_eq!(Interval::between(before, now, Some(400)), expected);
        let part = Interval { partial: true, sent_per_s: None, answered_per_s: None, ..expected };
        assert_eq!(expected.cut_short(), part);
        let moment = Interval::between(before, (millis(1009), now.1), None);
        assert_eq!((moment.sent, moment.sent_per_s, moment.is_empty()), (200, None, false));
        assert!(Interval::between(now, now, None).is_empty());
    }

    #[test]
    fn answer_counted_before_its_request_is_not_in_flight() {
        let second = Duration::from_secs(1);
        let (start, now) = ((Duration::ZERO, counts(0, 0, 0)), (second, counts(3, 4, 0)));
        let interval = Interval::between(start, now, None);
        assert_eq!((interval.sent, interval.answered, interval.in_flight), (3, 4, 0));
    }

    #[test]
    fn interval_whose_end_is_before_its_start_is_empty() {
        let second = Duration::from_secs(1);
        let (before, now) = ((2 * second, counts(9, 8, 1)), (second, counts(5, 4, 0)));
        let interval = Interval::between(before, now, Some(10));
        assert!(interval.is_empty());
        assert_eq!((interval.duration_s, interval.sent_per_s, interval.in_flight), (0.0, None, 1));
    }
}
