//! What is not good enough any more.

use std::time::Duration;

use hello_measure::millis;

use super::summary::Summary;
use crate::output::escape::Escaped;
use crate::output::percent::percent;

/// What a run may come to at most, for the exit status to be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// The share of lost in the settled probes, from 0 to 1.
    pub max_loss: Option<f64>,
    /// The 99th percentile of the round-trip times.
    pub max_p99: Option<Duration>,
    /// The mean jitter.
    pub max_jitter: Option<Duration>,
}

impl Thresholds {
    /// Says which are violations, and by how much; a value that nobody knows, such as percentiles
    /// without an answer, exceeds its threshold.
    pub fn violations(&self, summary: &Summary) -> Vec<String> {
        let name = Escaped(summary.target.as_bytes());
        let mut lines = Vec::new();
        if let Some(max) = self.max_loss {
            let most = percent(max);
            match summary.common.loss {
                Some(loss) if loss <= max => {}
                Some(loss) => lines.push(format!(
                    "{name}: loss {}% exceeds {most}% by {} percentage points",
                    percent(loss),
                    percent(loss - max)
                )),
                None => lines.push(format!(
                    "{name}: loss unknown, for no probe is settled: taken to exceed {most}%"
                )),
            }
        }
        let p99 = summary.common.rtt_ms.map(|rtt| rtt.p99);
        let jitter = summary.jitter_ms.map(|jitter| jitter.mean);
        for (what, value, max) in [("p99", p99, self.max_p99), ("jitter", jitter, self.max_jitter)]
        {
            let Some(max) = max.map(millis) else { continue };
            match value {
                Some(value) if value <= max => {}
                Some(value) => lines.push(format!(
                    "{name}: {what} {value:.3} ms exceeds {max:.3} ms by {:.3} ms",
                    value - max
                )),
                None => lines.push(format!(
                    "{name}: {what} unknown, for there are too few answers: taken to exceed \
                     {max:.3} ms"
                )),
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::fixtures::{answered, events, lost, target};
    use crate::ping::recorder::Recorder;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn what_is_exceeded_is_said_with_by_how_much() {
        let mut recorder = Recorder::new(target());
        events(
            &mut recorder,
            [answered(3 * MILLI), answered(5 * MILLI), answered(3 * MILLI), lost(3)],
        );
        let summary = recorder.summary(Duration::ZERO);
        let violations = |max_loss, max_p99, max_jitter| {
            let max_loss = Some(max_loss);
            let (max_p99, max_jitter) = (Some(max_p99), Some(max_jitter));
            Thresholds { max_loss, max_p99, max_jitter }.violations(&summary)
        };
        assert_eq!(violations(0.25, 5 * MILLI, 2 * MILLI), Vec::<String>::new());
        let lines = [
            "192.0.2.1:9999: loss 25% exceeds 20% by 5 percentage points",
            "192.0.2.1:9999: p99 5.000 ms exceeds 4.000 ms by 1.000 ms",
            "192.0.2.1:9999: jitter 2.000 ms exceeds 1.000 ms by 1.000 ms",
        ];
        assert_eq!(violations(0.2, 4 * MILLI, MILLI), lines);
        assert_eq!(Thresholds::default().violations(&summary), Vec::<String>::new());
    }

    #[test]
    fn what_nobody_knows_exceeds() {
        let summary = Recorder::new(target()).summary(Duration::ZERO);
        let (max_loss, most) = (Some(1.0), Some(Duration::MAX));
        let violations =
            Thresholds { max_loss, max_p99: most, max_jitter: most }.violations(&summary);
        assert_eq!(violations.len(), 3, "{violations:?}");
        assert!(violations.iter().all(|line| line.contains("unknown")), "{violations:?}");
    }
}
