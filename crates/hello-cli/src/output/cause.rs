//! Causes of losses, and the errors that the network reported.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use hello_measure::{Cause, CauseKind, LostCause, Summary};
use hello_net::ZonedAddr;

use super::format::{count, thousands};

/// Returns the address of a router or a host that reported an error about a datagram to `target`, with
/// the zone if it is on the same link.
pub fn reporter(reporter: IpAddr, target: ZonedAddr) -> String {
    match (reporter, target.0) {
        (IpAddr::V6(address), SocketAddr::V6(target)) if address.is_unicast_link_local() => {
            ZonedAddr(SocketAddrV6::new(address, 0, 0, target.scope_id()).into()).host()
        }
        _ => reporter.to_string(),
    }
}

/// Returns the address of what refused a datagram to `target`, if it is another host: a firewall.
pub fn other_refuser(cause: Cause, target: ZonedAddr) -> Option<String> {
    let host = target.0.ip().to_canonical();
    // An unspecified address is any of this host.
    let is_other = |address: &IpAddr| address.to_canonical() != host && !host.is_unspecified();
    let address = cause.reporter.filter(is_other).filter(|_| cause.kind == CauseKind::Refused)?;
    Some(reporter(address, target))
}

/// Returns the line about the causes of the losses, unless nothing was reported: `lost: 3 host
/// unreachable (reported by 10.80.1.2), 1 silent`; and a line about the errors that are about no known
/// request.
pub fn lines(summary: &Summary, target: ZonedAddr) -> Vec<String> {
    let causes = &summary.lost_causes;
    let is_reported = |one: &LostCause| one.cause.kind.is_reported();
    let mut lines = Vec::new();
    if causes.iter().any(is_reported) {
        let (shown, rest) = causes.split_at(causes.len().min(SHOWN));
        let mut texts = Vec::from_iter(shown.iter().map(|one| cause(one, target)));
        if !rest.is_empty() {
            let lost = thousands(rest.iter().map(|one| one.lost).sum());
            texts.push(format!("{lost} for {} other causes", rest.len()));
        }
        lines.push(format!("lost: {}", texts.join(", ")));
    }
    if summary.unattributed > 0 {
        let errors = count(summary.unattributed, "error");
        lines.push(format!("{errors} about no known request (unattributed)"));
    }
    lines
}

/// Returns the causes of the losses for a machine, separated by spaces: each is a label, the reporter and
/// the MTU if they are known, and the number of losses, as in `too-big:10.80.2.2:1400=3`. An address of
/// IPv6 is in brackets.
pub fn list(summary: &Summary) -> String {
    let text = |LostCause { cause, lost }: &LostCause| {
        let reporter = cause.reporter.map(|address| match address {
            IpAddr::V4(address) => format!(":{address}"),
            IpAddr::V6(address) => format!(":[{address}]"),
        });
        let mtu = cause.mtu().map(|mtu| format!(":{mtu}"));
        let [reporter, mtu] = [reporter, mtu].map(Option::unwrap_or_default);
        format!("{}{reporter}{mtu}={lost}", cause.kind.label())
    };
    Vec::from_iter(summary.lost_causes.iter().map(text)).join(" ")
}

fn cause(lost_cause: &LostCause, target: ZonedAddr) -> String {
    format!("{} {}", thousands(lost_cause.lost), describe(lost_cause.cause, target))
}

/// Describes a cause: `host unreachable (reported by 10.80.1.2)`.
pub fn describe(cause: Cause, target: ZonedAddr) -> String {
    let reporter = cause.reporter.map(|address| reporter(address, target));
    let by = reporter.map_or(String::new(), |address| format!(" (reported by {address})"));
    format!("{}{by}", cause.kind)
}

/// The most causes on a line: a forger of errors can name any number of routers.
const SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> ZonedAddr {
        ZonedAddr(([192, 0, 2, 1], 9999).into())
    }

    fn lost(kind: CauseKind, reporter: Option<[u8; 4]>, lost: u64) -> LostCause {
        LostCause { cause: Cause { kind, reporter: reporter.map(IpAddr::from) }, lost }
    }

    #[test]
    fn causes_have_their_reporters_and_silence_alone_has_no_line() {
        let silent = lost(CauseKind::Silent, None, 1234);
        let mut summary = Summary { lost_causes: vec![silent], ..Summary::default() };
        assert_eq!(lines(&summary, target()), Vec::<String>::new());
        summary.lost_causes.push(lost(
            CauseKind::TooBig { mtu: Some(1400) },
            Some([10, 80, 2, 2]),
            3,
        ));
        summary.unattributed = 1;
        let expected = [
            "lost: 1,234 silent, 3 too big, MTU 1400 (reported by 10.80.2.2)",
            "1 error about no known request (unattributed)",
        ];
        assert_eq!(lines(&summary, target()), expected);
    }

    #[test]
    fn list_for_a_machine_tells_an_address_from_an_mtu() {
        let too_big = |reporter: &str| LostCause {
            cause: Cause {
                kind: CauseKind::TooBig { mtu: Some(1300) },
                reporter: Some(reporter.parse().expect("an address")),
            },
            lost: 2,
        };
        let silent = lost(CauseKind::Silent, None, 1);
        let lost_causes = vec![too_big("10.80.2.2"), too_big("fd80:1::2"), silent];
        let expected = "too-big:10.80.2.2:1300=2 too-big:[fd80:1::2]:1300=2 silent=1";
        assert_eq!(list(&Summary { lost_causes, ..Summary::default() }), expected);
    }

    #[test]
    fn many_causes_are_cut_short() {
        let causes = (0..9).map(|host| lost(CauseKind::Refused, Some([10, 0, 0, host]), 2));
        let summary = Summary { lost_causes: causes.collect(), ..Summary::default() };
        let [line] = &lines(&summary, target())[..] else { panic!("one") };
        assert!(line.ends_with("10.0.0.3), 10 for 5 other causes"), "{line}");
    }

    #[test]
    fn reporter_on_the_link_of_the_target_has_its_zone() {
        let target = ZonedAddr("[fe80::9%4294967295]:9999".parse().expect("an address"));
        for (address, text) in [
            ("fe80::1", "fe80::1%4294967295"),
            ("2001:db8::1", "2001:db8::1"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(reporter(address.parse().expect("an address"), target), text);
        }
    }
}
