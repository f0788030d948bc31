//! The metrics of a run, with smokeping_prober's names where it has them.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::time::Duration;

use hello_measure::LostCause;

use crate::output::format::without_zeros;
use crate::output::prometheus::{MetricFamilies, Sample};
use crate::ping::recorder::Recorder;
use crate::ping::summary::Summary;

/// Formats the counts and the summary of every target as Prometheus' text format.
pub fn text(recorders: &[Recorder], summaries: &[Summary]) -> String {
    let mut families = MetricFamilies::new("hello_ping");
    for (name, help, count) in COUNTERS {
        let sample =
            |summary: &Summary| Sample::new(&[("target", &summary.target)], count(summary));
        let samples = Vec::from_iter(summaries.iter().map(sample));
        families.add(name, "counter", help, &samples);
    }
    for (name, help, key, counts) in LABELLED {
        let samples = summaries.iter().flat_map(|summary| {
            counts(summary).iter().map(|(label, count)| {
                Sample::new(&[("target", &summary.target), (key, label)], count)
            })
        });
        families.add(name, "counter", help, &Vec::from_iter(samples));
    }
    let samples = summaries.iter().flat_map(|summary| {
        lost_by_cause(&summary.common.lost_causes).into_iter().map(|((cause, reporter), lost)| {
            let labels = [("target", &*summary.target), ("cause", cause), ("reporter", &reporter)];
            Sample::new(&labels, lost)
        })
    });
    let help = "Lost probes by cause; an error may change the cause of an earlier loss.";
    families.add("lost_by_cause", "gauge", help, &Vec::from_iter(samples));
    let in_flight =
        |summary: &Summary| Sample::new(&[("target", &summary.target)], summary.common.in_flight);
    let samples = Vec::from_iter(summaries.iter().map(in_flight));
    families.add("in_flight", "gauge", "Probes neither answered nor lost yet.", &samples);
    let longest = |summary: &Summary| {
        let worst = summary.outages.as_ref()?.worst();
        let seconds = worst.map_or(0.0, |worst| worst.duration_s);
        Some(Sample::new(&[("target", &summary.target)], seconds))
    };
    let samples = Vec::from_iter(summaries.iter().filter_map(longest));
    let help = "Duration of the longest outage, of a flow or of all flows together.";
    families.add("longest_outage_seconds", "gauge", help, &samples);
    let samples = Vec::from_iter(recorders.iter().flat_map(histogram));
    let help = "Round-trip times of the answered probes.";
    families.add("response_duration_seconds", "histogram", help, &samples);
    families.into_text()
}

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

type Count = fn(&Summary) -> u64;
type Counts = fn(&Summary) -> &BTreeMap<&'static str, u64>;

const COUNTERS: &[(&str, &str, Count)] = &[
    ("requests_total", "Probes sent.", |summary| summary.common.sent),
    ("responses_total", "Probes answered before their timeout.", |summary| summary.common.answered),
    ("lost_total", "Probes not answered before their timeout.", |summary| summary.common.lost),
    ("response_duplicates_total", "Duplicate replies.", |summary| summary.common.duplicate),
    ("responses_late_total", "First replies to lost probes.", |summary| summary.common.late),
    ("responses_reordered_total", "Probes answered after one that was sent later.", |summary| {
        summary.common.reordered
    }),
    ("responses_corrupt_total", "Datagrams that are not valid replies.", |summary| {
        summary.common.corrupt
    }),
    ("responses_unsolicited_total", "Replies to requests that this run did not send.", |summary| {
        summary.common.unsolicited
    }),
    ("responses_out_of_window_total", "Replies to probes too old to classify.", |summary| {
        summary.common.out_of_window
    }),
    ("errors_unattributed_total", "Errors from the network about no known probe.", |summary| {
        summary.common.unattributed
    }),
    (
        "outages_total",
        "Runs of two or more consecutive probes of a flow lost or not sent.",
        |summary| summary.outages.as_ref().map_or(0, |outages| outages.count),
    ),
    ("outage_probes_total", "Probes lost or not sent that are part of an outage.", |summary| {
        summary.outages.as_ref().map_or(0, |outages| outages.probes)
    }),
    ("route_changes_total", "Changes of the TTL of replies within a flow.", |summary| {
        summary.route_changes
    }),
];

