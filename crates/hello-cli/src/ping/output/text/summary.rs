//! Summaries of a run, of a part of it, and of a run that continues.

use std::fmt::Write as _;

use hello_measure::{ClockCounts, NoAnswer, Summary as Common};

use super::headers;
use crate::args::peer::PeerArg;
use crate::output::cause;
use crate::output::escape::Escaped;
use crate::output::format::{by_reason, named_times, nonzero, slash_separated, thousands};
use crate::output::layout::Layout;
use crate::output::no_answer::describe;
use crate::output::not_sent;
use crate::output::percent;
use crate::output::style::{BAD, paint};
use crate::ping::args::Unreachable;
use crate::ping::output::text::outages;
use crate::ping::plan::Plan;
use crate::ping::summary::Summary;

/// Returns the summary of a target, with `extras` after the details.
///
/// It ends with ping's own lines, because parsers look for them at the end of the output. Without
/// round-trip times, the last line is empty, as in ping.
pub fn summary(layout: Layout, plan: &Plan, summary: &Summary, extras: &[String]) -> String {
    let name = summary.name();
    let mut text = format!("\n{name}\n");
    for line in details(plan, summary) {
        let _ = writeln!(text, "{}", layout.wrap_with_margin("  ", "    ", &line));
    }
    for line in extras.iter().flat_map(|text| text.lines()) {
        let _ = writeln!(text, "  {line}");
    }
    let packets = packets(summary, &possible_loss(summary));
    let _ = write!(text, "\n--- {name} ping statistics ---\n{packets}\n");
    if let Some(rtt) = &summary.common.rtt_ms {
        let times = slash_separated(&[rtt.min, rtt.mean, rtt.max, rtt.stddev]);
        let _ = write!(text, "rtt min/avg/max/mdev = {times}");
    }
    text
}

/// Returns the summary of a part of the run, in one line. The last part says how short it is, unless
/// it is as long as the others.
pub fn interval(layout: Layout, summary: &Summary, is_partial: bool) -> String {
    let mut text = summary.name().to_string();
    if is_partial {
        let _ = write!(text, " (partial: {:.3} s)", summary.common.duration_s);
    }
    let _ = write!(text, ": {}", packets(summary, ""));
    if summary.common.in_flight > 0 {
        let _ = write!(text, ", {} in flight", thousands(summary.common.in_flight));
    }
    if let Some(rtt) = &summary.common.rtt_ms {
        let [p50, .., p99, _] = summary.percentiles();
        let times = named_times(&[("p50", p50), ("p99", p99)], Some(rtt.max));
        let _ = write!(text, ", rtt {}", times.unwrap_or_default());
    }
    if let Some(jitter) = &summary.jitter_ms {
        let _ = write!(text, ", jitter mean = {}", slash_separated(&[jitter.mean]));
    }
    layout.wrap_with_margin("", "  ", &text)
}

/// Returns the summary of a target that was not probed.
pub fn unreachable(layout: Layout, unreachable: &Unreachable) -> String {
    let Unreachable { target, error } = unreachable;
    let line = format!("{}: {error}", paint(BAD, "not probed"));
    let line = layout.wrap_with_margin("  ", "    ", &line);
    format!("\n{}\n{line}", Escaped(target.as_bytes()))
}

