//! The detection of a server's rate limit.

use std::time::Duration;

use hello_measure::Timeline;
use hello_proto::{Limiter, Rate};

use super::saturation::SuspectedLimit;
use super::summary::Summary;

/// Compares the losses of a run with those that the limit would cause. How much of its burst is left
/// at the start is unknown, because earlier runs use it, too: from the first loss on, none of it is.
///
/// A run with errors is exempt, because the limit refuses requests silently. The loopback is not: an
/// explicit limit applies there.
pub fn suspected_limit(summary: &Summary, timeline: &Timeline) -> Option<SuspectedLimit> {
    let is_silent = summary.common.errors.is_empty() && summary.generator.dropped.unwrap_or(0) == 0;
    let first = timeline.bins().find(|(_, bin)| bin.lost > 0).map(|(at, _)| at)?;
    // A closed loop waits for the timeout of what it lost, and its losses come in bursts.
    let is_closed = summary.plan.outstanding.is_some();
    let looks_limited = is_like_limit(summary, timeline, first)
        || is_closed && is_like_limit(summary, timeline, Duration::ZERO);
    (is_silent && looks_limited)
        .then_some(SuspectedLimit { rate: Rate::DEFAULT_RATE, burst: Rate::DEFAULT_BURST })
}

/// Returns whether the limit would have had these losses since `start`, with none of its burst left.
fn is_like_limit(summary: &Summary, timeline: &Timeline, start: Duration) -> bool {
    let since = timeline.bins().filter(|(at, _)| *at >= start);
    let (answered, lost) =
        since.fold((0, 0), |(answered, lost), (_, bin)| (answered + bin.answered, lost + bin.lost));
    let seconds = Duration::from_secs_f64(summary.common.duration_s).saturating_sub(start);
    let sent = (answered + lost) as f64;
    let expected = answered_under_limit(sent, seconds.as_secs_f64());
    let is_near = |count: u64, expected: f64, tolerance: f64| {
        (count as f64 - expected).abs() <= tolerance * expected
    };
    lost >= MIN_LOST
        && is_near(answered, expected, 0.05)
        // With few losses, nearly any number of answers would match.
        && is_near(lost, sent - expected, 0.25)
}

/// Returns the average number of `sent` requests that the limit answers, once its burst is used up.
fn answered_under_limit(sent: f64, seconds: f64) -> f64 {
    let within = sent.min(RATE * seconds);
    within + (sent - within) / Limiter::<()>::LEAK_ONE_IN as f64
}

/// The fewest losses that look like anything.
const MIN_LOST: u64 = 20;

const RATE: f64 = Rate::DEFAULT_RATE as f64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::fixtures::summary;

    #[test]
    fn limit_answers_its_rate_and_a_quarter_of_the_rest() {
        for (sent, seconds, answered) in
            [(1000.0, 1.0, 1000.0), (3400.0, 1.0, 1600.0), (0.0, 0.0, 0.0)]
        {
            assert_eq!(answered_under_limit(sent, seconds), answered, "{sent}");
        }
    }

    /// A run of ten seconds against 192.0.2.1, and its timeline.
    fn run(answered: u64, lost: u64) -> (Summary, Timeline) {
        after(Duration::ZERO, 0, answered, lost)
    }

    /// The same after a burst of answers of that length.
    fn after(start: Duration, burst: u64, answered: u64, lost: u64) -> (Summary, Timeline) {
        let mut timeline = Timeline::new();
        (0..burst).for_each(|_| timeline.answered(Duration::ZERO, Duration::ZERO));
        (0..lost).for_each(|_| timeline.lost(start));
        (0..answered).for_each(|_| timeline.answered(start, Duration::ZERO));
        let run = summary();
        let (sent, answered, duration_s) = (burst + answered + lost, burst + answered, 10.0);
        let common = hello_measure::Summary { duration_s, sent, answered, lost, ..run.common };
        (Summary { common, ..run }, timeline)
    }

    fn is_suspected((summary, timeline): &(Summary, Timeline)) -> bool {
        suspected_limit(summary, timeline).is_some()
    }

    #[test]
    fn losses_within_five_percent_of_the_limits_are_suspected() {
        // Of 20,000 requests, 10,000 are within the limit, and 2500 of the others leak.
        for (answered, expected) in [
            (12_500, true),
            (11_876, true),
            (11_874, false),
            (13_124, true),
            (13_126, false),
            (20_000, false),
            (0, false),
        ] {
            assert_eq!(is_suspected(&run(answered, 20_000 - answered)), expected, "{answered}");
        }
        let (summary, timeline) = run(12_500, 7500);
        let of = suspected_limit(&summary, &timeline).expect("suspected");
        assert_eq!(
            of.to_string(),
            "the losses look like a rate limit of 1000 requests/s per source network, \
             hello-server's default: raise it with hello-server --limit"
        );
    }

    #[test]
    fn loads_within_the_limit_and_disproportionate_losses_are_not_suspected() {
        for (answered, lost) in
            [(10_000, 0), (9900, 100), (10_006, 19), (10_990, 10), (11_000, 1000)]
        {
            assert!(!is_suspected(&run(answered, lost)), "{answered} {lost}");
        }
        assert!(is_suspected(&run(10_007, 20)));
    }

    #[test]
    fn losses_with_another_cause_are_not_suspected() {
        let limited = || run(12_500, 7500);
        assert!(is_suspected(&limited()));
        let mut refused = limited();
        refused.0.common.errors = [("refused", 1)].into();
        assert!(!is_suspected(&refused), "the network reported something");
        let mut ours = limited();
        ours.0.generator.dropped = Some(1);
        assert!(!is_suspected(&ours), "our own buffer was full");
    }

    #[test]
    fn explicit_limit_is_suspected_on_the_loopback_too() {
        let address = hello_net::ZonedAddr(([127, 0, 0, 1], 9999).into());
        let (summary, timeline) = run(12_500, 7500);
        assert!(is_suspected(&(Summary { address, ..summary }, timeline)));
    }

    #[test]
    fn any_rest_of_the_burst_may_be_left_at_the_start() {
        for seconds in [1, 5, 9] {
            let start = Duration::from_secs(seconds);
            let left = 10 - seconds;
            for (burst, answered) in [(500, 1250 * left), (2000 * seconds, 1250 * left)] {
                let limited = after(start, burst, answered, 750 * left);
                assert!(is_suspected(&limited), "{seconds} {burst}");
            }
            // A closed loop answers at the rate of the limit before its first losses, too.
            let (mut closed, timeline) = after(start, 1000 * seconds + 60, 1000 * left, 240);
            assert!(!is_suspected(&(closed.clone(), timeline.clone())), "{seconds}");
            (closed.plan.outstanding, closed.plan.rate) = (Some(64), None);
            assert!(is_suspected(&(closed, timeline)), "{seconds}");
            // The same loss in all, but not from its first one on.
            assert!(!is_suspected(&after(start, 0, 1250 * left, 250 * left)), "{seconds}");
        }
    }
}