const LABELLED: [(&str, &str, &str, Counts); 2] = [
    ("send_errors_total", "Probes that were due but not sent.", "reason", |summary| {
        &summary.common.not_sent
    }),
    ("receive_errors_total", "Errors reported for earlier probes.", "class", |summary| {
        &summary.common.errors
    }),
];

/// Yields the upper bounds of smokeping_prober's histogram: 50 us, and 100 us doubled up to 26 s.
fn bounds() -> impl Iterator<Item = Duration> {
    iter::once(Duration::from_micros(50))
        .chain((0..19).map(|power| Duration::from_micros(100 << power)))
}

/// Formats whole microseconds as seconds, exactly: `0.00005`, `1.6384`. `Duration::as_secs_f64` would
/// round some of them: `1.6383999999999999`.
fn seconds(time: Duration) -> String {
    without_zeros(&format!("{}.{:06}", time.as_secs(), time.subsec_micros())).to_owned()
}

/// Returns the histogram of the round-trip times, with the precision of the percentiles.
fn histogram(recorder: &Recorder) -> Vec<Sample> {
    let (target, rtts) = (&*recorder.target().name, recorder.rtts());
    let bucket = |bound: &str, count| {
        Sample::new(&[("target", target), ("le", bound)], count).with_suffix("_bucket")
    };
    let buckets = bounds().map(|bound| bucket(&seconds(bound), rtts.count_up_to(bound)));
    let mut samples = Vec::from_iter(buckets);
    samples.push(bucket("+Inf", rtts.count()));
    let labels = [("target", target)];
    samples.push(Sample::new(&labels, rtts.sum().as_secs_f64()).with_suffix("_sum"));
    samples.push(Sample::new(&labels, rtts.count()).with_suffix("_count"));
    samples
}

#[cfg(test)]
mod tests {
    use hello_measure::Outages;
    use hello_measure::{Cause, CauseKind};
    use hello_net::{ErrorClass, ProbeEventKind};

    use super::*;
    use crate::ping::fixtures::{answered, events, lost, target};

    fn printed(recorder: &Recorder) -> String {
        text(std::slice::from_ref(recorder), &[recorder.summary(Duration::ZERO)])
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
        let text = text(&[recorder], &[Summary { outages: Some(outages.summary()), ..summary }]);
        for (name, value) in
            [("outages_total", "1"), ("outage_probes_total", "2"), ("longest_outage_seconds", "2")]
        {
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
    fn bounds_are_those_of_smokeping_prober() {
        let expected = [
            "0.00005", "0.0001", "0.0002", "0.0004", "0.0008", "0.0016", "0.0032", "0.0064",
            "0.0128", "0.0256", "0.0512", "0.1024", "0.2048", "0.4096", "0.8192", "1.6384",
            "3.2768", "6.5536", "13.1072", "26.2144",
        ];
        let text = printed(&Recorder::new(target()));
        let bounds = text.lines().filter_map(|line| line.split_once("le=\"")?.1.split_once('"'));
        let bounds = Vec::from_iter(bounds.map(|(bound, _)| bound));
        assert_eq!(bounds, Vec::from_iter(expected.into_iter().chain(["+Inf"])));
    }

    #[test]
    fn buckets_are_cumulative() {
        let mut recorder = Recorder::new(target());
        let answers = [40, 60, 150, 1_000_000].map(Duration::from_micros).map(answered);
        events(&mut recorder, answers);
        events(&mut recorder, [lost(9)]);
        events(&mut recorder, [ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into())]);
        let text = printed(&recorder);
        let target = r#"target="192.0.2.1:9999""#;
        for (name, labels, value) in [
            ("response_duration_seconds_bucket", r#",le="0.00005""#, "1"),
            ("response_duration_seconds_bucket", r#",le="0.0001""#, "2"),
            ("response_duration_seconds_bucket", r#",le="0.0002""#, "3"),
            ("response_duration_seconds_bucket", r#",le="0.8192""#, "3"),
            ("response_duration_seconds_bucket", r#",le="26.2144""#, "4"),
            ("response_duration_seconds_bucket", r#",le="+Inf""#, "4"),
            ("response_duration_seconds_sum", "", "1.00025"),
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
