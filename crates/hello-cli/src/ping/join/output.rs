//! The output of a join, as text and as JSON.

mod outages;

use std::fmt::Write as _;

use hello_measure::{Doubt, JoinSummary, JoinVerdict, Place, Places, Quantiles};
use serde::Serialize;

use super::TargetJoin;
use super::capture::Capture;
use super::run::LostBy;
use crate::output::escape::Escaped;
use crate::output::format::{count, exact, named_times, thousands};
use crate::output::json::{SCHEMA_VERSION, to_line};
use crate::output::layout::Layout;
use crate::output::style::{BAD, STRONG, paint};
use crate::ping::output::text::paths::Comparison;
use crate::ping::traced::Fault;

/// Returns the result for a target: the headline, then what it rests on.
pub(super) fn text(layout: Layout, joined: &TargetJoin, capture: &Capture) -> String {
    let summary = &joined.joined.summary;
    let mut text = format!("--- {} joined with a capture ---", Escaped(joined.target.as_bytes()));
    for line in headlines(joined) {
        let _ = write!(text, "\n{}", layout.wrap(&paint(STRONG, line)));
    }
    if let Some((is_found, line)) = suspects(joined) {
        let style = if is_found { BAD } else { STRONG };
        let _ = write!(text, "\n{}", layout.wrap(&paint(style, line)));
    }
    for line in causes(joined).into_iter().chain(details(summary, joined.sent, capture)) {
        let _ = write!(text, "\n{}", layout.wrap_with_margin("  ", "    ", &line));
    }
    for line in outages::table_of(layout.indented(2), joined).iter().flat_map(|table| table.lines())
    {
        let _ = write!(text, "\n  {line}");
    }
    text
}

/// Lists the causes of the losses, with the router or host that reported each.
fn causes(joined: &TargetJoin) -> Option<String> {
    let cause = |one: &LostBy| {
        let by = one.reporter.map(|reporter| format!(" (reported by {reporter})"));
        let (lost, cause) = (thousands(one.lost), Escaped(one.cause.as_bytes()));
        format!("{lost} {cause}{}", by.unwrap_or_default())
    };
    let (shown, rest) = joined.causes.split_at(joined.causes.len().min(CAUSES));
    let mut texts = Vec::from_iter(shown.iter().map(cause));
    if !rest.is_empty() {
        let lost = thousands(rest.iter().map(|one| one.lost).fold(0, u64::saturating_add));
        texts.push(format!("{lost} for {} other causes", rest.len()));
    }
    (!texts.is_empty()).then(|| format!("causes: {}", texts.join(", ")))
}

/// Returns what the traces of the run showed: a sentence, and whether it names a router.
fn suspects(joined: &TargetJoin) -> Option<(bool, String)> {
    let suspicion = joined.suspicion.as_ref()?;
    let (losing, clean) = (&suspicion.losing, &suspicion.clean);
    let (flows, suspects) = (joined.flows, &suspicion.routers());
    let fault = Fault::Loss(suspicion.threshold);
    let (separation, address) = (None, None);
    Comparison { flows, fault, losing, clean, suspects, separation, address }.sentence()
}

/// Returns the verdicts on the lost and on the late probes.
fn headlines(joined: &TargetJoin) -> Vec<String> {
    let summary = &joined.joined.summary;
    let is_at_router = summary.at_server == Some(false);
    let lost = verdicts(&summary.lost, "lost", |place| match place {
        Place::There if is_at_router => ("lost before the capture", "lost before the capture"),
        Place::There => ("lost on the way there", "on the way there"),
        Place::Server => ("not answered by the server", "not answered by the server"),
        Place::Back => ("lost on the way back", "lost on the way back"),
        Place::Unknown(_) => ("lost, and it is not known where", "not known"),
    });
    let late = verdicts(&summary.late, "late", |place| match place {
        Place::There if is_at_router => ("delayed before the capture", "before the capture"),
        Place::There => ("delayed on the way there", "on the way there"),
        Place::Server => ("delayed by the server", "by the server"),
        Place::Back => ("delayed on the way back", "on the way back"),
        Place::Unknown(_) => ("delayed, and it is not known where", "not known"),
    });
    let gap = match joined.unlisted() {
        None => Some("the run is incomplete: it has no summary, so its file was cut".into()),
        Some(0) => None,
        Some(unlisted) => Some(format!(
            "the run is incomplete: it lacks lines of {}",
            count(unlisted, "lost probe")
        )),
    };
    match (lost, late, gap) {
        (None, None, None) => vec!["no probe was lost or late".into()],
        (lost, late, gap) => lost.into_iter().chain(late).chain(gap).collect(),
    }
}

