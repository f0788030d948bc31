//! The summary of a run in text.

use hello_measure::Quantiles;

use super::paint_headline;
use crate::load::conclusion::Conclusion;
use crate::load::saturation::tenths;
use crate::load::summary::Summary;
use crate::output::cause;
use crate::output::escape::Escaped;
use crate::output::format::{self, by_reason, exact, known, nonzero, thousands};
use crate::output::layout::Layout;
use crate::output::not_sent;
use crate::output::percent;
use crate::output::style::{WARNING, paint};
use crate::output::table::table;

/// Returns the conclusion from a run and its summary.
pub fn summary(layout: Layout, conclusion: &Conclusion, summary: &Summary) -> String {
    let name = Escaped(summary.target.as_bytes());
    let mut parts = vec![paint_headline(layout, conclusion)];
    // Otherwise nothing was measured.
    if summary.common.due() > 0 {
        parts.push(layout.wrap(&format!("--- {name} load statistics ---")));
        parts.push(counts(layout, summary));
        parts.push(layout.wrap(&span(summary)));
    }
    parts.extend(details(summary).iter().map(|line| layout.wrap(line)));
    parts.extend(times(layout, summary));
    parts.extend(generator(layout, summary));
    parts.extend(summary.suspected_limit.map(|limit| layout.wrap(&limit.to_string())));
    format!("\n{}", parts.join("\n"))
}

/// Returns a table of the requests by their fates.
fn counts(layout: Layout, summary: &Summary) -> String {
    let common = &summary.common;
    let heads = [("requests", 0), ("count", 0), ("share", 0), ("requests/s", 1), ("payload", 2)];
    let (rate, bits) = (|rate| known(rate, format::rate), |rate| known(rate, format::bit_rate));
    let row = |what: &str, number: u64, share: String| {
        vec![what.into(), thousands(number), share, String::new(), String::new()]
    };
    let settled = common.settled();
    let mut sent = row("sent", common.sent, String::new());
    (sent[3], sent[4]) = (rate(summary.sent_per_s), bits(summary.sent_bits_per_s));
    let mut answered = row("answered", common.answered, percent::of(common.answered, settled));
    (answered[3], answered[4]) = (rate(summary.answered_per_s), bits(summary.answered_bits_per_s));
    let mut rows = vec![sent, answered, row("lost", common.lost, percent::loss(common))];
    if common.in_flight > 0 {
        rows.push(row("in flight", common.in_flight, String::new()));
    }
    let not_sent = common.not_sent_total();
    if not_sent > 0 {
        rows.push(row("not sent", not_sent, percent::of(not_sent, common.due())));
    }
    table(layout, 0, &heads, rows.into_iter())
}

/// Returns what the rates are of.
fn span(summary: &Summary) -> String {
    let seconds = summary.common.duration_s;
    format!("in {seconds:.3} s; payload: names sent and replies received, without headers")
}

/// Returns the counts that are not zero, and what is not known.
fn details(summary: &Summary) -> Vec<String> {
    let common = &summary.common;
    let counts = [
        ("late", common.late),
        ("reordered", common.reordered),
        ("duplicates", common.duplicate),
        ("corrupt", common.corrupt),
        ("unsolicited", common.unsolicited),
        ("out of window", common.out_of_window),
        ("misdirected", summary.misdirected),
    ];
    let mut lines = vec![];
    if common.in_flight > 0 {
        let known = match common.loss.is_some() {
            true => percent::loss(common) + " is known",
            false => "unknown".into(),
        };
        let up_to = percent::worst_case_loss(common);
        lines.push(format!("loss: {known}, up to {up_to} if all in flight are lost"));
    }
    lines.extend(nonzero(&counts));
    lines.extend(cause::lines(common, summary.address));
    lines.extend(by_reason("errors", &common.errors));
    lines.extend(not_sent::summary(common));
    lines
}

/// Returns a table of the times, if there are any.
fn times(layout: Layout, summary: &Summary) -> Option<String> {
    let heads = [
        ("ms", 0),
        ("min", 4),
        ("avg", 3),
        ("p50", 0),
        ("p90", 5),
        ("p99", 0),
        ("p99.9", 2),
        ("max", 1),
    ];
    let percentile = |millis| known(millis, format::percentile);
    let spread = |name: &str, times: &Quantiles| {
        let Quantiles { min, mean, max, p50, p90, p99, p999, .. } = *times;
        let [p50, p90, p99, p999] = [p50, p90, p99, p999].map(percentile);
        vec![name.into(), exact(min), exact(mean), p50, p90, p99, p999, exact(max)]
    };
    let mut rows = Vec::new();
    rows.extend(summary.latency_ms.map(|latency| spread("latency", &latency)));
    rows.extend(summary.common.rtt_ms.map(|rtt| spread("rtt", &rtt)));
    rows.extend(summary.common.timer_error_ms.map(|error| {
        let unknown = || "-".to_owned();
        let (mean, max) = (exact(error.mean), exact(error.max));
        let [p50, p99] = [error.p50, error.p99].map(percentile);
        vec!["timer error".into(), unknown(), mean, p50, unknown(), p99, unknown(), max]
    }));
    (!rows.is_empty()).then(|| table(layout, 0, &heads, rows.into_iter()))
}

/// Returns the usage of the generator and its limits, if anything was due.
fn generator(layout: Layout, summary: &Summary) -> Vec<String> {
    let generator = &summary.generator;
    if summary.common.due() == 0 {
        return vec![];
    }
    // It is not known of a very short run.
    let usage = generator.busy.map(|busy| {
        let mut text = format!("generator: {}% busy", tenths(busy));
        if let Some(time) = generator.processor_time_per_request_us {
            text += &format!(", {time:.3} us of CPU per request");
            if summary.plan.rate.is_some() {
                text += ", including busy-waiting";
            }
        }
        if generator.limits.is_empty() && summary.is_steady() && summary.common.answered > 0 {
            text += "; no limit found";
        }
        layout.wrap(&text)
    });
    let limits = generator
        .limits
        .iter()
        .map(|limit| paint(WARNING, layout.wrap(&format!("generator limit: {limit}"))));
    usage.into_iter().chain(limits).collect()
}
