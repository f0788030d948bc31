//! The detection of a server's rate limit.

use hello_proto::{Limiter, Rate};

use super::saturation::SuspectedLimit;
use super::summary::Summary;

/// Compares the losses of a run with those that the limit would cause. A run with errors is exempt,
/// because the limit refuses requests silently. The loopback is not: an explicit limit applies there.
pub fn suspected_limit(summary: &Summary) -> Option<SuspectedLimit> {
    let is_silent = summary.common.errors.is_empty() && summary.generator.dropped.unwrap_or(0) == 0;
    if !is_silent {
        return None;
    }
    let (sent, seconds) = (summary.common.settled() as f64, summary.common.duration_s);
    let warm_up = summary.plan.warm_up_s;
    let saved = match summary.plan.outstanding {
        // A closed loop uses up the burst as fast as the server answers.
        Some(_) if warm_up > 0.0 => 0.0,
        Some(_) => BURST,
        None => left_of_burst(sent / seconds, warm_up),
    };
    let answered = answered_under_limit(sent, seconds, saved);
    let lost = sent - answered;
    let is_near = |count: u64, expected: f64, tolerance: f64| {
        (count as f64 - expected).abs() <= tolerance * expected
    };
    let looks_limited = lost > 0.0
        && is_near(summary.common.answered, answered, 0.05)
        // With few losses, nearly any number of answers would match.
        && is_near(summary.common.lost, lost, 0.25);
    looks_limited.then_some(SuspectedLimit { rate: Rate::DEFAULT_RATE, burst: Rate::DEFAULT_BURST })
}

/// Returns the average number of `sent` requests that the limit answers, for a network that has
/// `saved` requests of its burst left.
fn answered_under_limit(sent: f64, seconds: f64, saved: f64) -> f64 {
    let within = sent.min(saved + RATE * seconds);
    within + (sent - within) / Limiter::<()>::LEAK_ONE_IN as f64
}

/// Returns the rest of the burst after some seconds of an even load.
fn left_of_burst(load_per_s: f64, seconds: f64) -> f64 {
    (BURST - (load_per_s - RATE).max(0.0) * seconds).max(0.0)
}

const RATE: f64 = Rate::DEFAULT_RATE as f64;

const BURST: f64 = Rate::DEFAULT_BURST as f64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::fixtures::summary;

    #[test]
    fn limit_answers_the_burst_the_rate_and_a_quarter_of_the_rest() {
        for (sent, seconds, saved, answered) in [
            (1000.0, 1.0, 2000.0, 1000.0),
            (3000.0, 1.0, 2000.0, 3000.0),
            (3400.0, 1.0, 2000.0, 3100.0),
            (3400.0, 1.0, 0.0, 1600.0),
            (0.0, 0.0, 0.0, 0.0),
        ] {
            assert_eq!(answered_under_limit(sent, seconds, saved), answered, "{sent} {saved}");
        }
    }

    #[test]
    fn burst_is_used_up_by_the_excess_over_the_rate() {
        for (load, seconds, left) in [
            (500.0, 9.0, 2000.0),
            (1000.0, 9.0, 2000.0),
            (1500.0, 0.0, 2000.0),
            (1500.0, 1.0, 1500.0),
            (1500.0, 9.0, 0.0),
        ] {
            assert_eq!(left_of_burst(load, seconds), left, "{load} for {seconds} s");
        }
    }

    /// A run of ten seconds against 192.0.2.1.
    fn run(answered: u64, lost: u64) -> Summary {
        let run = summary();
        let (sent, duration_s) = (answered + lost, 10.0);
        let common = hello_measure::Summary { duration_s, sent, answered, lost, ..run.common };
        Summary { common, ..run }
    }

    fn is_suspected(summary: &Summary) -> bool {
        suspected_limit(summary).is_some()
    }

    #[test]
    fn losses_within_five_percent_of_the_limits_are_suspected() {
        // Of 20,000 requests, 12,000 are within the limit, and 2000 of the others leak.
        for (answered, expected) in [
            (14_000, true),
            (13_301, true),
            (13_299, false),
            (14_699, true),
            (14_701, false),
            (20_000, false),
            (0, false),
        ] {
            assert_eq!(is_suspected(&run(answered, 20_000 - answered)), expected, "{answered}");
        }
        let of = suspected_limit(&run(14_000, 6000)).expect("suspected");
        assert_eq!(
            of.to_string(),
            "the losses look like a rate limit of 1000 requests/s per source network, \
             hello-server's default: raise it with hello-server --limit"
        );
    }

    #[test]
    fn loads_within_the_limit_and_disproportionate_losses_are_not_suspected() {
        for (answered, lost) in [(12_000, 0), (11_900, 100), (12_990, 10), (11_000, 1000)] {
            assert!(!is_suspected(&run(answered, lost)), "{answered} {lost}");
        }
    }

    #[test]
    fn losses_with_another_cause_are_not_suspected() {
        let limited = || run(14_000, 6000);
        assert!(is_suspected(&limited()));
        let mut refused = limited();
        refused.common.errors = [("connection-refused", 1)].into();
        assert!(!is_suspected(&refused), "the network reported something");
        let mut ours = limited();
        ours.generator.dropped = Some(1);
        assert!(!is_suspected(&ours), "our own buffer was full");
    }

    #[test]
    fn explicit_limit_is_suspected_on_the_loopback_too() {
        let address = hello_net::ZonedAddr(([127, 0, 0, 1], 9999).into());
        assert!(is_suspected(&Summary { address, ..run(14_000, 6000) }));
    }

    #[test]
    fn warm_up_uses_up_the_burst() {
        let mut limited = run(12_500, 7500);
        assert!(!is_suspected(&limited));
        limited.plan.warm_up_s = 5.0;
        assert!(is_suspected(&limited));
        // A closed loop sends as fast as the server answers.
        let mut closed = run(10_200, 600);
        (closed.plan.outstanding, closed.plan.rate) = (Some(64), None);
        closed.plan.warm_up_s = 1.0;
        assert!(is_suspected(&closed));
        closed.plan.warm_up_s = 0.0;
        assert!(!is_suspected(&closed));
    }
}
