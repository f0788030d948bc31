//! The thresholds of `hello-ping`'s exit status.

use std::time::Duration;

use hello_measure::millis;

use super::summary::Summary;
use crate::output::format::{count, duration, exact, percentile};
use crate::output::percent::{self, percent};

/// The thresholds that a run may not exceed for exit status 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// The share of the settled or unsent probes that were lost or not sent, from 0 to 1.
    pub max_loss: Option<f64>,
    /// The 99th percentile of the round-trip times.
    pub max_p99: Option<Duration>,
    /// The mean jitter.
    pub max_jitter: Option<Duration>,
}

impl Thresholds {
    /// Describes each threshold that is exceeded. An unknown value, such as a percentile without a
    /// reply, exceeds its threshold.
    pub fn violations(&self, summary: &Summary) -> Vec<String> {
        let violations = [
            self.max_loss.and_then(|max| loss(summary, max)),
            self.max_p99.and_then(|max| p99(summary, max)),
            self.max_jitter.and_then(|max| jitter(summary, max)),
        ];
        let name = |line| format!("{}: {line}", summary.name());
        violations.into_iter().flatten().map(name).collect()
    }
}

/// Checks the loss. A probe that was due but not sent is as bad as a lost one.
fn loss(summary: &Summary, max: f64) -> Option<String> {
    let not_sent = summary.common.not_sent_total();
    let (missed, due) = (summary.common.lost + not_sent, summary.common.settled() + not_sent);
    let threshold = format!("exceeds --max-loss {}%", percent(max));
    let Some(ratio) = summary.common.unanswered_ratio() else {
        return Some(format!("loss unknown (no probe was answered or lost): {threshold}"));
    };
    let note = match not_sent {
        0 => String::new(),
        _ => format!(" ({not_sent} of {} not sent)", summary.common.due()),
    };
    (ratio > max).then(|| format!("loss {}{note} {threshold}", percent::of(missed, due)))
}

/// Checks the 99th percentile, or every reply if there are too few for a percentile.
fn p99(summary: &Summary, max: Duration) -> Option<String> {
    let threshold = format!("exceeds --max-p99 {}", duration(max));
    let [.., p99, _] = summary.percentiles();
    let highest = summary.common.rtt_ms.map(|rtt| rtt.max);
    match (p99, highest) {
        _ if too_few_sent(summary) => Some(format!("p99 {}: {threshold}", unknown(summary))),
        (None, None) => Some(format!("p99 unknown (no reply): {threshold}")),
        (Some(p99), _) => {
            (p99 > millis(max)).then(|| format!("p99 {} ms {threshold}", percentile(p99)))
        }
        (None, Some(highest)) => (highest > millis(max)).then(|| {
            let replies = count(summary.common.answered, "reply");
            format!("p99 unknown ({replies}, of up to {} ms): {threshold}", exact(highest))
        }),
    }
}

fn jitter(summary: &Summary, max: Duration) -> Option<String> {
    let threshold = format!("exceeds --max-jitter {}", duration(max));
    match summary.jitter_ms.map(|jitter| jitter.mean) {
        _ if too_few_sent(summary) => Some(format!("jitter {}: {threshold}", unknown(summary))),
        None => Some(format!("jitter unknown (too few replies): {threshold}")),
        Some(mean) => {
            (mean > millis(max)).then(|| format!("jitter {} ms {threshold}", exact(mean)))
        }
    }
}

/// Whether more than 1% of the due probes were not sent, so that the 99th percentile of the due ones
/// is unknown.
fn too_few_sent(summary: &Summary) -> bool {
    summary.common.not_sent_total() > summary.common.due() / 100
}

fn unknown(summary: &Summary) -> String {
    let (not_sent, due) = (summary.common.not_sent_total(), summary.common.due());
    format!("unknown ({not_sent} of {due} probes not sent)")
}

#[cfg(test)]
mod tests {
    use hello_net::{ErrorClass, NotSent, ProbeEventKind};

    use super::*;
    use crate::ping::fixtures::{answered, events, lost, sent, target};
    use crate::ping::recorder::Recorder;