/// Lists the places that have probes: `12 of 14 lost probes were lost on the way there, 2 not known`.
fn verdicts(
    places: &Places,
    kind: &str,
    phrases: impl Fn(Place) -> (&'static str, &'static str),
) -> Option<String> {
    let unknown = Place::Unknown(Doubt::PacketsMissing);
    let counts = [
        (places.there, Place::There),
        (places.server, Place::Server),
        (places.back, Place::Back),
        (places.not_known, unknown),
    ];
    let mut parts = counts.into_iter().filter(|(count, _)| *count > 0);
    let (first, place) = parts.next()?;
    let were = if first == 1 { "was" } else { "were" };
    let all = count(places.total(), &format!("{kind} probe"));
    let mut text = format!("{} of {all} {were} {}", thousands(first), phrases(place).0);
    for (number, place) in parts {
        let (_, phrase) = phrases(place);
        let _ = write!(text, ", {} {phrase}", thousands(number));
    }
    Some(text)
}

/// Returns the lines below the headlines.
fn details(summary: &JoinSummary, sent: Option<u64>, capture: &Capture) -> Vec<String> {
    let mut lines = vec![format!(
        "{}, of which the capture has {} and {}",
        count(summary.probes, "probe"),
        count(summary.requests_seen, "request"),
        count(summary.replies_seen, "reply"),
    )];
    if let Some(missing) = sent.map(|sent| sent.saturating_sub(summary.probes)).filter(|n| *n > 0) {
        lines.push(format!("{} without a line in the run, left out", count(missing, "probe")));
    }
    lines.push(match summary.complete {
        true => "the capture has the request and the reply of every answered probe".into(),
        false => format!("absence from the capture proves nothing: {}", flaws(summary, capture)),
    });
    if summary.at_server == Some(false) {
        lines.push(
            "the capture was not taken at the server: routers have changed the TTLs of its replies"
                .into(),
        );
    }
    lines.extend(summary.doubts.iter().filter_map(|(doubt, number)| {
        explanation(doubt).map(|why| format!("{} not known: {why}", thousands(*number)))
    }));
    let outages = [
        ("there", &summary.outages.there),
        ("at the server", &summary.outages.server),
        ("back", &summary.outages.back),
    ];
    lines.extend(outages.into_iter().filter_map(|(place, outages)| {
        let longest = outages.longest.first()?;
        Some(format!(
            "{} {place}, longest {} in {:.3} s at {:.3} s",
            count(outages.count, "outage"),
            count(longest.probes, "probe"),
            longest.duration_s,
            longest.start_s
        ))
    }));
    let times = |name: &str, times: Option<Quantiles>| {
        let times = times?;
        let percentiles = [("p50", times.p50), ("p95", times.p95), ("p99", times.p99)];
        Some(format!("{name} {}", named_times(&percentiles, Some(times.max))?))
    };
    lines.extend(times("delay variation there", summary.there_pdv_ms));
    lines.extend(times("delay variation back", summary.back_pdv_ms));
    lines.extend(match summary.at_server {
        Some(false) => times("time beyond the capture", summary.server_ms),
        _ => times("time at the server", summary.server_ms),
    });
    lines.extend(times("one-way delay there", summary.there_delay_ms));
    lines.extend(times("one-way delay back", summary.back_delay_ms));
    if let Some(millis) = summary.negative_delay_ms {
        lines.push(format!(
            "one-way delays are not known: the clocks are not synchronised, because a delay would be \
             -{} ms",
            exact(millis)
        ));
    }
    if summary.clock_shift_ms > NOTABLE_SHIFT_MS {
        lines.push(format!(
            "the clocks moved against each other by at least {} ms during the run, which the delay \
             variation includes",
            exact(summary.clock_shift_ms)
        ));
    }
    lines
}

