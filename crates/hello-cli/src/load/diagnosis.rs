//! The diagnosis of a run: the limits of the generator, and the verdict on a trial.

use hello_measure::TrialVerdict;

use super::saturation::GeneratorLimit;
use super::summary::Summary;

/// Returns the limits of the generator.
pub fn generator_limits(summary: &Summary) -> Vec<GeneratorLimit> {
    let mut limits = Vec::new();
    let not_sent = |reason| summary.common.not_sent.get(reason).copied().unwrap_or(0);
    let [late, too_many] = ["late", "too-many-in-flight"].map(not_sent);
    let not_taken = summary.common.not_sent_total() - late - too_many;
    let no_room = summary.generator.blocked;
    let dropped = summary.generator.dropped.unwrap_or(0);
    let due = summary.common.due() as f64;
    let many = |count: u64| count as f64 > MAX_SHORTFALL * due;
    limits.extend(many(late).then_some(GeneratorLimit::Late { requests: late }));
    limits.extend(many(too_many).then_some(GeneratorLimit::TooManyInFlight { requests: too_many }));
    limits.extend(many(not_taken).then_some(GeneratorLimit::NotTaken { requests: not_taken }));
    limits.extend(many(no_room).then_some(GeneratorLimit::NoRoomToSend { times: no_room }));
    let stalled = summary.generator.stalled.unwrap_or(0.0).max(held_by_lost(summary));
    // If nothing was answered, a shorter timeout changes nothing.
    let is_answered = summary.common.answered > 0;
    let stalled = Some(stalled).filter(|share| *share > MAX_SHORTFALL && is_answered);
    limits.extend(stalled.map(|share| GeneratorLimit::Stalled { share }));
    limits.extend((dropped > 0).then_some(GeneratorLimit::Dropped { datagrams: dropped }));
    let is_long = summary.common.duration_s > MIN_DURATION_S && summary.is_steady();
    let busy = summary.generator.busy.filter(|share| *share > BUSY && is_long);
    limits.extend(busy.map(|share| GeneratorLimit::Busy { share }));
    if let (Some(timer), Some(rtt)) = (summary.common.timer_error_ms, summary.common.rtt_ms)
        && let (Some(timer), Some(rtt)) = (timer.p99, rtt.p99)
        && timer > MIN_TIMER_ERROR_MS
        && 2.0 * timer > rtt
    {
        limits.push(GeneratorLimit::Timer { p99_ms: timer });
    }
    limits
}

/// Returns the share of a closed loop's places that lost requests held until their timeouts.
fn held_by_lost(summary: &Summary) -> f64 {
    let Some(outstanding) = summary.plan.outstanding else { return 0.0 };
    let all_s = f64::from(outstanding) * summary.common.duration_s;
    if all_s > 0.0 { (summary.trend.held_s / all_s).min(1.0) } else { 0.0 }
}

/// Returns the verdict on a trial.
///
/// The load counts as offered if at most [`MAX_SHORTFALL`] of the due requests were not sent.
/// Otherwise the rest left in bursts, whose loss does not describe an even load. A loss that
/// exceeds the tolerance only because our own receive buffers overflowed is not the server's.
pub fn judge_trial(summary: &Summary, tolerance: f64) -> TrialVerdict {
    let due = summary.common.due();
    let settled = summary.common.settled() as f64;
    let max = tolerance * settled;
    let dropped = summary.generator.dropped.unwrap_or(0);
    let lost_by_server = summary.common.lost.saturating_sub(dropped) as f64;
    if due == 0 || summary.common.not_sent_total() as f64 > MAX_SHORTFALL * due as f64 {
        TrialVerdict::NotOffered
    } else if lost_by_server > max {
        TrialVerdict::Lost
    } else if summary.common.lost as f64 > max {
        TrialVerdict::NotOffered
    } else {
        TrialVerdict::Carried
    }
}

/// The share of the time above which a generator counts as always busy.
const BUSY: f64 = 0.95;

/// The shortest run in seconds for which `BUSY` is a limit, and the CPU time per request is known.
pub const MIN_DURATION_S: f64 = 0.1;

/// The smallest timer error that is a limit, in milliseconds.
const MIN_TIMER_ERROR_MS: f64 = 1.0;

/// The share of the due requests that may be missing from a load: other programs delay any
/// generator.
pub const MAX_SHORTFALL: f64 = 0.01;

#[cfg(test)]
mod tests {
    use hello_measure::{Quantiles, TimerError};

    use super::*;
    use crate::load::fixtures::summary;

    fn times(p99: f64) -> Quantiles {
        let (min, mean, max, stddev) = (0.0, 0.0, p99, 0.0);
        let (p50, p90, p95, p99, p999) = (None, None, None, Some(p99), None);
        Quantiles { min, mean, max, stddev, p50, p90, p95, p99, p999 }
    }

