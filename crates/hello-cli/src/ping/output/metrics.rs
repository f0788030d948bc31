//! The metrics of a run, with smokeping_prober's names where it has them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hello_measure::{Histogram as CompactHistogram, LostCause, Summary as Common};

use crate::output::prometheus::families::{Histogram, MetricFamilies};
use crate::output::prometheus::labels::{self, InvalidLabelName, Labels};
use crate::ping::recorder::Recorder;
use crate::ping::summary::Summary;

/// Returns the counts and the summary of every target as metrics, labelled with the target's name.
pub fn of_targets(recorders: &[Recorder], summaries: &[Summary]) -> MetricFamilies {
    let targets = recorders.iter().zip(summaries);
    families(targets.map(|(recorder, summary)| TargetMetrics {
        labels: Labels::new().with("target", &summary.target),
        recorder,
        summary,
    }))
}

/// A target whose metrics are wanted.
#[derive(Clone, Debug)]
pub struct TargetMetrics<'a> {
    /// The label `target`, and those that the user gave to the target, checked by [`check_label`].
    pub labels: Labels,
    /// What was recorded of it.
    pub recorder: &'a Recorder,
    /// The summary of that.
    pub summary: &'a Summary,
}

/// Returns the counts and the summary of every target as metrics.
pub fn families<'a>(targets: impl IntoIterator<Item = TargetMetrics<'a>>) -> MetricFamilies {
    let targets = Vec::from_iter(targets);
    let mut families = MetricFamilies::new("hello_ping");
    let common = targets.iter().map(|target| (&target.labels, &target.summary.common));
    add_common(&mut families, &Vec::from_iter(common));
    for (name, help, count) in OF_FLOWS {
        let samples = targets.iter().map(|target| (target.labels.clone(), count(target.summary)));
        families.counter(name, help, samples);
    }
    let longest = |target: &TargetMetrics<'_>| {
        let worst = target.summary.outages.as_ref()?.worst();
        Some((target.labels.clone(), worst.map_or(0.0, |worst| worst.duration_s)))
    };
    let help = "Duration of the longest outage, of a flow or of all flows together.";
    families.gauge("longest_outage_seconds", help, targets.iter().filter_map(longest));
    let rtts = targets.iter().map(|target| (target.labels.clone(), histogram(target.recorder)));
    let help = "Round-trip times of the answered probes.";
    families.histogram("response_duration_seconds", help, rtts);
    add_info(&mut families);
    families
}

/// Adds the metrics of each target that every mode has.
pub(crate) fn add_common(families: &mut MetricFamilies, targets: &[(&Labels, &Common)]) {
    let targets = || targets.iter().map(|(labels, summary)| (*labels, *summary));
    for (name, help, count) in COMMON {
        let samples = targets().map(|(labels, summary)| (labels.clone(), count(summary)));
        families.counter(name, help, samples);
    }
    for (name, help, label, counts) in LABELLED {
        let samples = targets().flat_map(|(labels, summary)| {
            let counts = counts(summary).iter();
            counts.map(|(value, count)| (labels.clone().with(label, value), *count))
        });
        families.counter(name, help, samples);
    }
    let samples = targets().flat_map(|(labels, summary)| {
        let causes = lost_by_cause(&summary.lost_causes).into_iter();
        causes.map(|((cause, reporter), lost)| {
            (labels.clone().with("cause", cause).with("reporter", &reporter), lost)
        })
    });
    let help = "Lost probes by cause; an error may change the cause of an earlier loss.";
    families.gauge("lost_by_cause", help, samples);
    let in_flight = targets().map(|(labels, summary)| (labels.clone(), summary.in_flight));
    families.gauge("in_flight", "Probes neither answered nor lost yet.", in_flight);
}

/// Adds the metric with the version.
pub(crate) fn add_info(families: &mut MetricFamilies) {
    let version = Labels::new().with("version", env!("CARGO_PKG_VERSION"));
    families.info("Version of hello-ping.", version);
}

/// Checks the name of a label that the user gives to a target.
///
/// # Errors
///
/// If it is no valid name, or that of another label.
pub fn check_label(name: &str) -> Result<(), InvalidLabelName> {
    labels::check_name(name, &OUR_LABELS)
}

/// The labels of the metrics. A target that is one of several addresses of a name has the label `name`.
const OUR_LABELS: [&str; 6] = ["target", "name", "cause", "reporter", "reason", "class"];

