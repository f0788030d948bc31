//! Text output of `hello-ping`, which parsers of ping's output can read.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use hello_measure::FlowSummary;
use hello_measure::{ReplyKind, millis};
use hello_net::{NotSent, ProbeEvent, ProbeEventKind};

use crate::output::escape::{Escaped, Truncated};
use crate::output::format::{self, by_reason, nonzero, slash_separated};
use crate::output::layout::Layout;
use crate::output::no_answer::describe;
use crate::output::percent::{self, percent};
use crate::output::table::table;
use crate::ping::Target;
use crate::ping::args::Unreachable;
use crate::ping::summary::Summary;

/// Returns the first line: the target, and the sizes of a name and of its packet.
pub fn header(target: &Target) -> String {
    let Target { name, address, name_len, .. } = target;
    let headers = if address.0.is_ipv4() { 20 } else { 40 } + 8;
    let (name, packet_len) = (Escaped(name.as_bytes()), name_len + headers);
    format!("PING {name} ({}) {name_len}({packet_len}) bytes of data.", address.host())
}

/// Returns the line of an event. A sent probe has none: its reply or its loss has one.
pub fn event(target: &Target, event: &ProbeEvent<'_>) -> Option<String> {
    let Target { address, flows, .. } = target;
    let flow = if *flows > 1 { format!(" flow={}", event.flow) } else { String::new() };
    Some(match event.kind {
        ProbeEventKind::Sent { .. } => return None,
        ProbeEventKind::Received { reply, datagram, .. } => {
            let from = format!("{} bytes from {address}:", datagram.len());
            match reply {
                ReplyKind::Answered { seq, rtt, reordered } => {
                    let mark = if reordered { " (reordered)" } else { "" };
                    format!("{from} seq={seq}{flow} time={:.3} ms{mark}", millis(rtt))
                }
                ReplyKind::Late { seq, rtt } => {
                    format!("{from} seq={seq}{flow} time={:.3} ms (late)", millis(rtt))
                }
                ReplyKind::Duplicate { seq } => format!("{from} seq={seq}{flow} (DUP!)"),
                ReplyKind::OutOfWindow { seq } => format!("{from} seq={seq}{flow} (out of window)"),
                ReplyKind::Corrupt => format!("{from}{flow} (corrupt) {}", Truncated(datagram)),
                ReplyKind::Unsolicited => {
                    format!("{from}{flow} (unsolicited) {}", Truncated(datagram))
                }
            }
        }
        ProbeEventKind::Lost { seq, .. } => format!("{address}: seq={seq}{flow} lost"),
        ProbeEventKind::SocketError(error) => format!("{address}:{flow} {error}"),
        ProbeEventKind::Dropped { count } => {
            format!(
                "{address}:{flow} {count} datagrams dropped by this host: receive buffer full, or bad \
                 checksum"
            )
        }
        ProbeEventKind::NotSent(why) => {
            let why = match why {
                NotSent::Failed(error) => error.to_string(),
                NotSent::Late => "too late, because this process was stalled".into(),
                NotSent::TooManyInFlight => "too many in flight".into(),
                other => other.label().into(),
            };
            format!("{address}:{flow} not sent: {why}")
        }
        _ => return None,
    })
}

/// Returns the summary of a target, with `extras` after the details.
///
/// It ends with ping's own lines, because parsers look for them at the end of the output. Without
/// round-trip times, the last line is empty, as in ping.
pub fn summary(summary: &Summary, extras: &[String]) -> String {
    let name = summary.name();
    let mut text = format!("\n{name}\n");
    for line in details(summary).iter().chain(extras).flat_map(|text| text.lines()) {
        let _ = writeln!(text, "  {line}");
    }
    let _ = write!(text, "\n--- {name} ping statistics ---\n{}\n", packets(summary));
    if let Some(rtt) = &summary.common.rtt_ms {
        let times = slash_separated(&[rtt.min, rtt.mean, rtt.max, rtt.stddev]);
        let _ = write!(text, "rtt min/avg/max/mdev = {times}");
    }
    text
}

/// Returns the summary of a target that was not probed.
pub fn unreachable(unreachable: &Unreachable) -> String {
    let Unreachable { target, error } = unreachable;
    format!("\n{}\n  not probed: {error}", Escaped(target.as_bytes()))
}

/// Returns the details that ping does not print.
fn details(summary: &Summary) -> Vec<String> {
    let counts = [
        ("in flight", summary.common.in_flight),
        ("late", summary.common.late),
        ("reordered", summary.common.reordered),
        ("unsolicited", summary.common.unsolicited),
        ("out of window", summary.common.out_of_window),
    ];
    let mut lines = Vec::from_iter(nonzero(&counts));
    lines.extend(summary.common.no_answer().map(|no_answer| describe(no_answer).to_owned()));
    lines.extend(by_reason("errors", &summary.common.errors));
    lines.extend(by_reason("not sent", &summary.common.not_sent));
    if let Some(rtt) = &summary.common.rtt_ms {
        let percentiles = slash_separated(&[rtt.p50, rtt.p90, rtt.p95, rtt.p99, rtt.p999]);
        lines.push(format!("rtt p50/p90/p95/p99/p99.9 = {percentiles}"));
    }
    if let Some(jitter) = &summary.jitter_ms {
        lines.push(format!(
            "jitter mean/rfc3550 = {}",
            slash_separated(&[jitter.mean, jitter.rfc3550])
        ));
    }
    if let Some(error) = &summary.common.timer_error_ms {
        let errors = slash_separated(&[error.p50, error.p99, Some(error.max)]);
        lines.push(format!("timer error p50/p99/max = {errors}"));
    }
    lines
}

