//! The thresholds of `hello-ping`'s exit status.

use std::time::Duration;

use hello_measure::millis;

use super::summary::Summary;
use crate::output::percent::percent;

/// The thresholds that a run may not exceed for exit status 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// The share of the answered or lost probes that were lost, from 0 to 1.
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
        let name = summary.name();
        let check = |what, value: Option<f64>, max: f64, text: fn(f64) -> String| {
            let threshold = format!("--max-{what} {}", text(max));
            match value {
                Some(value) if value <= max => None,
                Some(value) => Some(format!("{name}: {what} {} exceeds {threshold}", text(value))),
                None => {
                    Some(format!("{name}: {what} unknown (too few replies): exceeds {threshold}"))
                }
            }
        };
        let percent = |share| format!("{}%", percent(share));
        let time = |millis| format!("{millis:.3} ms");
        let p99 = summary.common.rtt_ms.and_then(|rtt| rtt.p99);
        let jitter = summary.jitter_ms.map(|jitter| jitter.mean);
        let violations = [
            self.max_loss.and_then(|max| check("loss", summary.common.loss, max, percent)),
            self.max_p99.and_then(|max| check("p99", p99, millis(max), time)),
            self.max_jitter.and_then(|max| check("jitter", jitter, millis(max), time)),
        ];
        violations.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::ping::fixtures::{answered, events, lost, target};
    use crate::ping::recorder::Recorder;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn exceeded_thresholds_are_described() {
        let mut recorder = Recorder::new(target());
        let slow = [3, 5].map(|rtt| answered(rtt * MILLI)).repeat(50);
        events(&mut recorder, slow.into_iter().chain(iter::repeat_n(lost(3), 25)));
        let summary = recorder.summary(Duration::ZERO);
        let violations = |max_loss, max_p99, max_jitter| {
            let max_loss = Some(max_loss);
            let (max_p99, max_jitter) = (Some(max_p99), Some(max_jitter));
            Thresholds { max_loss, max_p99, max_jitter }.violations(&summary)
        };
        assert_eq!(violations(0.25, 5 * MILLI, 2 * MILLI), Vec::<String>::new());
        let lines = [
            "192.0.2.1:9999: loss 20% exceeds --max-loss 10%",
            "192.0.2.1:9999: p99 5.000 ms exceeds --max-p99 4.000 ms",
            "192.0.2.1:9999: jitter 2.000 ms exceeds --max-jitter 1.000 ms",
        ];
        assert_eq!(violations(0.1, 4 * MILLI, MILLI), lines);
        assert_eq!(Thresholds::default().violations(&summary), Vec::<String>::new());
    }

    #[test]
    fn percentile_of_too_few_replies_is_unknown() {
        let mut recorder = Recorder::new(target());
        let thresholds = Thresholds { max_p99: Some(Duration::MAX), ..Thresholds::default() };
        for replies in 1..=100 {
            events(&mut recorder, [answered(MILLI)]);
            let violations = thresholds.violations(&recorder.summary(Duration::ZERO));
            assert_eq!(violations.is_empty(), replies == 100, "{replies}: {violations:?}");
        }
    }

    #[test]
    fn unknown_values_exceed_every_threshold() {
        let summary = Recorder::new(target()).summary(Duration::ZERO);
        let (max_loss, most) = (Some(1.0), Some(Duration::MAX));
        let violations =
            Thresholds { max_loss, max_p99: most, max_jitter: most }.violations(&summary);
        assert_eq!(violations.len(), 3, "{violations:?}");
        assert!(violations.iter().all(|line| line.contains("unknown")), "{violations:?}");
    }
}