    #[test]
    fn each_limit_is_found_and_described() {
        let mut summary = summary();
        assert_eq!(generator_limits(&summary), []);
        summary.common.sent = 100;
        summary.common.not_sent = [("late", 2), ("too-many-in-flight", 2), ("denied", 3)].into();
        (summary.generator.blocked, summary.generator.stalled) = (5, Some(0.25));
        summary.generator.dropped = Some(6);
        summary.generator.busy = Some(0.9876);
        summary.common.timer_error_ms =
            Some(TimerError { mean: 0.0, p50: None, p99: Some(2.5), max: 3.0 });
        summary.common.rtt_ms = Some(times(2.0));
        let found =
            Vec::from_iter(generator_limits(&summary).iter().map(GeneratorLimit::to_string));
        let expected = [
            "2 requests not sent: too late",
            "2 requests not sent: too many in flight",
            "3 requests not sent: rejected by the system",
            "send buffer full 5 times",
            "at least 25% of the time spent waiting for lost requests to time out; try a shorter --timeout",
            "6 datagrams overflowed its receive buffers",
            "98.8% busy; try --train or more --threads",
            "1% of the requests sent more than 2.50 ms late",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn lost_requests_that_wait_for_their_timeouts_limit_a_closed_loop() {
        let mut summary = summary();
        (summary.plan.rate, summary.plan.outstanding) = (None, Some(64));
        for (held_s, limits) in [
            (56.0, &[GeneratorLimit::Stalled { share: 0.875 }][..]),
            (0.56, &[]),
            (640.0, &[GeneratorLimit::Stalled { share: 1.0 }]),
            (0.0, &[]),
        ] {
            summary.trend.held_s = held_s;
            assert_eq!(generator_limits(&summary), limits, "{held_s}");
        }
        (summary.trend.held_s, summary.common.answered) = (56.0, 0);
        assert_eq!(generator_limits(&summary), [], "a longer timeout is what may help");
        summary.common.answered = 2;
        (summary.plan.rate, summary.plan.outstanding) = (Some(5541), None);
        summary.trend.held_s = 56.0;
        assert_eq!(generator_limits(&summary), [], "an open loop waits for no reply");
    }

    #[test]
    fn very_short_run_may_be_busy_all_the_time() {
        let mut summary = summary();
        summary.generator.busy = Some(1.0);
        assert_eq!(generator_limits(&summary), [GeneratorLimit::Busy { share: 1.0 }]);
        summary.common.duration_s = 0.1;
        assert_eq!(generator_limits(&summary), []);
    }

    #[test]
    fn one_request_in_a_hundred_may_be_missing() {
        let mut summary = summary();
        summary.common.sent = 990;
        summary.common.not_sent = [("late", 10)].into();
        (summary.generator.blocked, summary.generator.stalled) = (10, Some(0.01));
        assert_eq!(generator_limits(&summary), []);
        summary.common.not_sent = [("late", 11)].into();
        assert_eq!(generator_limits(&summary), [GeneratorLimit::Late { requests: 11 }]);
    }

    #[test]
    fn precise_timer_and_idle_generator_are_no_limit() {
        let mut summary = summary();
        summary.generator.busy = Some(0.95);
        summary.common.timer_error_ms =
            Some(TimerError { mean: 0.0, p50: None, p99: Some(2.5), max: 3.0 });
        summary.common.sent = 100;
        summary.common.rtt_ms = Some(times(5.0));
        assert_eq!(generator_limits(&summary), []);
        summary.common.rtt_ms = Some(times(4.9));
        assert_eq!(generator_limits(&summary), [GeneratorLimit::Timer { p99_ms: 2.5 }]);
        summary.common.rtt_ms = Some(Quantiles { p99: None, ..times(4.9) });
        assert_eq!(generator_limits(&summary), [], "too few replies for a percentile");
        summary.common.timer_error_ms =
            Some(TimerError { mean: 0.0, p50: None, p99: Some(1.0), max: 3.0 });
        summary.common.rtt_ms = Some(times(0.1));
        assert_eq!(generator_limits(&summary), []);
    }

    #[test]
    fn short_closed_loop_has_no_busy_limit() {
        let mut summary = summary();
        summary.generator.busy = Some(1.0);
        (summary.plan.rate, summary.plan.outstanding) = (None, Some(3));
        summary.trend.held_s = 0.0;
        for (sent, limits) in [(29, &[][..]), (30, &[GeneratorLimit::Busy { share: 1.0 }])] {
            summary.common.sent = sent;
            assert_eq!(generator_limits(&summary), limits, "{sent}");
        }
    }

    #[test]
    fn loss_is_the_servers_unless_our_buffers_overflowed() {
        for (answered, lost, dropped, held_up, tolerance, verdict) in [
            (1000, 0, 0, 0, 0.0, TrialVerdict::Carried),
            (999, 1, 0, 0, 0.0, TrialVerdict::Lost),
            (999, 1, 0, 0, 0.001, TrialVerdict::Carried),
            (998, 2, 0, 0, 0.001, TrialVerdict::Lost),
            (999, 1, 1, 0, 0.0, TrialVerdict::NotOffered),
            (990, 10, 9, 0, 0.0, TrialVerdict::Lost),
            (990, 0, 0, 10, 0.0, TrialVerdict::Carried),
            (989, 0, 0, 11, 0.0, TrialVerdict::NotOffered),
            // The lost request may have been part of a burst.
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
