//! The lines of a summary about the headers of replies.

use std::fmt::Display;

use hello_measure::Mark;

use crate::output::format::{count, thousands};
use crate::ping::plan::Plan;
use crate::ping::summary::Summary;

/// Returns the line about TTLs if there are several, and the line about marks unless all are the
/// default that was sent.
pub(super) fn details(plan: &Plan, summary: &Summary) -> impl Iterator<Item = String> {
    ttl(summary).into_iter().chain(marks(plan, summary))
}

/// Every reply's line has its TTL, so one alone needs no line.
fn ttl(summary: &Summary) -> Option<String> {
    if summary.ttl.len() < 2 {
        return None;
    }
    let changes = count(summary.route_changes, "route change");
    let last =
        summary.last_route_change_s.map_or_else(String::new, |at| format!(", last at {at:.1} s"));
    Some(format!("ttl {}: {changes}{last}", most_frequent(summary.ttl.iter().rev())))
}

fn marks(plan: &Plan, summary: &Summary) -> Option<String> {
    let default = Mark::default();
    let is_plain = plan.packet.mark == default && summary.marks.keys().all(|mark| *mark == default);
    let known = !is_plain && !summary.marks.is_empty();
    known.then(|| format!("marks of replies: {}", most_frequent(summary.marks.iter())))
}

/// Lists values with their counts, the most frequent first, and a bounded number of them.
fn most_frequent<'a, T: Display + 'a>(counts: impl Iterator<Item = (&'a T, &'a u64)>) -> String {
    let mut counts = Vec::from_iter(counts);
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let more = counts.len().saturating_sub(MAX_LISTED);
    let shown = counts.iter().take(MAX_LISTED);
    let shown =
        Vec::from_iter(shown.map(|(value, count)| format!("{value} ({})", thousands(**count))));
    match more {
        0 => shown.join(", "),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The most values in a line. JSON has all.
const MAX_LISTED: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use hello_measure::ReplyKind;
    use hello_net::{ProbeEvent, ProbeEventKind};

    use super::*;
    use crate::args::packet::PacketArgs;
    use crate::ping::Target;
    use crate::ping::fixtures::{KERNEL, plan, target};
    use crate::ping::recorder::Recorder;

    #[derive(Debug, Parser)]
    struct Tool {
        #[command(flatten)]
        packet: PacketArgs,
    }

    /// Returns the lines of a run with one reply each 100 ms, which have these TTLs and marks.
    fn lines(options: &[&str], replies: &[(Option<u8>, Option<u8>)]) -> Vec<String> {
        let mut recorder = Recorder::new(Target { flows: 2, ..target() });
        for (index, (ttl, tos)) in (0..).zip(replies) {
            let reply = ReplyKind::Answered { seq: index, rtt: Duration::ZERO, reordered: false };
            let kind = ProbeEventKind::Received {
                reply,
                datagram: b"",
                ttl: *ttl,
                tos: *tos,
                clocks: KERNEL,
            };
            recorder.observe(&ProbeEvent::new(Duration::from_millis(100) * index, 0, kind));
        }
        let packet = Tool::parse_from([&["tool"], options].concat()).packet.options();
        details(&Plan { packet, ..plan() }, &recorder.summary(Duration::ZERO)).collect()
    }

    #[test]
    fn several_ttls_have_a_line_with_the_route_changes() {
        let mut replies = vec![(Some(57), Some(0)); 1000];
        assert_eq!(lines(&[], &replies), Vec::<String>::new());
        replies[123..125].fill((Some(56), Some(0)));
        let line = "ttl 57 (998), 56 (2): 2 route changes, last at 12.5 s";
        assert_eq!(lines(&[], &replies), [line]);
        replies[124..].fill((Some(56), None));
        let line = "ttl 56 (877), 57 (123): 1 route change, last at 12.3 s";
        assert_eq!(lines(&[], &replies), [line]);
        assert_eq!(lines(&[], &[(None, None); 3]), Vec::<String>::new());
    }

    #[test]
    fn marks_have_a_line_unless_the_default_was_sent_and_received() {
        for (options, tos, line) in [
            (&[][..], &[0, 0][..], None),
            (&[], &[0xb8, 0xb8], Some("ef (2)")),
            (&["-Q", "ef"], &[0xb8], Some("ef (1)")),
            (&["-Q", "ef"], &[0, 0], Some("cs0 (2)")),
            (&["-Q", "ef"], &[], None),
            (&["--ecn", "ect0"], &[2, 3, 0xba, 2], Some("cs0/ect0 (2), cs0/ce (1), ef/ect0 (1)")),
        ] {
            let replies = Vec::from_iter(tos.iter().map(|tos| (Some(64), Some(*tos))));
            let line = line.map(|line| format!("marks of replies: {line}"));
            assert_eq!(lines(options, &replies), Vec::from_iter(line), "{options:?} {tos:?}");
        }
    }

    #[test]
    fn replies_with_all_values_make_no_long_lines() {
        let replies = (0..=u8::MAX).map(|byte| (Some(byte), Some(byte)));
        let lines = lines(&[], &Vec::from_iter(replies));
        assert!(lines[0].starts_with("ttl 255 (1), 254 (1), "), "{lines:?}");
        assert!(lines[0].contains(" and 248 more: 255 route changes, last at 25.5 s"), "{lines:?}");
        assert!(lines[1].ends_with(" and 248 more"), "{lines:?}");
    }
}
