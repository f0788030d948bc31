//! A part of a run.

use std::time::Duration;

use hello_measure::Counts;
use serde::Serialize;

/// What happened in a part of a run. What was answered or lost in it may have been sent before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// When it ended, since the end of the warm-up, in seconds.
    pub at_s: f64,
    /// How long it was, in seconds.
    pub duration_s: f64,
    /// Requests a second that are offered in the run, in an open loop.
    pub rate: Option<u64>,
    /// Requests sent.
    pub sent: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests lost.
    pub lost: u64,
    /// Requests neither answered nor lost, when it ended.
    pub in_flight: u64,
    /// Requests sent a second; `None` if it was too short for a rate.
    pub sent_per_s: Option<f64>,
    /// Requests answered a second; `None` if it was too short for a rate.
    pub answered_per_s: Option<f64>,
}

impl Interval {
    /// Returns what happened from one moment to another, both since the end of the warm-up, at
    /// which so much had happened.
    pub fn between(
        (from, before): (Duration, Counts),
        (to, now): (Duration, Counts),
        rate: Option<u64>,
    ) -> Self {
        let duration_s = to.saturating_sub(from).as_secs_f64();
        let in_a_second =
            |count: u64| (duration_s >= SHORTEST_S).then(|| count as f64 / duration_s);
        let (sent, answered) = (now.sent - before.sent, now.answered - before.answered);
        Self {
            at_s: to.as_secs_f64(),
            duration_s,
            rate,
            sent,
            answered,
            lost: now.lost - before.lost,
            in_flight: now.in_flight(),
            sent_per_s: in_a_second(sent),
            answered_per_s: in_a_second(answered),
        }
    }

    /// Tells whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.sent + self.answered + self.lost == 0
    }
}

/// A shorter part of a run has no rate, in seconds: what comes in a batch would be thousands a
/// second.
const SHORTEST_S: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_what_is_new_and_what_is_in_flight_by_now() {
        let counts = |sent, answered, lost| {
            let mut counts = Counts::default();
            (counts.sent, counts.answered, counts.lost) = (sent, answered, lost);
            counts
        };
        let millis = Duration::from_millis;
        let (before, now) =
            ((millis(1000), counts(100, 90, 5)), (millis(1500), counts(300, 280, 6)));
        let expected = Interval {
            at_s: 1.5,
            duration_s: 0.5,
            rate: Some(400),
            sent: 200,
            answered: 190,
            lost: 1,
            in_flight: 14,
            sent_per_s: Some(400.0),
            answered_per_s: Some(380.0),
        };
        assert_eq!(Interval::between(before, now, Some(400)), expected);
        let moment = Interval::between(before, (millis(1009), now.1), None);
        assert_eq!((moment.sent, moment.sent_per_s, moment.is_empty()), (200, None, false));
        assert!(Interval::between(now, now, None).is_empty());
    }
}
