//! The common columns of hello-ping's and hello-load's tables.

use hello_measure::Summary;

use super::cause;
use super::export::Column;

/// The columns of a summary, in order.
pub const COMMON_COLUMNS: &[Column<Summary>] = &[
    ("duration_s", |summary, _| format!("{:.3}", summary.duration_s)),
    ("sent", |summary, _| summary.sent.to_string()),
    ("answered", |summary, _| summary.answered.to_string()),
    ("lost", |summary, _| summary.lost.to_string()),
    ("in_flight", |summary, _| summary.in_flight.to_string()),
    ("not_sent", |summary, _| summary.not_sent_total().to_string()),
    ("loss_percent", |summary, format| {
        format.percent_of(summary.loss, summary.lost, summary.settled())
    }),
    ("late", |summary, _| summary.late.to_string()),
    ("reordered", |summary, _| summary.reordered.to_string()),
    ("duplicate", |summary, _| summary.duplicate.to_string()),
    ("corrupt", |summary, _| summary.corrupt.to_string()),
    ("unsolicited", |summary, _| summary.unsolicited.to_string()),
    ("out_of_window", |summary, _| summary.out_of_window.to_string()),
    ("lost_causes", |summary, _| cause::list(summary)),
    ("errors", |summary, _| summary.errors_total().to_string()),
    ("unattributed", |summary, _| summary.unattributed.to_string()),
    ("rtt_min_ms", |summary, format| format.time(summary.rtt_ms.map(|rtt| rtt.min))),
    ("rtt_mean_ms", |summary, format| format.time(summary.rtt_ms.map(|rtt| rtt.mean))),
    ("rtt_max_ms", |summary, format| format.time(summary.rtt_ms.map(|rtt| rtt.max))),
    ("rtt_stddev_ms", |summary, format| format.time(summary.rtt_ms.map(|rtt| rtt.stddev))),
    ("rtt_p50_ms", |summary, format| format.time(summary.rtt_ms.and_then(|rtt| rtt.p50))),
    ("rtt_p90_ms", |summary, format| format.time(summary.rtt_ms.and_then(|rtt| rtt.p90))),
    ("rtt_p95_ms", |summary, format| format.time(summary.rtt_ms.and_then(|rtt| rtt.p95))),
    ("rtt_p99_ms", |summary, format| format.time(summary.rtt_ms.and_then(|rtt| rtt.p99))),
    ("rtt_p999_ms", |summary, format| format.time(summary.rtt_ms.and_then(|rtt| rtt.p999))),
    ("timer_error_p50_ms", |summary, format| {
        format.time(summary.timer_error_ms.and_then(|error| error.p50))
    }),
    ("timer_error_p99_ms", |summary, format| {
        format.time(summary.timer_error_ms.and_then(|error| error.p99))
    }),
    ("timer_error_max_ms", |summary, format| {
        format.time(summary.timer_error_ms.map(|error| error.max))
    }),
];

#[cfg(test)]
mod tests {
    use hello_measure::{Cause, CauseKind, LostCause, Quantiles, TimerError};

    use super::*;
    use crate::output::export::{CellFormat, cells, heads};

    #[test]
    fn every_column_has_the_value_of_its_heading() {
        let rtt = Quantiles {
            min: 0.1,
            mean: 0.2,
            max: 0.9,
            stddev: 0.3,
            p50: Some(0.4),
            p90: Some(0.5),
            p95: Some(0.6),
            p99: Some(0.7),
            p999: Some(0.8),
        };
        let (kind, reporter) = (CauseKind::TooBig { mtu: Some(1400) }, Some([10, 80, 2, 2].into()));
        let summary = Summary {
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
            lost_causes: vec![
                LostCause { cause: Cause { kind, reporter }, lost: 2 },
                LostCause { cause: Cause::SILENT, lost: 1 },
            ],
            errors: [("denied", 2), ("too-long", 10)].into(),
            unattributed: 13,
            not_sent: [("denied", 3), ("late", 10)].into(),
            rtt_ms: Some(rtt),
            timer_error_ms: Some(TimerError {
                mean: 0.0,
                p50: Some(1.2),
                p99: Some(1.3),
                max: 1.4,
            }),
            duration_s: 2.0,
        };
        let row = cells(COMMON_COLUMNS, &summary, &CellFormat::CSV);
        let found = Vec::from_iter(heads(COMMON_COLUMNS).zip(row.iter().map(String::as_str)));
        let expected = [
            ("duration_s", "2.000"),
            ("sent", "1"),
            ("answered", "2"),
            ("lost", "3"),
            ("in_flight", "4"),
            ("not_sent", "13"),
            ("loss_percent", "5"),
            ("late", "6"),
            ("reordered", "7"),
            ("duplicate", "8"),
            ("corrupt", "9"),
            ("unsolicited", "10"),
            ("out_of_window", "11"),
            ("lost_causes", "too-big:10.80.2.2:1400=2 silent=1"),
            ("errors", "12"),
            ("unattributed", "13"),
            ("rtt_min_ms", "0.1"),
            ("rtt_mean_ms", "0.2"),
            ("rtt_max_ms", "0.9"),
            ("rtt_stddev_ms", "0.3"),
            ("rtt_p50_ms", "0.4"),
            ("rtt_p90_ms", "0.5"),
            ("rtt_p95_ms", "0.6"),
            ("rtt_p99_ms", "0.7"),
            ("rtt_p999_ms", "0.8"),
            ("timer_error_p50_ms", "1.2"),
            ("timer_error_p99_ms", "1.3"),
            ("timer_error_max_ms", "1.4"),
        ];
        assert_eq!(found, expected);
    }
}
