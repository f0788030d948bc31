//! Whether the server or the generator was the limit.

use hello_measure::TrialVerdict;

use super::saturation::GeneratorLimit;
use super::summary::Summary;

/// Finds the ways in which the generator was the limit.
pub fn generator_limits(summary: &Summary) -> Vec<GeneratorLimit> {
    let mut limits = Vec::new();
    let not_sent = |reason| summary.common.not_sent.get(reason).copied().unwrap_or(0);
    let [held_up, too_many] = ["late", "too-many-in-flight"].map(not_sent);
    let not_taken = summary.common.not_sent_total() - held_up - too_many;
    let no_room = summary.generator.blocked;
    let dropped = summary.generator.dropped.unwrap_or(0);
    let due = summary.common.due() as f64;
    let many = |count: u64| count as f64 > MAX_SHORTFALL * due;
    limits.extend(many(held_up).then_some(GeneratorLimit::Late { requests: held_up }));
    limits.extend(many(too_many).then_some(GeneratorLimit::TooManyInFlight { requests: too_many }));
    limits.extend(many(not_taken).then_some(GeneratorLimit::NotTaken { requests: not_taken }));
    limits.extend(many(no_room).then_some(GeneratorLimit::NoRoomToSend { times: no_room }));
    let stalled = summary.generator.stalled.filter(|share| *share > MAX_SHORTFALL);
    limits.extend(stalled.map(|share| GeneratorLimit::Stalled { share }));
    limits.extend((dropped > 0).then_some(GeneratorLimit::Dropped { datagrams: dropped }));
    let is_long = summary.common.duration_s > LONG_ENOUGH_S && summary.is_steady();
    let busy = summary.generator.busy.filter(|share| *share > BUSY && is_long);
    limits.extend(busy.map(|share| GeneratorLimit::Busy { share }));
    if let (Some(timer), Some(rtt)) = (summary.common.timer_error_ms, summary.common.rtt_ms)
        && summary.common.sent >= ENOUGH
        && timer.p99 > PUNCTUAL_MS
        && 2.0 * timer.p99 > rtt.p99
    {
        limits.push(GeneratorLimit::Timer { p99_ms: timer.p99 });
    }
    limits
}

/// Decides what a trial says of the server.
///
/// A load was offered if no more than [`MAX_SHORTFALL`] of what was due did not leave: else the
/// rest left in bursts, and what was lost of those says nothing of an even load. Where our own
/// receive buffers had no room for as many replies as it takes to come within the tolerance, the
/// loss is not the server's.
pub fn judge_trial(summary: &Summary, tolerance: f64) -> TrialVerdict {
    let due = summary.common.due();
    let settled = (summary.common.answered + summary.common.lost) as f64;
    let most = tolerance * settled;
    let ours = summary.generator.dropped.unwrap_or(0);
    let theirs = summary.common.lost.saturating_sub(ours) as f64;
    if due == 0 || summary.common.not_sent_total() as f64 > MAX_SHORTFALL * due as f64 {
        TrialVerdict::NotOffered
    } else if theirs > most {
        TrialVerdict::Lost
    } else if summary.common.lost as f64 > most {
        TrialVerdict::NotOffered
    } else {
        TrialVerdict::Carried
    }
}

/// Above that, a generator is as good as always busy.
const BUSY: f64 = 0.95;

/// Of a shorter run it is no wonder if there is always something to do, in seconds.
const LONG_ENOUGH_S: f64 = 0.1;

/// Of fewer requests, one in a hundred is none.
const ENOUGH: u64 = 100;

/// What is not later than that is punctual, in milliseconds.
const PUNCTUAL_MS: f64 = 1.0;

/// Which share of the requests due may be missing for a load to be offered: on machines that do
/// something else as well, no generator is there all the time.
pub const MAX_SHORTFALL: f64 = 0.01;

#[cfg(test)]
mod tests {
    use hello_measure::{Quantiles, TimerError};

    use super::*;
    use crate::load::fixtures::summary;

    fn times(p99: f64) -> Quantiles {
        let (min, mean, max, stddev, p50) = (0.0, 0.0, p99, 0.0, 0.0);
        Quantiles { min, mean, max, stddev, p50, p90: p50, p95: p50, p99, p999: p99 }
    }

