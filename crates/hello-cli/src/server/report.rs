//! The lines that `hello-server` prints.

pub mod buffers;
mod json;
pub mod metrics;
#[cfg(test)]
mod tests;
pub mod xdp;

use std::array;
use std::net::SocketAddr;
use std::time::Duration;

use hello_net::{ErrorClass, Outcome, ServerCounters, ServerEvent, ZonedAddr};
use hello_proto::Refusal;
use serde::Serialize;

pub use self::buffers::{Buffer, Buffers};
use self::json::Line;
pub use self::json::Plan;
use super::rate_limit::LimitReport;
use crate::output::Format;
use crate::output::escape::Truncated;
use crate::output::format::{by_reason, duration, rate, thousands};
use crate::output::json::{Origin, shown, to_timed_line};

/// Returns the line for an address that is served.
pub fn listening(
    format: Format,
    address: SocketAddr,
    origin: &Origin,
    plan: &Plan,
    buffers: &Buffers,
    limit: Option<LimitReport>,
) -> String {
    let address = ZonedAddr(address);
    match format {
        Format::Text => format!("listening on {address}"),
        Format::Json => to_timed_line(&Line::Listening {
            origin,
            address,
            plan,
            receive_buffer: buffers.receive.actual,
            receive_buffer_short: buffers.receive.is_short(),
            send_buffer: buffers.send.actual,
            send_buffer_short: buffers.send.is_short(),
            limit,
        }),
    }
}

/// Returns the line for a datagram. `suppressed` is the number of earlier send failures of the same
/// kind that had no line.
pub fn event(format: Format, event: &ServerEvent<'_>, suppressed: u64) -> String {
    let ServerEvent { source, local, name, outcome, .. } = *event;
    let (source, local) = (ZonedAddr(source), ZonedAddr(local));
    match (format, outcome) {
        (Format::Text, Outcome::Answered) => format!("{source} greeted as {}", Truncated(name)),
        (Format::Text, Outcome::Refused(refusal @ Refusal::NameTooLong)) => {
            format!("{source} refused: {refusal} ({} bytes)", name.len())
        }
        (Format::Text, Outcome::Refused(refusal)) => format!("{source} refused: {refusal}"),
        (Format::Text, Outcome::OverLimit) => format!("{source} refused: over the rate limit"),
        (Format::Text, Outcome::SendFailed(error)) => {
            format!("{source} send failed: {error}{}", suppressed_note(suppressed))
        }
        (Format::Json, _) => {
            let (outcome, reason) = match outcome {
                Outcome::Answered => ("answered", None),
                Outcome::Refused(refusal) => ("refused", Some(refusal.label())),
                Outcome::OverLimit => ("refused", Some(OVER_LIMIT)),
                Outcome::SendFailed(error) => ("send-failed", Some(error.class.label())),
            };
            let (name, truncated) = shown(name);
            let name = name.into();
            to_timed_line(&Line::Datagram {
                source,
                local,
                name,
                truncated,
                outcome,
                reason,
                suppressed,
            })
        }
    }
}

/// Returns the line for failed receive calls.
pub fn receive_failed(format: Format, class: ErrorClass, times: u64) -> String {
    match format {
        Format::Text => format!("receive failed: {class}{}", suppressed_note(times - 1)),
        Format::Json => to_timed_line(&Line::ReceiveFailed { reason: class.label(), times }),
    }
}

/// Returns the line for another error that does not stop the server.
pub fn error(format: Format, error: &str, times: u64) -> String {
    match format {
        Format::Text => format!("{error}{}", suppressed_note(times - 1)),
        Format::Json => to_timed_line(&Line::Error { error, times }),
    }
}

fn suppressed_note(suppressed: u64) -> String {
    match suppressed {
        0 => String::new(),
        _ => format!(" (and {suppressed} more since the last report)"),
    }
}

/// Returns the summary at the end, with the rate limit that was in force.
pub fn summary(format: Format, counters: &ServerCounters, limit: Option<LimitReport>) -> String {
    match (format, limit) {
        (Format::Json, _) => to_timed_line(&Line::Summary { totals: counters.into(), limit }),
        (Format::Text, Some(limit))
            if counters.over_limit() + counters.over_limit_answered() > 0 =>
        {
            format!("{}\n  {}", totals(counters), limit.advice())
        }
        (Format::Text, _) => totals(counters),
    }
}

/// Returns the counts of a server that continues to run.
pub fn snapshot(format: Format, counters: &ServerCounters, uptime: Duration) -> String {
    match format {
        Format::Text => format!("after {}: {}", rounded(uptime), totals(counters)),
        Format::Json => {
            let (uptime_s, totals) = (uptime.as_secs_f64(), counters.into());
            to_timed_line(&Line::Snapshot { uptime_s, totals })
        }
    }
}

