//! The columns of `hello-ping`'s tables.

use hello_measure::OutageSummary;

use crate::output::columns::COMMON_COLUMNS;
use crate::output::export::{CellFormat, Column, Tabular, cells, heads};
use crate::ping::summary::Summary;

impl Tabular for Summary {
    const BRIEF: &'static [&'static str] = &[
        "target",
        "sent",
        "lost",
        "loss_percent",
        "rtt_p50_ms",
        "rtt_p99_ms",
        "rtt_max_ms",
        "jitter_ms",
    ];

    fn heads() -> Vec<&'static str> {
        let own = heads(WITHIN_FLOWS).chain(heads(OUTAGES));
        heads(TARGET).chain(heads(COMMON_COLUMNS)).chain(own).collect()
    }

    fn cells(&self, format: &CellFormat) -> Vec<String> {
        [
            cells(TARGET, self, format),
            cells(COMMON_COLUMNS, &self.common, format),
            cells(WITHIN_FLOWS, self, format),
            cells(OUTAGES, self, format),
        ]
        .concat()
    }
}

const TARGET: &[Column<Summary>] = &[
    ("target", |summary, _| summary.name().to_string()),
    ("started_at", |summary, _| summary.started_at.to_string()),
];

const WITHIN_FLOWS: &[Column<Summary>] = &[
    ("jitter_ms", |summary, format| format.time(summary.jitter_ms.map(|jitter| jitter.mean))),
    ("jitter_rfc3550_ms", |summary, format| {
        format.time(summary.jitter_ms.map(|jitter| jitter.rfc3550))
    }),
    ("route_changes", |summary, _| summary.route_changes.to_string()),
];

const OUTAGES: &[Column<Summary>] = &[
    ("outages", |summary, format| {
        format.known(summary.outages.as_ref(), |outages| outages.count.to_string())
    }),
    ("outage_max_s", |summary, format| {
        let worst = summary.outages.as_ref().and_then(OutageSummary::worst);
        format.known(worst, |worst| format!("{:.3}", worst.duration_s))
    }),
];

#[cfg(test)]
mod tests {
    use std::iter;
    use std::time::Duration;

    use hello_measure::{Jitter, Outages};

    use super::*;
    use crate::output::export::{Export, NO_TOTALS};
    use crate::ping::Target;
    use crate::ping::fixtures::target;
    use crate::ping::recorder::Recorder;

    fn silent() -> Summary {
        Recorder::new(Target { name: "a,b|\"c\":1".into(), ..target() }).summary(Duration::ZERO)
    }

    #[test]
    fn jitter_route_changes_and_outages_follow_the_common_columns() {
        let jitter_ms = Some(Jitter { mean: 1.1, rfc3550: 1.2 });
        let mut outages = Outages::new(1);
        [0, 1234].iter().for_each(|ms| outages.not_sent(0, Duration::from_millis(*ms)));
        let outages = Some(outages.summary());
        let text = Export::Csv.text(
            &[Summary {
                target: "192.0.2.1:9999".into(),
                jitter_ms,
                route_changes: 7,
                outages,
                ..silent()
            }],
            NO_TOTALS,
            &Summary::heads(),
        );
        let [head, line] = Vec::from_iter(text.lines())[..] else { panic!("{text}") };
        let found = Vec::from_iter(iter::zip(head.split(','), line.split(',')));
        assert_eq!(found.len(), COMMON_COLUMNS.len() + 7);
        let started_at = ("started_at", "2024-11-26T19:40:00.000000Z");
        assert_eq!(found[..2], [("target", "192.0.2.1:9999"), started_at]);
        let last = [
            ("jitter_ms", "1.1"),
            ("jitter_rfc3550_ms", "1.2"),
            ("route_changes", "7"),
            ("outages", "1"),
            ("outage_max_s", "1.234"),
        ];
        assert_eq!(found[found.len() - 5..], last);
    }

    #[test]
    fn unknown_cells_of_a_silent_target_are_empty_or_a_dash() {
        let [csv, markdown] = [Export::Csv, Export::Markdown]
            .map(|form| form.text(&[silent()], NO_TOTALS, &Summary::heads()));
        let counts = "0.000,0,0,0,0,0,,0,0,0,0,0,0,,0,0";
        let started_at = "2024-11-26T19:40:00.000000Z";
        let empty = ",".repeat(14);
        let expected = format!("\n\"a,b|\"\"c\"\":1\",{started_at},{counts}{empty},0,,\n");
        assert!(csv.ends_with(&expected), "{csv}");
        let dashes = "- | ".repeat(14);
        assert!(markdown.ends_with(&format!("| 0 | 0 | {dashes}0 | - | - |\n")), "{markdown}");
    }
}
