//! The columns of the results in tables.

use hello_measure::TrialVerdict;

use crate::load::summary::Summary;
use crate::output::escape::Escaped;
use crate::output::export::{Column, Tabular};

impl Tabular for Summary {
    const COLUMNS: &'static [Column<Self>] = &[
        ("target", |summary, _| Escaped(summary.target.as_bytes()).to_string()),
        ("rate_per_s", |summary, form| form.known(summary.plan.rate, |rate| rate.to_string())),
        ("outstanding", |summary, form| {
            form.known(summary.plan.outstanding, |outstanding| outstanding.to_string())
        }),
        ("sources", |summary, _| summary.plan.sources.to_string()),
        ("train", |summary, _| summary.plan.train.to_string()),
        ("threads", |summary, _| summary.plan.threads.to_string()),
        ("arrivals", |summary, form| form.known(summary.plan.arrivals, str::to_owned)),
        ("shortest_name_bytes", |summary, _| summary.plan.name_bytes[0].to_string()),
        ("longest_name_bytes", |summary, _| summary.plan.name_bytes[1].to_string()),
        ("warm_up_s", |summary, _| summary.plan.warm_up_s.to_string()),
        ("timeout_s", |summary, _| summary.plan.timeout_s.to_string()),
        ("seed", |summary, _| summary.plan.seed.to_string()),
        ("duration_s", |summary, _| format!("{:.3}", summary.duration_s)),
        ("sent", |summary, _| summary.sent.to_string()),
        ("answered", |summary, _| summary.answered.to_string()),
        ("lost", |summary, _| summary.lost.to_string()),
        ("in_flight", |summary, _| summary.in_flight.to_string()),
        ("not_sent", |summary, _| summary.not_sent_total().to_string()),
        ("loss_percent", |summary, form| form.percent(summary.loss)),
        ("sent_per_s", |summary, form| form.known(summary.sent_per_s, |rate| format!("{rate:.1}"))),
        ("answered_per_s", |summary, form| {
            form.known(summary.answered_per_s, |rate| format!("{rate:.1}"))
        }),
        ("late", |summary, _| summary.late.to_string()),
        ("reordered", |summary, _| summary.reordered.to_string()),
        ("duplicate", |summary, _| summary.duplicate.to_string()),
        ("corrupt", |summary, _| summary.corrupt.to_string()),
        ("unsolicited", |summary, _| summary.unsolicited.to_string()),
        ("out_of_window", |summary, _| summary.out_of_window.to_string()),
        ("misdirected", |summary, _| summary.misdirected.to_string()),
        ("errors", |summary, _| summary.errors_total().to_string()),
        ("latency_min_ms", |summary, form| form.time(summary.latency_ms.map(|times| times.min))),
        ("latency_mean_ms", |summary, form| form.time(summary.latency_ms.map(|times| times.mean))),
        ("latency_p50_ms", |summary, form| form.time(summary.latency_ms.map(|times| times.p50))),
        ("latency_p99_ms", |summary, form| form.time(summary.latency_ms.map(|times| times.p99))),
        ("latency_p999_ms", |summary, form| form.time(summary.latency_ms.map(|times| times.p999))),
        ("latency_max_ms", |summary, form| form.time(summary.latency_ms.map(|times| times.max))),
        ("rtt_min_ms", |summary, form| form.time(summary.rtt_ms.map(|times| times.min))),
        ("rtt_mean_ms", |summary, form| form.time(summary.rtt_ms.map(|times| times.mean))),
        ("rtt_p50_ms", |summary, form| form.time(summary.rtt_ms.map(|times| times.p50))),
        ("rtt_p99_ms", |summary, form| form.time(summary.rtt_ms.map(|times| times.p99))),
        ("rtt_p999_ms", |summary, form| form.time(summary.rtt_ms.map(|times| times.p999))),
        ("rtt_max_ms", |summary, form| form.time(summary.rtt_ms.map(|times| times.max))),
        ("timer_error_p99_ms", |summary, form| {
            form.time(summary.timer_error_ms.map(|error| error.p99))
        }),
        ("timer_error_max_ms", |summary, form| {
            form.time(summary.timer_error_ms.map(|error| error.max))
        }),
        ("generator_busy_percent", |summary, form| form.percent(summary.generator.busy)),
        ("processor_time_per_request_us", |summary, form| {
            form.known(summary.generator.processor_time_per_request_us, |time| format!("{time:.3}"))
        }),
        ("generator_limits", |summary, _| summary.generator.limits.len().to_string()),
        ("verdict", |summary, form| {
            form.known(summary.verdict, |verdict: TrialVerdict| verdict.label().to_owned())
        }),
    ];
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::load::fixtures::summary;
    use crate::output::export::{Export, NO_TOTALS};

    #[test]
    fn every_column_has_what_it_says() {
        let mut summary = summary();
        (summary.late, summary.reordered, summary.duplicate) = (4, 5, 6);
        (summary.corrupt, summary.unsolicited, summary.out_of_window) = (7, 8, 9);
        (summary.misdirected, summary.in_flight) = (10, 11);
        summary.errors = [("denied", 2), ("too-long", 10)].into();
        summary.not_sent = [("late", 13)].into();
        summary.verdict = Some(TrialVerdict::NotOffered);
        let text = Export::Csv.text(&[summary], NO_TOTALS);
        let [head, line] = Vec::from_iter(text.lines())[..] else { panic!("{text}") };
        let found = Vec::from_iter(iter::zip(head.split(','), line.split(',')));
        let expected = [
            ("target", "192.0.2.1:9999"),
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
            ("sent_per_s", "3.0"),
            ("answered_per_s", "2.0"),
            ("late", "4"),
            ("reordered", "5"),
            ("duplicate", "6"),
            ("corrupt", "7"),
            ("unsolicited", "8"),
            ("out_of_window", "9"),
            ("misdirected", "10"),
            ("errors", "12"),
            ("latency_min_ms", "1.1"),
            ("latency_mean_ms", "2.1"),
            ("latency_p50_ms", "1.100799"),
            ("latency_p99_ms", "3.1"),
            ("latency_p999_ms", "3.1"),
            ("latency_max_ms", "3.1"),
            ("rtt_min_ms", "1"),
            ("rtt_mean_ms", "2"),
            ("rtt_p50_ms", "1.000447"),
            ("rtt_p99_ms", "3"),
            ("rtt_p999_ms", "3"),
            ("rtt_max_ms", "3"),
            ("timer_error_p99_ms", "0.1"),
            ("timer_error_max_ms", "0.1"),
            ("generator_busy_percent", "25"),
            ("processor_time_per_request_us", "666.667"),
            ("generator_limits", "0"),
            ("verdict", "not-offered"),
        ];
        assert_eq!(found, expected);
    }
}
