//! Tables of targets and of flows.

use hello_measure::FlowSummary;

use crate::output::escape::Escaped;
use crate::output::format::{coarse_percentile, exact, known, percentile, thousands};
use crate::output::layout::Layout;
use crate::output::percent;
use crate::output::table::{Head, table};
use crate::ping::args::Unreachable;
use crate::ping::summary::Summary;

/// Returns a table of several targets, with times in milliseconds. Those that were not probed are
/// its last rows.
pub fn comparison(layout: Layout, summaries: &[Summary], unreachable: &[Unreachable]) -> String {
    // Only if there are any, because the table is wide.
    let has_not_sent = summaries.iter().any(|summary| summary.common.not_sent_total() > 0);
    let mut heads = vec![
        ("target", 0),
        ("sent", 4),
        ("lost", 3),
        ("loss", 0),
        ("min", 6),
        ("p50", 0),
        ("p90", 7),
        ("p99", 1),
        ("max", 5),
        ("jitter", 2),
        ("errors", 8),
    ];
    if has_not_sent {
        heads.insert(NOT_SENT, ("not sent", 1));
    }
    let rows = summaries.iter().map(|summary| {
        let (common, rtt) = (&summary.common, summary.common.rtt_ms.as_ref());
        let [p50, p90, _, p99, _] = summary.percentiles();
        let mut row = vec![
            summary.name().to_string(),
            thousands(common.sent),
            thousands(common.lost),
            percent::loss(common),
            known(rtt.map(|rtt| rtt.min), exact),
            known(p50, percentile),
            known(p90, percentile),
            known(p99, percentile),
            known(rtt.map(|rtt| rtt.max), exact),
            known(summary.jitter_ms.map(|jitter| jitter.mean), exact),
            thousands(common.errors_total()),
        ];
        if has_not_sent {
            row.insert(NOT_SENT, thousands(common.not_sent_total()));
        }
        row
    });
    let not_probed = unreachable.iter().map(|unreachable| {
        let mut row = vec!["-".to_owned(); heads.len()];
        row[0] = Escaped(unreachable.target.as_bytes()).to_string();
        row[1] = "not probed".into();
        row
    });
    table(layout, 0, &heads, rows.chain(not_probed))
}

/// The position of the column.
const NOT_SENT: usize = 2;

/// Returns a table of a target's flows, with times in milliseconds.
pub fn flows(layout: Layout, flows: &[FlowSummary]) -> String {
    // Only if they differ: each is that of the flow's last reply, whose line has it.
    let has_ttl = flows.iter().any(|flow| flow.ttl != flows[0].ttl);
    let mut heads: Vec<Head> = vec![
        ("flow", 0),
        ("sent", 2),
        ("answered", 3),
        ("lost", 1),
        ("loss", 0),
        ("p50", 0),
        ("p99", 1),
    ];
    if has_ttl {
        heads.push(("ttl", 4));
    }
    let rows = flows.iter().map(|flow| {
        let mut row = vec![
            flow.flow.to_string(),
            thousands(flow.sent),
            thousands(flow.answered),
            thousands(flow.lost),
            percent::of(flow.lost, flow.answered + flow.lost),
            known(flow.p50_ms, coarse_percentile),
            known(flow.p99_ms, coarse_percentile),
        ];
        if has_ttl {
            row.push(known(flow.ttl, |ttl| ttl.to_string()));
        }
        row
    });
    table(layout, usize::MAX, &heads, rows)
}