    const MILLI: Duration = Duration::from_millis(1);

    fn violations(
        recorder: &Recorder,
        max_loss: f64,
        p99: Duration,
        jitter: Duration,
    ) -> Vec<String> {
        let (max_p99, max_jitter) = (Some(p99), Some(jitter));
        let thresholds = Thresholds { max_loss: Some(max_loss), max_p99, max_jitter };
        thresholds.violations(&recorder.summary(Duration::ZERO))
    }

    fn not_sent() -> ProbeEventKind<'static> {
        ProbeEventKind::NotSent(NotSent::Failed(ErrorClass::Unreachable.into()))
    }

    #[test]
    fn exceeded_thresholds_are_described() {
        let mut recorder = Recorder::new(target());
        let times = [3 * MILLI, 5 * MILLI, 3 * MILLI].map(answered);
        events(&mut recorder, times.into_iter().chain([lost(3)]));
        assert_eq!(violations(&recorder, 0.25, 5 * MILLI, 2 * MILLI), Vec::<String>::new());
        let lines = [
            "192.0.2.1:9999: loss 25% exceeds --max-loss 20%",
            "192.0.2.1:9999: p99 unknown (3 replies, of up to 5.000 ms): exceeds --max-p99 4ms",
            "192.0.2.1:9999: jitter 2.000 ms exceeds --max-jitter 1ms",
        ];
        assert_eq!(violations(&recorder, 0.2, 4 * MILLI, MILLI), lines);
        let summary = recorder.summary(Duration::ZERO);
        assert_eq!(Thresholds::default().violations(&summary), Vec::<String>::new());
        events(&mut recorder, [answered(3 * MILLI); 97]);
        assert_eq!(violations(&recorder, 1.0, 4 * MILLI, MILLI), Vec::<String>::new());
        let line = "192.0.2.1:9999: p99 3.00 ms exceeds --max-p99 1ms";
        assert_eq!(violations(&recorder, 1.0, MILLI, MILLI), [line]);
    }

    #[test]
    fn unknown_values_exceed_every_threshold() {
        let found = violations(&Recorder::new(target()), 1.0, Duration::MAX, Duration::MAX);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().all(|line| line.contains("unknown")), "{found:?}");
    }

    #[test]
    fn probes_not_sent_count_as_lost_and_hide_the_slowest_replies() {
        let mut recorder = Recorder::new(target());
        for seq in 0..10 {
            events(&mut recorder, [sent(seq), answered(MILLI)]);
        }
        events(&mut recorder, [not_sent(); 20]);
        let lines = [
            "192.0.2.1:9999: loss 67% (20 of 30 not sent) exceeds --max-loss 66%",
            "192.0.2.1:9999: p99 unknown (20 of 30 probes not sent): exceeds --max-p99 1s",
            "192.0.2.1:9999: jitter unknown (20 of 30 probes not sent): exceeds --max-jitter 1s",
        ];
        assert_eq!(violations(&recorder, 0.66, 1000 * MILLI, 1000 * MILLI), lines);
        assert_eq!(violations(&recorder, 0.67, 1000 * MILLI, 1000 * MILLI), lines[1..]);
    }

    #[test]
    fn one_percent_not_sent_leaves_the_percentile_known() {
        let mut recorder = Recorder::new(target());
        for seq in 0..99 {
            events(&mut recorder, [sent(seq), answered(MILLI)]);
        }
        events(&mut recorder, [not_sent()]);
        assert_eq!(violations(&recorder, 0.01, MILLI, MILLI), Vec::<String>::new());
        events(&mut recorder, [not_sent()]);
        assert_eq!(violations(&recorder, 0.02, MILLI, MILLI).len(), 2);
    }

    #[test]
    fn run_that_sent_nothing_lost_everything() {
        let mut recorder = Recorder::new(target());
        events(&mut recorder, [not_sent(); 3]);
        let [loss, ..] = &violations(&recorder, 0.5, MILLI, MILLI)[..] else { panic!("none") };
        assert_eq!(loss, "192.0.2.1:9999: loss 100% (3 of 3 not sent) exceeds --max-loss 50%");
    }
}