/// Returns the losses by cause and reporter, whatever the MTU. Those of rare reporters are together, because
/// a forger can name any number, and each would be a time series.
fn lost_by_cause(causes: &[LostCause]) -> BTreeMap<(&'static str, String), u64> {
    let mut reporters = BTreeSet::new();
    let mut lost = BTreeMap::new();
    for LostCause { cause, lost: of_cause } in causes {
        let reporter = match cause.reporter {
            None => String::new(),
            Some(one) if reporters.contains(&one) || reporters.len() < MAX_REPORTERS => {
                reporters.insert(one);
                one.to_string()
            }
            Some(_) => "other".into(),
        };
        *lost.entry((cause.kind.label(), reporter)).or_default() += of_cause;
    }
    lost
}

/// The most routers and hosts with time series of their own.
const MAX_REPORTERS: usize = 16;

type Count<S> = fn(&S) -> u64;
type Counts = fn(&Common) -> &BTreeMap<&'static str, u64>;

const COMMON: [(&str, &str, Count<Common>); 10] = [
    ("requests", "Probes sent.", |summary| summary.sent),
    ("responses", "Probes answered before their timeout.", |summary| summary.answered),
    ("lost", "Probes not answered before their timeout.", |summary| summary.lost),
    ("response_duplicates", "Duplicate replies.", |summary| summary.duplicate),
    ("responses_late", "First replies to lost probes.", |summary| summary.late),
    ("responses_reordered", "Probes answered after one that was sent later.", |summary| {
        summary.reordered
    }),
    ("responses_corrupt", "Datagrams that are not valid replies.", |summary| summary.corrupt),
    ("responses_unsolicited", "Replies to requests that this run did not send.", |summary| {
        summary.unsolicited
    }),
    ("responses_out_of_window", "Replies to probes too old to classify.", |summary| {
        summary.out_of_window
    }),
    ("errors_unattributed", "Errors from the network about no known probe.", |summary| {
        summary.unattributed
    }),
];

const OF_FLOWS: [(&str, &str, Count<Summary>); 3] = [
    ("outages", "Runs of two or more consecutive probes of a flow lost or not sent.", |summary| {
        summary.outages.as_ref().map_or(0, |outages| outages.count)
    }),
    ("outage_probes", "Probes lost or not sent that are part of an outage.", |summary| {
        summary.outages.as_ref().map_or(0, |outages| outages.probes)
    }),
    ("route_changes", "Changes of the TTL of replies within a flow.", |summary| {
        summary.route_changes
    }),
];

const LABELLED: [(&str, &str, &str, Counts); 2] = [
    ("send_errors", "Probes that were due but not sent.", "reason", |summary| &summary.not_sent),
    ("receive_errors", "Errors reported for earlier probes.", "class", |summary| &summary.errors),
];

/// Returns the histogram of the round-trip times, with the bounds of a fleet's and the precision of the
/// percentiles.
fn histogram(recorder: &Recorder) -> Histogram {
    let rtts = recorder.rtts();
    let counts = rtts.counts_up_to(CompactHistogram::bounds().map(Duration::from_secs_f64));
    let up_to = CompactHistogram::bounds().zip(counts);
    Histogram::new(up_to, rtts.sum().as_secs_f64(), rtts.count())
}

#[cfg(test)]
mod tests {
    use hello_measure::Outages;
    use hello_measure::{Cause, CauseKind};
    use hello_net::{ErrorClass, ProbeEventKind};

    use super::*;
    use crate::ping::fixtures::{answered, events, lost, target};

    fn printed(recorder: &Recorder) -> String {
        of_targets(std::slice::from_ref(recorder), &[recorder.summary(Duration::ZERO)]).into_text()
    }

