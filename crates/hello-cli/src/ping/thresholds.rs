//! The thresholds of `hello-ping`'s exit status.

use std::time::Duration;

use hello_measure::millis;

use super::summary::Summary;
use crate::output::format::{count, duration, exact, percentile};
use crate::output::outages;
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
    /// The duration of an outage, of a flow or of all flows together.
    pub max_outage: Option<Duration>,
}

impl Thresholds {
    /// Describes each threshold that is exceeded. An unknown value, such as a percentile without a
    /// reply, exceeds its threshold.
    pub fn violations(&self, summary: &Summary) -> Vec<String> {
        let violations = [
            self.max_loss.and_then(|max| loss(summary, max)),
            self.max_p99.and_then(|max| p99(summary, max)),
            self.max_jitter.and_then(|max| jitter(summary, max)),
            self.max_outage.and_then(|max| outage(summary, max)),
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
    let loss = percent::of(missed, due);
    // Rounded, it may not look like more.
    let is_more = loss.trim_end_matches('%').parse().is_ok_and(|shown: f64| shown > max * 100.0);
    let counts = if is_more { String::new() } else { format!(" ({missed} of {due})") };
    (ratio > max).then(|| format!("loss {loss}{counts}{note} {threshold}"))
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
            let shown = || above(millis(max), &[percentile(p99), exact(p99), p99.to_string()]);
            (p99 > millis(max)).then(|| format!("p99 {} ms {threshold}", shown()))
        }
        (None, Some(highest)) => (highest > millis(max)).then(|| {
            let replies = count(summary.common.answered, "reply");
            let shown = above(millis(max), &[exact(highest), highest.to_string()]);
            format!("p99 unknown ({replies}, of up to {shown} ms): {threshold}")
        }),
    }
}

fn jitter(summary: &Summary, max: Duration) -> Option<String> {
    let threshold = format!("exceeds --max-jitter {}", duration(max));
    match summary.jitter_ms.map(|jitter| jitter.mean) {
        _ if too_few_sent(summary) => Some(format!("jitter {}: {threshold}", unknown(summary))),
        None => Some(format!("jitter unknown (too few replies): {threshold}")),
        Some(mean) => {
            let shown = || above(millis(max), &[exact(mean), mean.to_string()]);
            (mean > millis(max)).then(|| format!("jitter {} ms {threshold}", shown()))
        }
    }
}

/// Checks the longest outage. Probes that were not sent are part of it, and it need not be over.
fn outage(summary: &Summary, max: Duration) -> Option<String> {
    let threshold = format!("exceeds --max-outage {}", duration(max));
    if summary.common.unanswered_ratio().is_none() {
        return Some(format!("outages unknown (no probe was answered or lost): {threshold}"));
    }
    let worst =
        summary.outages.as_ref()?.worst().filter(|worst| worst.duration_s > max.as_secs_f64())?;
    let described = outages::describe(&worst, summary.flows.len());
    let seconds = worst.duration_s;
    let shown = above(max.as_secs_f64(), &[format!("{seconds:.3}"), seconds.to_string()]);
    let exactly = if described.contains(&shown) { String::new() } else { format!(" ({shown} s)") };
    Some(format!("outage of {described}{exactly} {threshold}"))
}

