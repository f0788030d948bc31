//! The columns of the summaries in tables.

use crate::output::escape::Escaped;
use crate::output::export::{Column, Tabular};
use crate::ping::summary::Summary;

impl Tabular for Summary {
    const COLUMNS: &'static [Column<Self>] = &[
        ("target", |summary, _| Escaped(summary.target.as_bytes()).to_string()),
        ("sent", |summary, _| summary.sent.to_string()),
        ("answered", |summary, _| summary.answered.to_string()),
        ("lost", |summary, _| summary.lost.to_string()),
        ("in_flight", |summary, _| summary.in_flight.to_string()),
        ("loss_percent", |summary, form| form.percent(summary.loss)),
        ("late", |summary, _| summary.late.to_string()),
        ("reordered", |summary, _| summary.reordered.to_string()),
        ("duplicate", |summary, _| summary.duplicate.to_string()),
        ("corrupt", |summary, _| summary.corrupt.to_string()),
        ("unsolicited", |summary, _| summary.unsolicited.to_string()),
        ("out_of_window", |summary, _| summary.out_of_window.to_string()),
        ("errors", |summary, _| summary.errors_total().to_string()),
        ("not_sent", |summary, _| summary.not_sent_total().to_string()),
        ("min_ms", |summary, form| form.time(summary.rtt_ms.map(|rtt| rtt.min))),
        ("mean_ms", |summary, form| form.time(summary.rtt_ms.map(|rtt| rtt.mean))),
        ("max_ms", |summary, form| form.time(summary.rtt_ms.map(|rtt| rtt.max))),
        ("stddev_ms", |summary, form| form.time(summary.rtt_ms.map(|rtt| rtt.stddev))),
        ("p50_ms", |summary, form| form.time(summary.rtt_ms.map(|rtt| rtt.p50))),
        ("p90_ms", |summary, form| form.time(summary.rtt_ms.map(|rtt| rtt.p90))),
        ("p95_ms", |summary, form| form.time(summary.rtt_ms.map(|rtt| rtt.p95))),
        ("p99_ms", |summary, form| form.time(summary.rtt_ms.map(|rtt| rtt.p99))),
        ("p999_ms", |summary, form| form.time(summary.rtt_ms.map(|rtt| rtt.p999))),
        ("jitter_ms", |summary, form| form.time(summary.jitter_ms.map(|jitter| jitter.mean))),
        ("jitter_rfc3550_ms", |summary, form| {
            form.time(summary.jitter_ms.map(|jitter| jitter.rfc3550))
        }),
        ("timer_error_p99_ms", |summary, form| {
            form.time(summary.timer_error_ms.map(|error| error.p99))
        }),
        ("timer_error_max_ms", |summary, form| {
            form.time(summary.timer_error_ms.map(|error| error.max))
        }),
        ("duration_s", |summary, _| format!("{:.3}", summary.duration_s)),
    ];
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::time::Duration;

    use hello_measure::{Quantiles, TimerError};

    use super::*;
    use crate::output::export::{Export, NO_TOTALS};
    use crate::ping::Target;
    use crate::ping::fixtures::target;
    use crate::ping::recorder::Recorder;
    use crate::ping::summary::Jitter;

    fn silent() -> Summary {
        Recorder::new(Target { name: "a,b|\"c\":1".into(), ..target() }).summary(Duration::ZERO)
    }

    #[test]
    fn every_column_has_what_it_says() {
        let rtt = Quantiles {
            min: 0.1,
            mean: 0.2,
            max: 0.9,
            stddev: 0.3,
            p50: 0.4,
            p90: 0.5,
            p95: 0.6,
            p99: 0.7,
            p999: 0.8,
        };
        let summary = Summary {
            target: "192.0.2.1:9999".into(),
            sent: 1,
            answered: 2,
            lost: 3,
            in_flight: 4,
            loss: Some(0.05),
            late: 6,
            reordered: 7,
            duplicate: 8,
            corrupt: 9,
            unsolicited: 10,
            out_of_window: 11,
            errors: [("denied", 2), ("too-long", 10)].into(),
            not_sent: [("denied", 3), ("late", 10)].into(),
            rtt_ms: Some(rtt),
            jitter_ms: Some(Jitter { mean: 1.1, rfc3550: 1.2 }),
            timer_error_ms: Some(TimerError { mean: 0.0, p50: 0.0, p99: 1.3, max: 1.4 }),
            duration_s: 2.0,
            ..silent()
        };
        let text = Export::Csv.text(&[summary], NO_TOTALS);
        let [head, line] = Vec::from_iter(text.lines())[..] else { panic!("{text}") };
        let found = Vec::from_iter(iter::zip(head.split(','), line.split(',')));
        let expected = [
            ("target", "192.0.2.1:9999"),
            ("sent", "1"),
            ("answered", "2"),
            ("lost", "3"),
            ("in_flight", "4"),
            ("loss_percent", "5"),
            ("late", "6"),
            ("reordered", "7"),
            ("duplicate", "8"),
            ("corrupt", "9"),
            ("unsolicited", "10"),
            ("out_of_window", "11"),
            ("errors", "12"),
            ("not_sent", "13"),
            ("min_ms", "0.1"),
            ("mean_ms", "0.2"),
            ("max_ms", "0.9"),
            ("stddev_ms", "0.3"),
            ("p50_ms", "0.4"),
            ("p90_ms", "0.5"),
            ("p95_ms", "0.6"),
            ("p99_ms", "0.7"),
            ("p999_ms", "0.8"),
            ("jitter_ms", "1.1"),
            ("jitter_rfc3550_ms", "1.2"),
            ("timer_error_p99_ms", "1.3"),
            ("timer_error_max_ms", "1.4"),
            ("duration_s", "2.000"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_nobody_knows_of_a_silent_target_is_left_out_or_a_dash() {
        let [csv, markdown] =
            [Export::Csv, Export::Markdown].map(|form| form.text(&[silent()], NO_TOTALS));
        let counts = "0,0,0,0,,0,0,0,0,0,0,0,0";
        let expected = format!("\n\"a,b|\"\"c\"\":1\",{counts},,,,,,,,,,,,,,0.000\n");
        assert!(csv.ends_with(&expected), "{csv}");
        let dashes = "- | ".repeat(13);
        assert!(markdown.ends_with(&format!("| 0 | 0 | {dashes}0.000 |\n")), "{markdown}");
    }
}