    #[test]
    fn each_reason_is_found_and_said() {
        let mut summary = summary();
        assert_eq!(generator_limits(&summary), []);
        summary.common.sent = 100;
        summary.common.not_sent = [("late", 2), ("too-many-in-flight", 2), ("denied", 3)].into();
        (summary.generator.blocked, summary.generator.stalled) = (5, Some(0.25));
        summary.generator.dropped = Some(6);
        summary.generator.busy = Some(0.9876);
        summary.common.timer_error_ms =
            Some(TimerError { mean: 0.0, p50: 0.0, p99: 2.5, max: 3.0 });
        summary.common.rtt_ms = Some(times(2.0));
        let said = Vec::from_iter(generator_limits(&summary).iter().map(GeneratorLimit::to_string));
        let expected = [
            "was too late for 2 requests, which it did not send",
            "did not send 2 requests, for it could not remember more in flight",
            "could not send 3 requests, which the system did not take",
            "had to wait 5 times until the system had room for what it sends",
            "waited for 25% of the time for lost requests to time out: try a shorter --timeout",
            "had no room for 6 datagrams in its own receive buffer",
            "was busy for 98.8% of the time: try --train, or more --threads",
            "sent one request in a hundred more than 2.500 ms late",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_run_of_a_moment_may_be_busy_all_the_time() {
        let mut summary = summary();
        summary.generator.busy = Some(1.0);
        assert_eq!(generator_limits(&summary), [GeneratorLimit::Busy { share: 1.0 }]);
        summary.common.duration_s = 0.1;
        assert_eq!(generator_limits(&summary), []);
    }

    #[test]
    fn a_request_in_a_hundred_may_be_missing() {
        let mut summary = summary();
        summary.common.sent = 990;
        summary.common.not_sent = [("late", 10)].into();
        (summary.generator.blocked, summary.generator.stalled) = (10, Some(0.01));
        assert_eq!(generator_limits(&summary), []);
        summary.common.not_sent = [("late", 11)].into();
        assert_eq!(generator_limits(&summary), [GeneratorLimit::Late { requests: 11 }]);
    }

    #[test]
    fn a_timer_as_good_as_the_server_and_a_generator_that_rests_are_no_limit() {
        let mut summary = summary();
        summary.generator.busy = Some(0.95);
        summary.common.timer_error_ms =
            Some(TimerError { mean: 0.0, p50: 0.0, p99: 2.5, max: 3.0 });
        summary.common.sent = 100;
        summary.common.rtt_ms = Some(times(5.0));
        assert_eq!(generator_limits(&summary), []);
        summary.common.rtt_ms = Some(times(4.9));
        assert_eq!(generator_limits(&summary), [GeneratorLimit::Timer { p99_ms: 2.5 }]);
        summary.common.sent = 99;
        assert_eq!(generator_limits(&summary), []);
        summary.common.sent = 100;
        summary.common.timer_error_ms =
            Some(TimerError { mean: 0.0, p50: 0.0, p99: 1.0, max: 3.0 });
        summary.common.rtt_ms = Some(times(0.1));
        assert_eq!(generator_limits(&summary), []);
    }

    #[test]
    fn a_closed_loop_that_never_waited_for_the_server_tells_of_no_limit() {
        let mut summary = summary();
        summary.generator.busy = Some(1.0);
        (summary.plan.rate, summary.plan.outstanding) = (None, Some(3));
        for (sent, limits) in [(29, &[][..]), (30, &[GeneratorLimit::Busy { share: 1.0 }])] {
            summary.common.sent = sent;
            assert_eq!(generator_limits(&summary), limits, "{sent}");
        }
    }

    #[test]
    fn loss_is_the_servers_unless_it_is_ours() {
        for (answered, lost, dropped, held_up, tolerance, verdict) in [
            (1000, 0, 0, 0, 0.0, TrialVerdict::Carried),
            (999, 1, 0, 0, 0.0, TrialVerdict::Lost),
            (999, 1, 0, 0, 0.001, TrialVerdict::Carried),
            (998, 2, 0, 0, 0.001, TrialVerdict::Lost),
            (999, 1, 1, 0, 0.0, TrialVerdict::NotOffered),
            (990, 10, 9, 0, 0.0, TrialVerdict::Lost),
            (990, 0, 0, 10, 0.0, TrialVerdict::Carried),
            (989, 0, 0, 11, 0.0, TrialVerdict::NotOffered),
            // What was lost may have been lost of a burst.
            (500, 1, 0, 499, 0.0, TrialVerdict::NotOffered),
            (0, 0, 0, 0, 1.0, TrialVerdict::NotOffered),
        ] {
            let mut summary = summary();
            (summary.common.sent, summary.common.answered, summary.common.lost) =
                (answered + lost, answered, lost);
            summary.generator.dropped = Some(dropped);
            summary.common.not_sent = [("late", held_up)].into();
            let found = judge_trial(&summary, tolerance);
            assert_eq!(found, verdict, "{answered} {lost} {dropped} {held_up} {tolerance}");
        }
    }
}