/// Returns the details that ping does not print.
fn details(plan: &Plan, summary: &Summary) -> Vec<String> {
    let counts = [
        ("in flight", summary.common.in_flight),
        ("late", summary.common.late),
        ("reordered", summary.common.reordered),
        ("unsolicited", summary.common.unsolicited),
        ("out of window", summary.common.out_of_window),
    ];
    let mut lines = Vec::from_iter(nonzero(&counts));
    lines.extend(
        summary.common.no_answer().map(|no_answer| {
            describe(no_answer, plan.timeout) + &hint(plan.peer, no_answer, summary)
        }),
    );
    lines.extend(cause::lines(&summary.common, summary.address));
    lines.extend(by_reason("errors", &summary.common.errors));
    lines.extend(not_sent::summary(&summary.common));
    lines.extend(outages::details(summary));
    let [p50, p90, p95, p99, p999] = summary.percentiles();
    let percentiles = [("p50", p50), ("p90", p90), ("p95", p95), ("p99", p99), ("p99.9", p999)];
    lines.extend(named_times(&percentiles, None).map(|times| format!("rtt {times}")));
    if let Some(jitter) = &summary.jitter_ms {
        let times = slash_separated(&[jitter.mean, jitter.rfc3550]);
        lines.push(format!("jitter mean/rfc3550 = {times}"));
    }
    if let Some(error) = &summary.common.timer_error_ms {
        let times = named_times(&[("p50", error.p50), ("p99", error.p99)], Some(error.max));
        lines.extend(times.map(|times| format!("timer error {times}")));
    }
    lines.extend(headers::details(plan, summary));
    lines.extend(clocks(&summary.clocks));
    lines
}

/// Returns the line about the clocks of the round-trip times: `clocks: sent by the driver, received by the
/// kernel`.
fn clocks(counts: &ClockCounts) -> Option<String> {
    let ClockCounts { sent_kernel, sent_process, received_kernel, received_process } = *counts;
    let by = |what, name, kernel, process| match (kernel, process) {
        (0, _) => format!("{what} by this process"),
        (_, 0) => format!("{what} by the {name}"),
        _ => format!(
            "{what} by the {name} ({}) or by this process ({})",
            thousands(kernel),
            thousands(process)
        ),
    };
    let sent = by("sent", "driver", sent_kernel, sent_process);
    let received = by("received", "kernel", received_kernel, received_process);
    (sent_kernel + sent_process > 0).then(|| format!("clocks: {sent}, {received}"))
}

/// Returns what to try if no reply came: the other kind of server, if it returned a probe, or a longer
/// timeout, as a reply after the last one is not seen.
fn hint(peer: PeerArg, no_answer: NoAnswer, summary: &Summary) -> String {
    match no_answer {
        NoAnswer::Unrelated if summary.of_other_peer > 0 => format!("; {}", peer.hint()),
        NoAnswer::Silent => "; if the server is slower, use a longer -W".into(),
        _ => String::new(),
    }
}

/// Returns ping's line about packets. As in ping, counts of zero are omitted. The loss is that of the
/// settled probes. What ping does not have stands behind the time, because parsers count the words
/// before it.
pub(super) fn packets(summary: &Summary, note: &str) -> String {
    let Common { sent, answered, lost, .. } = summary.common;
    let mut text = format!("{sent} packets transmitted, {answered} received");
    let extra = [
        ("duplicates", summary.common.duplicate),
        ("corrupted", summary.common.corrupt),
        ("errors", summary.common.errors_total()),
    ];
    for (what, count) in extra.iter().filter(|(_, count)| *count > 0) {
        let _ = write!(text, ", +{count} {what}");
    }
    if summary.common.settled() > 0 {
        let loss = format!("{} packet loss", percent::loss(&summary.common));
        let _ = write!(text, ", {}", if lost > 0 { paint(BAD, loss) } else { loss });
    }
    let _ = write!(text, ", time {:.0}ms", summary.common.duration_s * 1e3);
    let not_sent = summary.common.not_sent_total();
    if not_sent > 0 {
        let _ = write!(text, ", +{not_sent} not sent");
    }
    text + note
}

/// Returns the note about the loss if probes are in flight at the end: how large it may become, or how
/// small if it is total.
fn possible_loss(summary: &Summary) -> String {
    let in_flight = summary.common.in_flight;
    let is = if in_flight == 1 { "is" } else { "are" };
    let worst = percent::worst_case_loss(&summary.common);
    match (summary.common.settled(), in_flight) {
        (_, 0) => String::new(),
        (0, _) => " (loss unknown: all in flight)".into(),
        (lost, _) if lost == summary.common.lost => {
            let least = percent::of(lost, lost + in_flight);
            format!(" (loss only {least} if the {in_flight} in flight {is} answered)")
        }
        _ => format!(" (loss up to {worst} if the {in_flight} in flight {is} lost)"),
    }
}
