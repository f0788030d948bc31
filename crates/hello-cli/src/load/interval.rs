//! A part of a run.

use std::time::Duration;

use hello_proto::Counts;
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
    /// Requests sent a second.
    pub sent_per_s: f64,
    /// Requests answered a second.
    pub answered_per_s: f64,
}

impl Interval {
    /// Returns what happened from one moment to another, both since the end of the warm-up, at which
    /// so much had happened.
    pub fn between(
        (from, before): (Duration, Counts),
        (to, now): (Duration, Counts),
        rate: Option<u64>,
    ) -> Self {
        let duration_s = to.saturating_sub(from).as_secs_f64();
        // A moment is no time for a rate.
        let seconds = duration_s.max(1e-9);
        let (sent, answered) = (now.sent - before.sent, now.answered - before.answered);
        Self {
            at_s: to.as_secs_f64(),
            duration_s,
            rate,
            sent,
            answered,
            lost: now.lost - before.lost,
            in_flight: now.in_flight(),
            sent_per_s: sent as f64 / seconds,
            answered_per_s: answered as f64 / seconds,
        }
    }
}

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
            sent_per_s: 400.0,
            answered_per_s: 380.0,
        };
        assert_eq!(Interval::between(before, now, Some(400)), expected);
    }
}