/// Returns ping's line about packets. As in ping, counts of zero and an unknown loss are omitted.
fn packets(summary: &Summary) -> String {
    let hello_measure::Summary { sent, answered, .. } = &summary.common;
    let mut text = format!("{sent} packets transmitted, {answered} received");
    let extra = [
        ("duplicates", summary.common.duplicate),
        ("corrupted", summary.common.corrupt),
        ("errors", summary.common.errors_total()),
    ];
    for (what, count) in extra.iter().filter(|(_, count)| *count > 0) {
        let _ = write!(text, ", +{count} {what}");
    }
    if let Some(loss) = summary.common.loss {
        let _ = write!(text, ", {}% packet loss", percent(loss));
    }
    let _ = write!(text, ", time {:.0}ms", summary.common.duration_s * 1e3);
    text
}

/// Returns the summary of a part of the run, in one line.
pub fn interval(summary: &Summary) -> String {
    let mut text = format!("{}: {}", summary.name(), packets(summary));
    if summary.common.in_flight > 0 {
        let _ = write!(text, ", {} in flight", summary.common.in_flight);
    }
    if let Some(rtt) = &summary.common.rtt_ms {
        let _ = write!(
            text,
            ", rtt p50/p99/max = {}",
            slash_separated(&[rtt.p50, rtt.p99, Some(rtt.max)])
        );
    }
    if let Some(jitter) = &summary.jitter_ms {
        let _ = write!(text, ", jitter mean = {}", slash_separated(&[jitter.mean]));
    }
    text
}

/// Returns the status line; with several targets, it is brief for each.
pub fn status(summaries: &[Summary]) -> String {
    if let [summary] = summaries {
        let hello_measure::Summary { sent, in_flight, .. } = &summary.common;
        let mut text = format!(
            "{sent} sent, {} lost, {in_flight} in flight",
            percent::or_dash(summary.common.loss)
        );
        if let Some(rtt) = &summary.common.rtt_ms {
            let _ = write!(
                text,
                ", p50/p99/max {}",
                slash_separated(&[rtt.p50, rtt.p99, Some(rtt.max)])
            );
        }
        return text;
    }
    let short = |summary: &Summary| {
        let (name, loss) = (summary.name(), percent::or_dash(summary.common.loss));
        let p50 = summary
            .common
            .rtt_ms
            .and_then(|rtt| rtt.p50)
            .map_or_else(String::new, |p50| format!(", p50 {p50:.3} ms"));
        format!("{name} {loss} lost{p50}")
    };
    Vec::from_iter(summaries.iter().map(short)).join(" | ")
}

/// Returns a table of several targets, with times in milliseconds. Those that were not probed are
/// its last rows.
pub fn comparison(layout: Layout, summaries: &[Summary], unreachable: &[Unreachable]) -> String {
    let heads = [
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
    let rows = summaries.iter().map(|summary| {
        let rtt = summary.common.rtt_ms.as_ref();
        vec![
            summary.name().to_string(),
            summary.common.sent.to_string(),
            summary.common.lost.to_string(),
            percent::or_dash(summary.common.loss),
            format::or_dash(rtt.map(|rtt| rtt.min)),
            format::or_dash(rtt.and_then(|rtt| rtt.p50)),
            format::or_dash(rtt.and_then(|rtt| rtt.p90)),
            format::or_dash(rtt.and_then(|rtt| rtt.p99)),
            format::or_dash(rtt.map(|rtt| rtt.max)),
            format::or_dash(summary.jitter_ms.map(|jitter| jitter.mean)),
            summary.common.errors_total().to_string(),
        ]
    });
    let not_probed = unreachable.iter().map(|unreachable| {
        let mut row = vec!["-".to_owned(); heads.len()];
        row[0] = Escaped(unreachable.target.as_bytes()).to_string();
        row[1] = "not probed".into();
        row
    });
    table(layout, 0, &heads, rows.chain(not_probed))
}

/// Returns a table of a target's flows, with times in milliseconds.
pub fn flows(layout: Layout, flows: &[FlowSummary]) -> String {
    let heads = [
        ("flow", 0),
        ("sent", 2),
        ("answered", 3),
        ("lost", 1),
        ("loss", 0),
        ("p50", 0),
        ("p99", 1),
    ];
    let rows = flows.iter().map(|flow| {
        vec![
            flow.flow.to_string(),
            flow.sent.to_string(),
            flow.answered.to_string(),
            flow.lost.to_string(),
            percent::or_dash(flow.loss),
            format::or_dash(flow.p50_ms),
            format::or_dash(flow.p99_ms),
        ]
    });
    table(layout, usize::MAX, &heads, rows)
}
