//! Descriptions of requests that were due, but not sent.

use hello_measure::Summary;
use hello_net::ErrorClass;

use super::format::thousands;

/// Returns how many of the due requests were not sent, and why; `None` if all were.
pub fn summary(summary: &Summary) -> Option<String> {
    let (not_sent, due) = (summary.not_sent_total(), thousands(summary.due()));
    let reasons = summary.not_sent.iter().filter(|(_, count)| **count > 0);
    let reasons = Vec::from_iter(reasons.map(|(label, count)| (reason(label), *count)));
    let why = match &reasons[..] {
        [] => return None,
        [(why, _)] => (*why).to_owned(),
        several => Vec::from_iter(
            several.iter().map(|(why, count)| format!("{why} {}", thousands(*count))),
        )
        .join(", "),
    };
    Some(format!("{} of {due} not sent: {why}", thousands(not_sent)))
}

/// Describes the reason with this label.
pub fn reason(label: &str) -> &str {
    match label {
        "late" => "too late, because this process was stalled or too slow",
        "too-many-in-flight" => "too many in flight",
        _ if label == ErrorClass::Unreachable.label() => "network unreachable",
        _ if label == ErrorClass::WouldBlock.label() => "send buffer full",
        _ if label == ErrorClass::Denied.label() => "not permitted",
        other => other,
    }
}