/// Returns the counts so far, the latest rates, and the reasons.
pub fn stats(format: Format, counters: &ServerCounters, rates: &Rates, uptime: Duration) -> String {
    match format {
        Format::Text => {
            let dropped = counters.dropped().zip(rates.dropped);
            let in_driver = counters
                .driver()
                .zip(rates.answered_in_driver)
                .map(|(driver, rate)| ("of them in the driver", Some((driver.answered(), rate))));
            let answered = Some((counters.answered(), rates.answered));
            let parts = [("received", Some((counters.received(), rates.received)))].into_iter();
            let parts = parts.chain([("answered", answered)]).chain(in_driver).chain([
                ("refused", Some((counters.refused_total(), rates.refused))),
                ("send failed", Some((counters.send_failed_total(), rates.send_failed))),
                ("dropped by the kernel", dropped),
            ]);
            let part = |(what, known)| match known {
                Some((count, per_second)) => {
                    format!("{} {what} ({}/s)", thousands(count), rate(per_second))
                }
                None => format!("unknown {what}"),
            };
            let parts = Vec::from_iter(parts.map(part)).join(", ");
            format!("after {}: {parts}{}", rounded(uptime), reasons(counters))
        }
        Format::Json => {
            let (uptime_s, totals) = (uptime.as_secs_f64(), counters.into());
            to_timed_line(&Line::Stats { uptime_s, rates, totals })
        }
    }
}

/// Formats a time in whole seconds, or in milliseconds if it is shorter than a minute.
fn rounded(uptime: Duration) -> String {
    let millis = match uptime.as_secs() {
        0..60 => uptime.as_millis().try_into().unwrap_or(u64::MAX),
        seconds => seconds * 1000,
    };
    duration(Duration::from_millis(millis))
}

/// Returns the status line, with the latest rates.
pub fn status(rates: &Rates) -> String {
    let Rates { received, answered, refused, send_failed, dropped, .. } = rates;
    let dropped = dropped.map_or_else(|| "unknown".into(), rate);
    let in_driver = rates.answered_in_driver;
    let in_driver = in_driver
        .map_or_else(String::new, |per_second| format!(" ({} in the driver)", rate(per_second)));
    let [received, answered, refused, send_failed] =
        [received, answered, refused, send_failed].map(|per_second| rate(*per_second));
    format!(
        "{received} received/s, {answered} answered/s{in_driver}, {refused} refused/s, \
         {send_failed} send failed/s, {dropped} dropped/s"
    )
}

/// Returns the number of datagrams refused, by reason.
pub fn refusals(counters: &ServerCounters) -> [(&'static str, u64); Refusal::ALL.len() + 1] {
    array::from_fn(|i| match Refusal::ALL.get(i) {
        Some(refusal) => (refusal.label(), counters.refused(*refusal)),
        None => (OVER_LIMIT, counters.over_limit()),
    })
}

/// The label of datagrams over the rate limit, beside the labels of the guard's rules.
const OVER_LIMIT: &str = "over-limit";

/// The rates between two readings of the counters, per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// The time between the readings, in seconds.
    interval_s: f64,
    received: f64,
    answered: f64,
    /// `None` without XDP.
    answered_in_driver: Option<f64>,
    refused: f64,
    send_failed: f64,
    /// `None` if the system does not report it.
    dropped: Option<f64>,
}

impl Rates {
    /// Returns the rates between two readings that are `interval` apart.
    pub fn between(before: &ServerCounters, after: &ServerCounters, interval: Duration) -> Self {
        let seconds = interval.as_secs_f64();
        let rate =
            |count: fn(&ServerCounters) -> u64| (count(after) - count(before)) as f64 / seconds;
        let dropped = before.dropped().zip(after.dropped());
        let in_driver = before.driver().zip(after.driver());
        Self {
            interval_s: seconds,
            received: rate(ServerCounters::received),
            answered: rate(ServerCounters::answered),
            answered_in_driver: in_driver
                .map(|(before, after)| (after.answered() - before.answered()) as f64 / seconds),
            refused: rate(ServerCounters::refused_total),
            send_failed: rate(ServerCounters::send_failed_total),
            dropped: dropped.map(|(before, after)| (after - before) as f64 / seconds),
        }
    }
}

fn totals(counters: &ServerCounters) -> String {
    let mut text = format!(
        "{} received, {} answered{}, {} refused, {} send failed, {} dropped by the kernel",
        thousands(counters.received()),
        thousands(counters.answered()),
        xdp::answered(counters),
        thousands(counters.refused_total()),
        thousands(counters.send_failed_total()),
        counters.dropped().map_or_else(|| "unknown".into(), thousands),
    );
    text += &reasons(counters);
    text
}

/// Returns a line for each kind of failure with its reasons.
fn reasons(counters: &ServerCounters) -> String {
    let mut text = String::new();
    for (what, counts) in [
        ("refused", &refusals(counters)[..]),
        ("send failed", &by_class(counters, ServerCounters::send_failed)),
        ("receive errors", &by_class(counters, ServerCounters::receive_errors)),
    ] {
        text.extend(
            by_reason(what, counts.iter().map(|(label, count)| (label, count)))
                .map(|line| format!("\n  {line}")),
        );
    }
    if counters.over_limit_answered() > 0 {
        text += &format!("\n  answered over the limit: {}", counters.over_limit_answered());
    }
    text.extend(xdp::passed_on(counters).map(|line| format!("\n  {line}")));
    text
}

/// Returns counts by error class.
pub fn by_class(
    counters: &ServerCounters,
    count: fn(&ServerCounters, ErrorClass) -> u64,
) -> [(&'static str, u64); ErrorClass::ALL.len()] {
    ErrorClass::ALL.map(|class| (class.label(), count(counters, class)))
}