    #[test]
    fn longest_outage_is_a_gauge_and_the_others_are_counted() {
        let mut outages = Outages::new(1);
        for seq in 1..=6 {
            outages.sent(0, seq, Duration::from_secs(seq.into()));
            if [2, 3, 5].contains(&seq) { outages.lost(seq) } else { outages.answered(seq) }
        }
        let recorder = Recorder::new(target());
        let summary = recorder.summary(Duration::ZERO);
        let summary = Summary { outages: Some(outages.summary()), ..summary };
        let text = of_targets(&[recorder], &[summary]).into_text();
        for (name, value) in [
            ("outages_total", "1"),
            ("outage_probes_total", "2"),
            ("longest_outage_seconds", "2.0"),
        ] {
            let line = format!("hello_ping_{name}{{target=\"192.0.2.1:9999\"}} {value}");
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn losses_have_one_series_for_a_cause_and_a_reporter_and_few_reporters() {
        let lost = |host: u8, mtu| LostCause {
            cause: Cause {
                kind: CauseKind::TooBig { mtu: Some(mtu) },
                reporter: Some([10, 0, 0, host].into()),
            },
            lost: 2,
        };
        let mut causes = vec![lost(0, 1400), lost(0, 1300)];
        causes.extend((1..=20).map(|host| lost(host, 1400)));
        let lost = lost_by_cause(&causes);
        assert_eq!(lost.len(), MAX_REPORTERS + 1, "{lost:?}");
        assert_eq!(lost[&("too-big", "10.0.0.0".into())], 4);
        assert_eq!(lost[&("too-big", "other".into())], 10);
    }

    #[test]
    fn bounds_are_exact_powers_of_two() {
        let text = printed(&Recorder::new(target()));
        let bounds = text.lines().filter_map(|line| line.split_once("le=\"")?.1.split_once('"'));
        let bounds = Vec::from_iter(bounds.map(|(bound, _)| bound));
        let expected = [
            "3.0517578125e-05",
            "6.103515625e-05",
            "0.0001220703125",
            "0.000244140625",
            "0.00048828125",
            "0.0009765625",
            "0.001953125",
            "0.00390625",
            "0.0078125",
            "0.015625",
            "0.03125",
            "0.0625",
            "0.125",
            "0.25",
            "0.5",
            "1",
            "2",
            "4",
            "8",
            "16",
            "+Inf",
        ];
        assert_eq!(bounds, expected);
    }

    #[test]
    fn labels_of_the_user_are_in_every_series_of_the_target() {
        let mut recorder = Recorder::new(target());
        events(&mut recorder, [answered(Duration::from_millis(1)), lost(1)]);
        events(&mut recorder, [ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into())]);
        let summary = &recorder.summary(Duration::ZERO);
        let labels = Labels::new().with("target", "a:1").with(String::from("site"), "x\"y");
        let text = families([TargetMetrics { labels, recorder: &recorder, summary }]).into_text();
        let samples = Vec::from_iter(text.lines().filter(|line| !line.starts_with('#')));
        let (info, of_target) = samples.split_last().expect("samples");
        assert!(info.starts_with("hello_ping_info{version=\""), "{info}");
        for sample in of_target {
            assert!(sample.contains("{target=\"a:1\",site=\"x\\\"y\""), "{sample}");
        }
        for label in of_target.iter().flat_map(|sample| sample.split(['{', ','])) {
            let Some((name, _)) = label.split_once("=\"") else { continue };
            assert!(name == "site" || check_label(name).is_err(), "{name}");
        }
    }

    #[test]
    fn buckets_are_cumulative() {
        let mut recorder = Recorder::new(target());
        let answers = [40, 70, 150, 1_000_000].map(Duration::from_micros).map(answered);
        events(&mut recorder, answers);
        events(&mut recorder, [lost(9)]);
        events(&mut recorder, [ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into())]);
        let text = printed(&recorder);
        let target = r#"target="192.0.2.1:9999""#;
        for (name, labels, value) in [
            ("response_duration_seconds_bucket", r#",le="6.103515625e-05""#, "1"),
            ("response_duration_seconds_bucket", r#",le="0.0001220703125""#, "2"),
            ("response_duration_seconds_bucket", r#",le="0.000244140625""#, "3"),
            ("response_duration_seconds_bucket", r#",le="0.5""#, "3"),
            ("response_duration_seconds_bucket", r#",le="1""#, "4"),
            ("response_duration_seconds_bucket", r#",le="+Inf""#, "4"),
            ("response_duration_seconds_sum", "", "1.00026"),
            ("response_duration_seconds_count", "", "4"),
            ("responses_total", "", "4"),
            ("lost_total", "", "1"),
            ("receive_errors_total", r#",class="refused""#, "1"),
        ] {
            let line = format!("hello_ping_{name}{{{target}{labels}}} {value}");
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