/// Returns the first of these texts of a number, each more exact than the one before, that looks like more
/// than `max`, or the last.
fn above(max: f64, texts: &[String]) -> String {
    let is_more = |text: &&String| text.parse().is_ok_and(|shown: f64| shown > max);
    texts.iter().find(is_more).or(texts.last()).cloned().unwrap_or_default()
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
    use hello_measure::ReplyKind;
    use hello_net::{ErrorClass, NotSent, ProbeEvent, ProbeEventKind};

    use super::*;
    use crate::ping::Target;
    use crate::ping::fixtures::{TEXT, answered, events, lost, received, sent, target};
    use crate::ping::recorder::Recorder;
    use crate::ping::report::Report;
    use crate::ping::totals::Totals;

    const MILLI: Duration = Duration::from_millis(1);

    fn violations(
        recorder: &Recorder,
        max_loss: f64,
        p99: Duration,
        jitter: Duration,
    ) -> Vec<String> {
        let (max_p99, max_jitter) = (Some(p99), Some(jitter));
        let max_loss = Some(max_loss);
        let thresholds = Thresholds { max_loss, max_p99, max_jitter, max_outage: None };
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
    fn value_that_exceeds_its_threshold_looks_like_more() {
        let mut recorder = Recorder::new(target());
        events(&mut recorder, [answered(MILLI), lost(1), answered(MILLI), sent(3)]);
        let line = "192.0.2.1:9999: loss 33% (1 of 3) exceeds --max-loss 33%";
        assert_eq!(violations(&recorder, 0.33, MILLI, MILLI), [line]);
        let line = "192.0.2.1:9999: loss 33% exceeds --max-loss 32.9%";
        assert_eq!(violations(&recorder, 0.329, MILLI, MILLI), [line]);
        let mut recorder = Recorder::new(target());
        let nanos = Duration::from_nanos;
        events(&mut recorder, [answered(nanos(0)), answered(nanos(1_000_100))]);
        let lines = [
            "192.0.2.1:9999: p99 unknown (2 replies, of up to 1.0001 ms): exceeds --max-p99 1ms",
            "192.0.2.1:9999: jitter 1.0001 ms exceeds --max-jitter 1ms",
        ];
        assert_eq!(violations(&recorder, 0.0, MILLI, MILLI), lines);
        events(&mut recorder, [answered(nanos(1_000_100)); 98]);
        let found = violations(&recorder, 0.0, MILLI, MILLI);
        assert_eq!(found, ["192.0.2.1:9999: p99 1.0001 ms exceeds --max-p99 1ms"]);
        let found = outage_violation(1, "oxxo", Duration::from_nanos(1_999_999_999));
        assert!(found[0].contains("outage of 2 probes in 2.000 s at 1.000 s exceeds"), "{found:?}");
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

    /// Returns the violation of a run whose probes were due a second apart, if it is one: `o` is
    /// answered, `x` lost, `-` not sent and `.` in flight.
    fn outage_violation(flows: usize, probes: &str, max: Duration) -> Vec<String> {
        let target = Target { flows, ..target() };
        let mut report = Report::new(TEXT, [target.clone()]);
        let mut seq = 1;
        for (second, probe) in (0..).map(Duration::from_secs).zip(probes.chars()) {
            let flow = (seq as usize - 1) % flows;
            let reply = ReplyKind::Answered { seq, rtt: Duration::ZERO, reordered: false };
            let kinds = match probe {
                'o' => vec![sent(seq), received(reply)],
                'x' => vec![sent(seq), lost(seq)],
                '.' => vec![sent(seq)],
                _ => vec![not_sent()],
            };
            for kind in kinds {
                report.event(0, &ProbeEvent::new(second, flow, kind));
            }
            seq += u32::from(probe != '-');
        }
        let mut totals = Totals::new(TEXT, [target]);
        totals.append(&report.take_parts(Duration::ZERO));
        totals.set_outages(report.outages());
        let thresholds = Thresholds { max_outage: Some(max), ..Thresholds::default() };
        totals.summaries(Duration::ZERO).iter().flat_map(|one| thresholds.violations(one)).collect()
    }

    #[test]
    fn longest_outage_exceeds_its_threshold_even_if_it_is_not_over_or_nothing_was_sent() {
        let second = 1000 * MILLI;
        let none: [&str; 0] = [];
        assert_eq!(outage_violation(1, "oxx-oxo", 3 * second), none);
        let line =
            "192.0.2.1:9999: outage of 3 probes in 3.000 s at 1.000 s exceeds --max-outage 2s";
        assert_eq!(outage_violation(1, "oxx-oxo", 2 * second), [line]);
        let line = "192.0.2.1:9999: outage of 4 probes in 3.000 s at 1.000 s (ongoing) exceeds \
                    --max-outage 1s";
        assert_eq!(outage_violation(1, "o----", second), [line]);
        // A link that went down, at the end of a run that did not wait for its last probes.
        let line = "192.0.2.1:9999: outage of 3 probes in 2.000 s at 3.000 s (ongoing) exceeds \
                    --max-outage 1s";
        assert_eq!(outage_violation(1, "o..---", second), [line]);
        // A single loss is no outage.
        assert_eq!(outage_violation(1, "oxo", second / 2), none);
        let line = "192.0.2.1:9999: outages unknown (no probe was answered or lost): exceeds \
                    --max-outage 1s";
        assert_eq!(outage_violation(1, "..", second), [line]);
    }

    #[test]
    fn outage_of_one_flow_and_one_that_costs_each_flow_a_probe_exceed_the_threshold() {
        let line = "192.0.2.1:9999: outage of 2 probes in 4.000 s at 1.000 s in flow 1 exceeds \
                    --max-outage 3s";
        assert_eq!(outage_violation(2, "oxoxoo", 3000 * MILLI), [line]);
        let line = "192.0.2.1:9999: outage of 2 probes in 2.000 s at 1.000 s in all flows exceeds \
                    --max-outage 1s";
        assert_eq!(outage_violation(2, "oxxo", 1000 * MILLI), [line]);
    }

    #[test]
    fn run_that_sent_nothing_lost_everything() {
        let mut recorder = Recorder::new(target());
        events(&mut recorder, [not_sent(); 3]);
        let [loss, ..] = &violations(&recorder, 0.5, MILLI, MILLI)[..] else { panic!("none") };
        assert_eq!(loss, "192.0.2.1:9999: loss 100% (3 of 3 not sent) exceeds --max-loss 50%");
    }
}
