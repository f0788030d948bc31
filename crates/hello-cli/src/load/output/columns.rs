//! The columns of `hello-load`'s tables.

use hello_measure::TrialVerdict;

use crate::load::saturation::GeneratorLimit;
use crate::load::summary::Summary;
use crate::output::columns::COMMON_COLUMNS;
use crate::output::escape::Escaped;
use crate::output::export::{CellFormat, Column, Tabular, cells, heads};

impl Tabular for Summary {
    const BRIEF: &'static [&'static str] = &[
        "target",
        "sent_per_s",
        "answered_per_s",
        "loss_percent",
        "latency_p50_ms",
        "latency_p99_ms",
        "generator_busy_percent",
        "verdict",
    ];

    fn heads() -> Vec<&'static str> {
        heads(PLAN).chain(heads(COMMON_COLUMNS)).chain(heads(LOAD)).collect()
    }

    fn cells(&self, format: &CellFormat) -> Vec<String> {
        [
            cells(PLAN, self, format),
            cells(COMMON_COLUMNS, &self.common, format),
            cells(LOAD, self, format),
        ]
        .concat()
    }
}

const PLAN: &[Column<Summary>] = &[
    ("target", |summary, _| Escaped(summary.target.as_bytes()).to_string()),
    ("started_at", |summary, _| summary.started_at.to_string()),
    ("rate_per_s", |summary, format| format.known(summary.plan.rate, |rate| rate.to_string())),
    ("outstanding", |summary, format| {
        format.known(summary.plan.outstanding, |outstanding| outstanding.to_string())
    }),
    ("sources", |summary, _| summary.plan.sources.to_string()),
    ("train", |summary, _| summary.plan.train.to_string()),
    ("threads", |summary, _| summary.plan.threads.to_string()),
    ("arrivals", |summary, format| format.known(summary.plan.arrivals, str::to_owned)),
    ("shortest_name_bytes", |summary, _| summary.plan.name_bytes[0].to_string()),
    ("longest_name_bytes", |summary, _| summary.plan.name_bytes[1].to_string()),
    ("warm_up_s", |summary, _| summary.plan.warm_up_s.to_string()),
    ("timeout_s", |summary, _| summary.plan.timeout_s.to_string()),
    ("seed", |summary, _| summary.plan.seed.to_string()),
];

