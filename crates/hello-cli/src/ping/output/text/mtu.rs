//! Text output of `hello-ping --mtu`.

use std::net::IpAddr;

use hello_measure::{Cause, MtuLimit, MtuOutcome, ReportedMtu, millis};
use hello_net::{MtuEvent, MtuEventKind, ZonedAddr};

use crate::args::peer::PeerArg;
use crate::output::cause::reporter as reporter_text;
use crate::output::escape::Escaped;
use crate::output::format::{count, duration, exact, thousands};
use crate::output::layout::Layout;
use crate::output::style::{BAD, STRONG, WARNING, paint};
use crate::ping::path_mtu::{MtuTarget, PathMtu};

/// Returns the first line: the target and the sizes.
pub fn header(target: &MtuTarget) -> String {
    let MtuTarget { name, address, plan, .. } = target;
    let (name, ip, tries) = (Escaped(name.as_bytes()), address.host(), plan.tries);
    format!("MTU {name} ({ip}): packets of {} to {} bytes, {tries} tries", plan.min, plan.max)
}

/// Returns the line of an event. A sent probe has none: what becomes of it has one.
pub fn event(target: &MtuTarget, event: &MtuEvent) -> Option<String> {
    let size = event.size;
    Some(match event.kind {
        MtuEventKind::Answered { rtt } => {
            format!("{size} bytes: reply in {} ms", exact(millis(rtt)))
        }
        MtuEventKind::Cut { name_len, rtt } => {
            let cut = paint(WARNING, format!("(only the first {name_len} bytes of the name)"));
            format!("{size} bytes: reply in {} ms {cut}", exact(millis(rtt)))
        }
        MtuEventKind::TooLongForLink => {
            format!("{size} bytes: {}", paint(WARNING, "too long for this host's link"))
        }
        MtuEventKind::NotSent(error) => {
            format!("{size} bytes: {}: {error}", paint(BAD, "not sent"))
        }
        MtuEventKind::NetworkError(cause) => {
            format!("{size} bytes: {}", paint(WARNING, reported(cause, target.address)))
        }
        MtuEventKind::Lost { cause } if cause != Cause::SILENT => {
            format!("{size} bytes: {}", paint(BAD, reported(cause, target.address)))
        }
        MtuEventKind::Lost { .. } => {
            let lost = paint(BAD, format!("no reply after {}", duration(target.timeout)));
            format!("{size} bytes: {lost}")
        }
        _ => return None,
    })
}

/// Returns the status while probes of a size are sent.
pub fn status(layout: Layout, found: &PathMtu, size: u32) -> String {
    let passed = found.outcome.passed.map(|passed| format!("{passed} bytes pass"));
    let name = Escaped(found.target.name.as_bytes());
    layout.fit([(1, Some(name.to_string())), (0, passed), (0, Some(format!("trying {size}")))])
}

/// Returns the result of a search: the headline, and what else is known.
pub fn result(layout: Layout, found: &PathMtu) -> String {
    let name = Escaped(found.target.name.as_bytes());
    let mut lines = vec![format!("{name}: {}", paint(STRONG, headline(found)))];
    lines.extend(details(found));
    let margins = ["", "  "].into_iter().chain(std::iter::repeat("  "));
    let wrapped = lines.iter().zip(margins).map(|(line, margin)| match margin {
        "" => layout.wrap_with_margin("", "  ", line),
        _ => layout.wrap_with_margin("  ", "    ", line),
    });
    format!("\n{}", Vec::from_iter(wrapped).join("\n"))
}