/// Lists what is wrong with a capture.
fn flaws(summary: &JoinSummary, capture: &Capture) -> String {
    let mut flaws = Vec::new();
    if summary.missing > 0 {
        flaws.push(format!("it lacks packets of {}", count(summary.missing, "answered probe")));
    }
    if summary.cut > 0 {
        flaws.push(format!(
            "{} cut before the token (snapshot length)",
            count(summary.cut, "packet")
        ));
    }
    if let Some(dropped) = capture.span.dropped().filter(|dropped| *dropped > 0) {
        flaws.push(format!("it counts {}", count(dropped, "dropped packet")));
    }
    flaws.extend(capture.flaw.clone());
    if flaws.is_empty() {
        flaws.push("it was taken at the sender, not at the server".into());
    }
    flaws.join(", ")
}

/// Explains a doubt that concerns only some probes.
fn explanation(doubt: &str) -> Option<&'static str> {
    let explained = [
        (Doubt::NotAtServer, "lost or delayed beyond the capture, or not answered"),
        (Doubt::OutsideCapture, "the capture may not cover them and the timeout after them"),
        (Doubt::SilentFlow, "their flow has no answer; capture all interfaces (-i any)"),
        (Doubt::Fragmented, "the rest of the fragmented request may be lost"),
        (Doubt::LinesSuppressed, "the run lacks suppressed lines, so the reply may have been late"),
        (Doubt::Ambiguous, "the run has their sequence numbers twice"),
        (Doubt::NoDelay, "the capture lacks one of their packets, or has it several times"),
        (Doubt::NoTypicalDelay, "too few probes were answered for a typical delay"),
        (Doubt::NoMainPart, "no part of the path caused more than half of the delay"),
    ];
    explained.iter().find(|(of, _)| of.label() == doubt).map(|(_, why)| *why)
}

/// Returns a line for each lost and each late probe, unless `is_quiet`, and one for all.
pub(super) fn json(joined: &TargetJoin, capture: &Capture, is_quiet: bool) -> Vec<String> {
    let (unlisted, TargetJoin { target, joined, sent, .. }) = (joined.unlisted(), joined);
    let verdicts = joined.verdicts.iter().filter(|_| !is_quiet);
    let mut lines =
        Vec::from_iter(verdicts.map(|verdict| to_line(&Line::verdict(target, verdict))));
    lines.push(to_line(&Line::Join {
        schema_version: SCHEMA_VERSION,
        tool: "hello-ping",
        version: env!("CARGO_PKG_VERSION"),
        target,
        sent: *sent,
        unlisted,
        summary: &joined.summary,
        capture: CaptureLine {
            packets: capture.packets,
            dropped: capture.span.dropped(),
            flaw: capture.flaw.as_deref(),
        },
    }));
    lines
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Verdict {
        target: &'a str,
        seq: u32,
        flow: usize,
        sent_s: f64,
        outcome: &'static str,
        place: &'static str,
        doubt: Option<&'static str>,
    },
    Join {
        schema_version: u32,
        tool: &'static str,
        version: &'static str,
        target: &'a str,
        sent: Option<u64>,
        unlisted: Option<u64>,
        #[serde(flatten)]
        summary: &'a JoinSummary,
        capture: CaptureLine<'a>,
    },
}

impl<'a> Line<'a> {
    fn verdict(target: &'a str, verdict: &JoinVerdict) -> Self {
        Self::Verdict {
            target,
            seq: verdict.seq,
            flow: verdict.flow,
            sent_s: verdict.sent.as_secs_f64(),
            outcome: if verdict.is_late { "late" } else { "lost" },
            place: verdict.place.label(),
            doubt: match verdict.place {
                Place::Unknown(doubt) => Some(doubt.label()),
                _ => None,
            },
        }
    }
}

#[derive(Serialize)]
struct CaptureLine<'a> {
    packets: u64,
    /// `None` if the capture does not count them.
    dropped: Option<u64>,
    flaw: Option<&'a str>,
}

/// The most causes on a line: a forger of errors can name any number of routers.
const CAUSES: usize = 4;

/// The shortest movement of the clocks that is not one of reading them, in milliseconds.
const NOTABLE_SHIFT_MS: f64 = 0.1;

#[cfg(test)]
mod tests;