const LOAD: &[Column<Summary>] = &[
    ("sent_per_s", |summary, format| format.rate(summary.sent_per_s)),
    ("answered_per_s", |summary, format| format.rate(summary.answered_per_s)),
    ("sent_bits_per_s", |summary, format| {
        format.known(summary.sent_bits_per_s, |rate| format!("{rate:.0}"))
    }),
    ("answered_bits_per_s", |summary, format| {
        format.known(summary.answered_bits_per_s, |rate| format!("{rate:.0}"))
    }),
    ("worst_case_loss_percent", |summary, format| {
        let (open, settled) = (summary.common.in_flight, summary.common.settled());
        format.percent_of(summary.worst_case_loss, summary.common.lost + open, settled + open)
    }),
    ("interrupted", |summary, _| summary.interrupted.to_string()),
    ("misdirected", |summary, _| summary.misdirected.to_string()),
    ("latency_min_ms", |summary, format| format.time(summary.latency_ms.map(|times| times.min))),
    ("latency_mean_ms", |summary, format| format.time(summary.latency_ms.map(|times| times.mean))),
    ("latency_p50_ms", |summary, format| {
        format.time(summary.latency_ms.and_then(|times| times.p50))
    }),
    ("latency_p99_ms", |summary, format| {
        format.time(summary.latency_ms.and_then(|times| times.p99))
    }),
    ("latency_p999_ms", |summary, format| {
        format.time(summary.latency_ms.and_then(|times| times.p999))
    }),
    ("latency_max_ms", |summary, format| format.time(summary.latency_ms.map(|times| times.max))),
    ("generator_busy_percent", |summary, format| format.percent(summary.generator.busy)),
    ("processor_time_per_request_us", |summary, format| {
        format.known(summary.generator.processor_time_per_request_us, |time| format!("{time:.3}"))
    }),
    ("generator_limits", |summary, _| {
        let labels = summary.generator.limits.iter().map(GeneratorLimit::label);
        Vec::from_iter(labels).join(" ")
    }),
    ("verdict", |summary, format| {
        format.known(summary.verdict, |verdict: TrialVerdict| verdict.label().to_owned())
    }),
];

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::load::fixtures::summary;
    use crate::output::export::{Export, NO_TOTALS};

    #[test]
    fn every_column_has_the_value_of_its_heading() {
        let mut summary = summary();
        (summary.common.late, summary.common.reordered, summary.common.duplicate) = (4, 5, 6);
        (summary.common.corrupt, summary.common.unsolicited, summary.common.out_of_window) =
            (7, 8, 9);
        (summary.misdirected, summary.common.in_flight) = (10, 11);
        summary.common.errors = [("denied", 2), ("too-long", 10)].into();
        summary.common.not_sent = [("late", 13)].into();
        summary.verdict = Some(TrialVerdict::NotOffered);
        summary.generator.limits =
            vec![GeneratorLimit::Late { requests: 13 }, GeneratorLimit::Busy { share: 1.0 }];
        let text = Export::Csv.text(&[summary], NO_TOTALS, &Summary::heads());
        let [head, line] = Vec::from_iter(text.lines())[..] else { panic!("{text}") };
        let found = Vec::from_iter(iter::zip(head.split(','), line.split(',')));
        let expected = [
            ("target", "192.0.2.1:9999"),
            ("started_at", "1970-01-01T00:00:00.000000Z"),
            ("rate_per_s", "1000"),
            ("outstanding", ""),
            ("sources", "1"),
            ("train", "1"),
            ("threads", "1"),
            ("arrivals", "constant"),
            ("shortest_name_bytes", "16"),
            ("longest_name_bytes", "16"),
            ("warm_up_s", "0"),
            ("timeout_s", "1"),
            ("seed", "0"),
            ("duration_s", "1.000"),
            ("sent", "3"),
            ("answered", "2"),
            ("lost", "1"),
            ("in_flight", "11"),
            ("not_sent", "13"),
            ("loss_percent", "33.3333"),
            ("late", "4"),
            ("reordered", "5"),
            ("duplicate", "6"),
            ("corrupt", "7"),
            ("unsolicited", "8"),
            ("out_of_window", "9"),
            ("lost_causes", "silent=1"),
            ("errors", "12"),
            ("unattributed", "0"),
            ("rtt_min_ms", "1"),
            ("rtt_mean_ms", "2"),
            ("rtt_max_ms", "3"),
            ("rtt_stddev_ms", "1"),
            ("rtt_p50_ms", "1.000447"),
            ("rtt_p90_ms", ""),
            ("rtt_p95_ms", ""),
            ("rtt_p99_ms", ""),
            ("rtt_p999_ms", ""),
            ("timer_error_p50_ms", "0.1"),
            ("timer_error_p99_ms", ""),
            ("timer_error_max_ms", "0.1"),
            ("sent_per_s", "3.0"),
            ("answered_per_s", "2.0"),
            ("sent_bits_per_s", "384"),
            ("answered_bits_per_s", "384"),
            ("worst_case_loss_percent", "33.3333"),
            ("interrupted", "false"),
            ("misdirected", "10"),
            ("latency_min_ms", "1.1"),
            ("latency_mean_ms", "2.1"),
            ("latency_p50_ms", "1.100799"),
            ("latency_p99_ms", ""),
            ("latency_p999_ms", ""),
            ("latency_max_ms", "3.1"),
            ("generator_busy_percent", "25"),
            ("processor_time_per_request_us", "666.667"),
            ("generator_limits", "late busy"),
            ("verdict", "not-offered"),
        ];
        assert_eq!(found, expected);
    }
}