fn headline(found: &PathMtu) -> String {
    let MtuOutcome { passed, limit, .. } = found.outcome;
    let Some(passed) = passed else {
        return match limit {
            MtuLimit::Open => "no reply before the search was stopped".into(),
            _ => format!("no reply to packets of {} bytes", found.target.plan.min),
        };
    };
    match limit {
        MtuLimit::Link => format!("path MTU {passed} bytes, limited by this host's own link"),
        MtuLimit::Router { reporter } => {
            let router = router(reporter, found.target.address);
            match found.outcome.reported.is_some_and(|reported| reported.mtu == passed) {
                true => format!("path MTU {passed} bytes, reported by {router}"),
                false => {
                    format!("path MTU {passed} bytes; {router} reports longer ones as too big")
                }
            }
        }
        MtuLimit::NoReply { .. } => {
            format!("packets of up to {passed} bytes pass; longer ones get no reply")
        }
        MtuLimit::Max => {
            format!("packets of up to {passed} bytes pass, which hold the longest name")
        }
        MtuLimit::Open => format!("packets of {passed} bytes pass; the search was stopped"),
    }
}

fn details(found: &PathMtu) -> Vec<String> {
    let PathMtu { target, outcome, .. } = found;
    let mut lines = Vec::new();
    if let Some(passed) = outcome.passed {
        let name_len = target.plan.name_len(passed);
        let reply = found.reply().map_or_else(String::new, |reply| {
            format!(", reply {reply} bytes, perhaps in fragments")
        });
        lines.push(format!("request {passed} bytes (name {name_len}){reply}"));
    }
    if let Some(len) = outcome.cut_to {
        lines.push(format!("the server cuts names to {len} bytes: no reply was longer"));
    }
    lines.extend(explanation(found));
    if outcome.passed.is_none() && found.has_other_peer {
        let hint = PeerArg::from(target.peer).hint();
        lines.push(format!("{} replies otherwise: {hint}", target.address));
    }
    lines.extend(random_loss(outcome));
    if let Some(ReportedMtu { mtu, reporter }) = outcome.reported
        && Some(mtu) != outcome.passed
    {
        let router = router(reporter, target.address);
        lines.push(format!("{router} reports MTU {mtu} for the path"));
    }
    if let Some(error) = found.not_sent {
        lines.push(format!("not sent: {error}"));
    }
    let lost = if found.lost > 0 { format!(", {} lost", found.lost) } else { String::new() };
    let seconds = found.elapsed.as_secs_f64();
    lines.push(format!("{} sent{lost}, {seconds:.1} s", count(found.sent, "probe")));
    lines
}

/// Returns that the path loses packets of any size, if it does. Their silence is weak evidence.
fn random_loss(outcome: &MtuOutcome) -> Option<String> {
    let MtuOutcome { passing_lost, passing_probes, limit, .. } = outcome;
    let (lost, probes) = (thousands(*passing_lost), thousands(*passing_probes));
    let also = format!("the path also loses packets of sizes that pass ({lost} of {probes})");
    (*passing_lost > 0).then(|| match limit {
        MtuLimit::NoReply { .. } => format!("{also}: the limit may be higher"),
        _ => also,
    })
}

/// Returns what may be the reason if longer packets get no reply.
fn explanation(found: &PathMtu) -> Vec<String> {
    let MtuLimit::NoReply { cause } = found.outcome.limit else { return Vec::new() };
    if cause != Cause::SILENT {
        return vec![reported(cause, found.target.address)];
    }
    if found.outcome.passed.is_none() {
        return Vec::new();
    }
    if let Some(mtu) = found.target.plan.link_mtu.filter(|mtu| found.reply() == Some(*mtu)) {
        return vec![format!(
            "the reply to a longer one exceeds {mtu} bytes, the MTU that this host knows for the path"
        )];
    }
    match found.outcome.suspected_name_limit(&found.target.plan) {
        Some(len) => vec![format!(
            "perhaps the server's limit, not the path's: hello-server answers no name of more than \
             {len} bytes by default; raise its --max-name to tell"
        )],
        None => vec![
            "a black hole, where longer packets vanish without a message, or a limit of the server"
                .into(),
        ],
    }
}

/// Names a router on the path to `target`.
fn router(reporter: Option<IpAddr>, target: ZonedAddr) -> String {
    reporter.map_or_else(|| "a router".into(), |router| reporter_text(router, target))
}

