//! The status line of a terminal.

use std::time::Duration;

use crate::output::format::{percentile, thousands, time_left};
use crate::output::layout::Layout;
use crate::output::percent;
use crate::output::style::{BAD, paint};
use crate::ping::plan::Plan;
use crate::ping::summary::Summary;

/// Returns the status at `now`; with several targets, it is brief for each. What does not fit is left
/// out, the least important first.
pub fn status(layout: Layout, plan: &Plan, summaries: &[Summary], now: Duration) -> String {
    let left = time_left(plan.left(now).unwrap_or_default()).map(|left| format!("{left} left"));
    match summaries {
        [summary] => {
            let in_flight = summary.common.in_flight;
            let p50 = summary.percentiles()[0];
            let parts = [
                (0, Some(sent(plan, summary))),
                (1, Some(lost_share(summary))),
                (0, not_sent(summary)),
                (3, Some(format!("{} in flight", thousands(in_flight)))),
                (4, p50.map(|p50| format!("p50 {} ms", percentile(p50)))),
                (2, left),
            ];
            fitted(layout, ", ", parts)
        }
        several => several_targets(layout, several, left.as_deref()),
    }
}

/// Returns the status of several targets: each with its loss and median, or only its loss, or all in
/// a few words.
fn several_targets(layout: Layout, summaries: &[Summary], left: Option<&str>) -> String {
    let of_each = |with_p50: bool| {
        let brief = summaries.iter().map(|summary| {
            let p50 = summary.percentiles()[0].filter(|_| with_p50);
            let p50 = p50.map(|p50| format!("p50 {} ms", percentile(p50)));
            let parts = [Some(lost_share(summary)), not_sent(summary), p50];
            let parts = Vec::from_iter(parts.into_iter().flatten());
            format!("{} {}", summary.name(), parts.join(", "))
        });
        Vec::from_iter(left.map(str::to_owned).into_iter().chain(brief)).join(" | ")
    };
    let each = [true, false].map(of_each);
    let fits = |text: &&String| layout.width.is_none_or(|max| width(text) <= max.get());
    each.iter().find(fits).cloned().unwrap_or_else(|| {
        let worst = summaries.iter().max_by(|one, other| {
            let [one, other] = [one, other].map(|summary| summary.common.loss.unwrap_or(-1.0));
            one.total_cmp(&other)
        });
        let worst = worst.map(|worst| format!("worst {}", lost_share(worst)));
        let most_unsent = summaries.iter().max_by_key(|summary| summary.common.not_sent_total());
        let parts = [
            (0, Some(format!("{} targets", summaries.len()))),
            (0, worst),
            (0, most_unsent.and_then(not_sent)),
            (1, left.map(str::to_owned)),
        ];
        fitted(layout, ", ", parts)
    })
}

/// Returns the status while probes are in flight after the first signal.
pub fn waiting(layout: Layout, summaries: &[Summary], left: Duration) -> String {
    let in_flight = summaries.iter().map(|summary| summary.common.in_flight).sum();
    let time = time_left(left).map(|left| format!("for up to {left}"));
    let parts = [
        (0, Some(format!("waiting for {} in flight", thousands(in_flight)))),
        (2, time),
        (1, Some("Ctrl-C again ends at once".into())),
    ];
    fitted(layout, ", ", parts)
}

/// Returns the number of probes sent, and of how many.
fn sent(plan: &Plan, summary: &Summary) -> String {
    let of = plan.probes().map_or_else(String::new, |all| format!(" of {}", thousands(all)));
    format!("{}{of} sent", thousands(summary.common.sent))
}

fn lost_share(summary: &Summary) -> String {
    let text = format!("{} lost", percent::loss(&summary.common));
    if summary.common.lost > 0 { paint(BAD, text) } else { text }
}

/// Returns the number of probes that were due but not sent; `None` if there are none.
fn not_sent(summary: &Summary) -> Option<String> {
    let count = summary.common.not_sent_total();
    (count > 0).then(|| paint(BAD, format!("{} not sent", thousands(count))))
}

/// Joins the parts that exist, without those of the highest numbers if not all fit. Parts with number
/// 0 always remain.
fn fitted(
    layout: Layout,
    separator: &str,
    parts: impl IntoIterator<Item = (u8, Option<String>)>,
) -> String {
    let parts = parts.into_iter().filter_map(|(rank, part)| Some((rank, part?)));
    let mut parts = Vec::from_iter(parts);
    loop {
        let texts = Vec::from_iter(parts.iter().map(|(_, part)| &**part));
        let text = texts.join(separator);
        let width = width(&text);
        let highest = parts.iter().map(|(rank, _)| *rank).max().unwrap_or(0);
        match layout.width {
            Some(max) if width > max.get() && highest > 0 => {
                parts.retain(|(rank, _)| *rank < highest);
            }
            _ => return text,
        }
    }
}

/// Returns the width of a text in columns, without its colours.
fn width(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}
