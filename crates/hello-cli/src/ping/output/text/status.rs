//! The status line of a terminal.

use std::time::Duration;

use crate::output::format::{at_most, percentile, thousands};
use crate::output::layout::Layout;
use crate::output::percent;
use crate::output::style::{BAD, paint};
use crate::ping::plan::Plan;
use crate::ping::summary::Summary;

/// Returns the status at `now`; with several targets, it is brief for each. What does not fit is left
/// out, the least important first.
pub fn status(layout: Layout, plan: &Plan, summaries: &[Summary], now: Duration) -> String {
    let left = plan.left(now).filter(|left| !left.is_zero());
    let left = left.map(|left| format!("{} left", at_most(left)));
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
            layout.fit(parts)
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
    each.into_iter().find(|text| layout.fits(text)).unwrap_or_else(|| {
        let known = summaries.iter().filter_map(|summary| Some((summary, summary.common.loss?)));
        let unknown = summaries.len() - known.clone().count();
        let worst = known.max_by(|(_, one), (_, other)| one.total_cmp(other));
        let worst = match worst {
            Some((worst, _)) => format!("worst {}", lost_share(worst)),
            None => "loss not known yet".into(),
        };
        let is_partial = (1..summaries.len()).contains(&unknown);
        let unknown = is_partial.then(|| format!("{unknown} not known yet"));
        let most_unsent = summaries.iter().max_by_key(|summary| summary.common.not_sent_total());
        let parts = [
            (0, Some(format!("{} targets", summaries.len()))),
            (0, Some(worst)),
            (0, unknown),
            (0, most_unsent.and_then(not_sent)),
            (1, left.map(str::to_owned)),
        ];
        layout.fit(parts)
    })
}

/// Returns the status while probes are in flight after the first signal.
pub fn waiting(layout: Layout, summaries: &[Summary], left: Duration) -> String {
    let in_flight = summaries.iter().map(|summary| summary.common.in_flight).sum();
    let time = (!left.is_zero()).then(|| format!("for up to {}", at_most(left)));
    let parts = [
        (0, Some(format!("waiting for {} in flight", thousands(in_flight)))),
        (2, time),
        (1, Some("Ctrl-C again ends at once".into())),
    ];
    layout.fit(parts)
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