/// Describes an ICMP error and its reporter.
fn reported(cause: Cause, target: ZonedAddr) -> String {
    match cause.reporter {
        Some(_) => format!("{}, reported by {}", cause.kind, router(cause.reporter, target)),
        None => cause.kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hello_measure::CauseKind;
    use hello_net::ErrorClass;

    use super::*;
    use crate::ping::fixtures::{mtu_found, mtu_target};

    const ROUTER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 80, 1, 2)));

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn shown(passed: Option<u32>, limit: MtuLimit) -> String {
        plain(&result(Layout::PLAIN, &mtu_found(passed, limit)))
    }

    #[test]
    fn headline_names_the_limit() {
        let refused = Cause { kind: CauseKind::Refused, reporter: ROUTER };
        for (passed, limit, expected) in [
            (Some(1500), MtuLimit::Link, "path MTU 1500 bytes, limited by this host's own link"),
            (
                Some(1400),
                MtuLimit::Router { reporter: ROUTER },
                "path MTU 1400 bytes; 10.80.1.2 reports longer ones as too big",
            ),
            (
                Some(1400),
                MtuLimit::NoReply { cause: Cause::SILENT },
                "packets of up to 1400 bytes pass; longer ones get no reply",
            ),
            (
                Some(65_527),
                MtuLimit::Max,
                "packets of up to 65527 bytes pass, which hold the longest name",
            ),
            (Some(772), MtuLimit::Open, "packets of 772 bytes pass; the search was stopped"),
            (None, MtuLimit::Open, "no reply before the search was stopped"),
            (None, MtuLimit::NoReply { cause: refused }, "no reply to packets of 44 bytes"),
        ] {
            let text = shown(passed, limit);
            assert_eq!(text.lines().nth(1), Some(&*format!("192.0.2.1:9999: {expected}")));
        }
        let text = shown(None, MtuLimit::NoReply { cause: refused });
        assert!(text.contains("\n  port unreachable, reported by 10.80.1.2\n"), "{text}");
    }

    #[test]
    fn silent_limit_is_explained_but_none_is_claimed() {
        let silent = MtuLimit::NoReply { cause: Cause::SILENT };
        for (passed, expected) in [
            (
                1400,
                "\n  a black hole, where longer packets vanish without a message, or a limit of ",
            ),
            (1052, "\n  perhaps the server's limit, not the path's: hello-server answers no name "),
            (
                1492,
                "\n  the reply to a longer one exceeds 1500 bytes, the MTU that this host knows for \
                 the path\n",
            ),
        ] {
            let text = shown(Some(passed), silent);
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn details_have_both_directions_and_what_else_a_router_reports() {
        let mut found = mtu_found(Some(1400), MtuLimit::Router { reporter: ROUTER });
        found.outcome.reported = Some(ReportedMtu { mtu: 1400, reporter: ROUTER });
        let text = plain(&result(Layout::PLAIN, &found));
        let expected = "  request 1400 bytes (name 1372), reply 1408 bytes, perhaps in fragments\n  \
                        9 probes sent, 3 lost, 1.5 s";
        assert!(text.ends_with(expected), "{text}");
        assert!(text.contains("path MTU 1400 bytes, reported by 10.80.1.2\n"), "{text}");
        found.outcome.reported = Some(ReportedMtu { mtu: 1450, reporter: ROUTER });
        (found.outcome.answered, found.outcome.cut_to) = (Some(1052), Some(1024));
        let text = plain(&result(Layout::PLAIN, &found));
        for part in [
            ", reply 1060 bytes,",
            "\n  the server cuts names to 1024 bytes: no reply was longer\n",
            "\n  10.80.1.2 reports MTU 1450 for the path\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn router_on_the_link_has_its_zone() {
        let reporter = Some("fe80::1".parse().expect("an address"));
        let mut found = mtu_found(Some(1400), MtuLimit::Router { reporter });
        let address = "[fe80::9%4294967295]:9999".parse().expect("an address");
        found.target.address = ZonedAddr(address);
        let text = plain(&result(Layout::PLAIN, &found));
        assert!(text.contains("; fe80::1%4294967295 reports longer ones"), "{text}");
        found.outcome.reported = Some(ReportedMtu { mtu: 1450, reporter });
        let text = plain(&result(Layout::PLAIN, &found));
        assert!(text.contains("fe80::1%4294967295 reports MTU 1450"), "{text}");
        let cause = Cause { kind: CauseKind::Refused, reporter };
        let event = MtuEvent::new(Duration::ZERO, 1500, MtuEventKind::NetworkError(cause));
        let line = super::event(&found.target, &event).expect("a line");
        assert!(plain(&line).ends_with("reported by fe80::1%4294967295"), "{line}");
    }

    #[test]
    fn other_kind_of_server_has_a_hint_unless_something_passed() {
        let hint =
            "\n  192.0.2.1:9999 replies otherwise: if this is an echo server, add --peer echo\n";
        for (passed, replied, has_hint) in
            [(None, true, true), (None, false, false), (Some(1400), true, false)]
        {
            let mut found = mtu_found(passed, MtuLimit::NoReply { cause: Cause::SILENT });
            if replied {
                found.observe(&MtuEvent::new(Duration::ZERO, 44, MtuEventKind::OtherPeer));
            }
            let text = plain(&result(Layout::PLAIN, &found));
            assert_eq!(text.contains(hint), has_hint, "{text}");
        }
    }

    #[test]
    fn loss_of_sizes_that_pass_makes_silence_weak_evidence() {
        let silent = MtuLimit::NoReply { cause: Cause::SILENT };
        let loss = "\n  the path also loses packets of sizes that pass (4 of 12)";
        for (limit, lost, part) in [
            (silent, 4, Some(format!("{loss}: the limit may be higher\n"))),
            (MtuLimit::Link, 4, Some(format!("{loss}\n"))),
            (silent, 0, None),
        ] {
            let mut found = mtu_found(Some(1400), limit);
            (found.outcome.passing_probes, found.outcome.passing_lost) = (12, lost);
            let text = plain(&result(Layout::PLAIN, &found));
            let has_loss = text.contains("also loses");
            assert_eq!(
                part.as_ref().map(|part| text.contains(part)),
                has_loss.then_some(true),
                "{text}"
            );
        }
    }

    #[test]
    fn each_event_but_a_send_has_a_line() {
        let rtt = Duration::from_micros(412);
        let too_big = Cause { kind: CauseKind::TooBig { mtu: Some(1400) }, reporter: ROUTER };
        for (kind, expected) in [
            (MtuEventKind::Sent, None),
            (MtuEventKind::Answered { rtt }, Some("1500 bytes: reply in 0.412 ms")),
            (
                MtuEventKind::Cut { name_len: 1024, rtt },
                Some("1500 bytes: reply in 0.412 ms (only the first 1024 bytes of the name)"),
            ),
            (MtuEventKind::TooLongForLink, Some("1500 bytes: too long for this host's link")),
            (
                MtuEventKind::NotSent(ErrorClass::Other.into()),
                Some("1500 bytes: not sent: failed for another reason"),
            ),
            (
                MtuEventKind::NetworkError(too_big),
                Some("1500 bytes: too big, MTU 1400, reported by 10.80.1.2"),
            ),
            (MtuEventKind::Lost { cause: Cause::SILENT }, Some("1500 bytes: no reply after 1s")),
            (
                MtuEventKind::Lost { cause: Cause { kind: CauseKind::Refused, reporter: ROUTER } },
                Some("1500 bytes: port unreachable, reported by 10.80.1.2"),
            ),
        ] {
            let line = event(&mtu_target(), &MtuEvent::new(Duration::ZERO, 1500, kind));
            assert_eq!(line.as_deref().map(plain).as_deref(), expected);
        }
    }

    #[test]
    fn status_has_the_size_that_is_tried() {
        let found = mtu_found(Some(772), MtuLimit::Open);
        let line = status(Layout::PLAIN, &found, 1136);
        assert_eq!(line, "192.0.2.1:9999, 772 bytes pass, trying 1136");
    }
}
