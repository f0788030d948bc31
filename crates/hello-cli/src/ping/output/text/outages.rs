//! Outages in words and in a table.

use std::fmt::Write as _;
use std::iter;

use crate::output::format::{count, known, thousands};
use crate::output::layout::Layout;
use crate::output::outages::describe;
use crate::output::table::table;
use crate::ping::summary::Summary;

/// Returns the details of a summary: the number of outages, the longest one, and the scattered
/// losses; and with several flows, the longest time without an answer from any. None without a loss.
pub fn details(summary: &Summary) -> Vec<String> {
    let flows = summary.flows.len();
    let Some(outages) = &summary.outages else { return vec![] };
    let mut text = match outages.longest.first() {
        Some(longest) => {
            format!("outages {}, longest {}", thousands(outages.count), describe(longest, flows))
        }
        None if outages.scattered > 0 && flows > 1 => "no outage of a single flow".into(),
        None if outages.scattered > 0 => "no outage".into(),
        None => return vec![],
    };
    if outages.scattered > 0 {
        let losses = if outages.scattered == 1 { "loss" } else { "losses" };
        let _ = write!(text, "; {} scattered {losses}", thousands(outages.scattered));
    }
    let together = outages.without_answer.as_ref().filter(|_| flows > 1);
    let together =
        together.map(|outage| format!("longest without an answer: {}", describe(outage, flows)));
    iter::once(text).chain(together).collect()
}

/// Returns a table of the longest outages, with times in seconds, if there are several.
pub fn table_of(layout: Layout, summary: &Summary) -> Option<String> {
    let outages = summary.outages.as_ref().filter(|outages| outages.count > 1)?;
    let shown = &outages.longest[..outages.longest.len().min(ROWS)];
    let mut heads = vec![("outage at s", 0), ("lasted s", 0), ("probes", 0), ("icmp_seq", 1)];
    let has_not_sent = shown.iter().any(|outage| outage.not_sent > 0);
    let has_flows = summary.flows.len() > 1;
    if has_not_sent {
        heads.push(("not sent", 2));
    }
    if has_flows {
        heads.push(("flow", 0));
    }
    let rows = shown.iter().map(|outage| {
        let more = if outage.ongoing { "+" } else { "" };
        let mut row = vec![
            format!("{:.3}", outage.start_s),
            format!("{:.3}{more}", outage.duration_s),
            thousands(outage.probes),
            known(outage.first_seq, |seq| seq.to_string()),
        ];
        if has_not_sent {
            row.push(thousands(outage.not_sent));
        }
        if has_flows {
            row.push(known(outage.flow, |flow| flow.to_string()));
        }
        row
    });
    let mut text = table(layout, usize::MAX, &heads, rows);
    let others = outages.count.saturating_sub(shown.len() as u64);
    if others > 0 {
        let _ = write!(text, "\n(and {})", count(others, "more outage"));
    }
    Some(text)
}

/// The most rows of the table.
const ROWS: usize = 5;
