//! Text output of `hello-ping`, which parsers of ping's output can read.

mod headers;
pub mod mtu;
pub mod outages;
pub mod paths;
pub mod status;
pub mod summary;
pub mod tables;
#[cfg(test)]
mod tests;

use hello_measure::{Cause, ReplyKind, millis};
use hello_net::{NotSent, ProbeEvent, ProbeEventKind};

use crate::output::cause;
use crate::output::escape::{Escaped, Truncated};
use crate::output::format::{count, duration, exact, known};
use crate::output::not_sent;
use crate::output::style::{BAD, WARNING, paint};
use crate::ping::Target;

/// Returns the first line, which ping has in one form for IPv4 and in another for IPv6: the target,
/// the size of a name, and over IPv4 that of its packet.
pub fn header(target: &Target) -> String {
    let Target { name, address, name_len, .. } = target;
    let (ip, escaped) = (address.host(), Escaped(name.as_bytes()));
    if address.0.is_ipv4() {
        return format!("PING {escaped} ({ip}) {name_len}({}) bytes of data.", name_len + 28);
    }
    match host(target) {
        Some(host) => format!("PING {escaped}({} ({ip})) {name_len} data bytes", Escaped(host)),
        None => format!("PING {escaped}({ip}) {name_len} data bytes"),
    }
}

/// Returns the line of an event. A sent probe has none: its reply or its loss has one.
///
/// Lines about probes have ping's words at ping's positions, with what ping does not have behind
/// them. Lines about other datagrams have other words, so that no parser takes them for a reply.
pub fn event(target: &Target, event: &ProbeEvent<'_>) -> Option<String> {
    let Target { address, flows, timeout, .. } = target;
    let flow = if *flows > 1 { format!(" flow={}", event.flow) } else { String::new() };
    Some(match event.kind {
        ProbeEventKind::Sent { .. } => return None,
        ProbeEventKind::Received { reply, datagram, ttl, .. } => {
            let bytes = datagram.len();
            let reply_line = |seq, rtt: Option<_>| {
                let from = source(target);
                let (ttl, time) =
                    (known(ttl, |ttl| ttl.to_string()), known(rtt.map(millis), exact));
                format!("{bytes} bytes from {from}: icmp_seq={seq} ttl={ttl} time={time} ms{flow}")
            };
            let other = |what: &str| {
                let (datagram, what) = (Truncated(datagram), paint(WARNING, what));
                let bytes = count(u64::try_from(bytes).unwrap_or(u64::MAX), "byte");
                format!("From {address}:{flow} {what} datagram of {bytes}: {datagram}")
            };
            let marked = |line: String, mark: &str| format!("{line} {}", paint(WARNING, mark));
            match reply {
                ReplyKind::Answered { seq, rtt, reordered: false } => reply_line(seq, Some(rtt)),
                ReplyKind::Answered { seq, rtt, reordered: true } => {
                    marked(reply_line(seq, Some(rtt)), "(reordered)")
                }
                ReplyKind::Late { seq, rtt } => marked(reply_line(seq, Some(rtt)), "(late)"),
                ReplyKind::Duplicate { seq } => marked(reply_line(seq, None), "(DUP!)"),
                ReplyKind::OutOfWindow { seq } => marked(reply_line(seq, None), "(out of window)"),
                ReplyKind::Corrupt => other("corrupt"),
                ReplyKind::Unsolicited => other("unsolicited"),
            }
        }
        // The line of the error is that of the loss, too, as ping has it.
        ProbeEventKind::Lost { cause, .. } if cause != Cause::SILENT => return None,
        ProbeEventKind::Lost { seq, .. } => {
            let lost = paint(BAD, format!("lost after {}", duration(*timeout)));
            format!("no answer yet for icmp_seq={seq} from {address}{flow}: {lost}")
        }
        ProbeEventKind::NetworkError { cause: Cause { kind, reporter }, attribution } => {
            let what = paint(BAD, kind);
            let from = match reporter {
                Some(reporter) => format!("From {}:", cause::reporter(reporter, *address)),
                None => format!("To {address}:"),
            };
            match attribution.seq() {
                Some(seq) => format!("{from} seq={seq} {what}{flow}"),
                None => format!("{from} {what}, about no known probe{flow}"),
            }
        }
        ProbeEventKind::SocketError(error) => {
            // The sender of the error is another host, perhaps this one: nothing is known of the target.
            format!("To {address}:{flow} {}", paint(BAD, error))
        }
        ProbeEventKind::Dropped { count: datagrams } => {
            let dropped = paint(BAD, format!("{} dropped", count(datagrams.into(), "datagram")));
            format!(
                "From {address}:{flow} {dropped} by this host: receive buffer full, or bad checksum"
            )
        }
        ProbeEventKind::NotSent(why) => {
            let why = match why {
                NotSent::Failed(error) => error.to_string(),
                other => not_sent::reason(other.label()).to_owned(),
            };
            format!("To {address}:{flow} {}: {why}", paint(BAD, "not sent"))
        }
        _ => return None,
    })
}

/// Returns the source of a reply: the address, after the name if there is one.
fn source(target: &Target) -> String {
    match host(target) {
        Some(host) => format!("{} ({})", Escaped(host), target.address),
        None => target.address.to_string(),
    }
}

/// Returns the host name of the target, without the port; `None` if it is an address.
fn host(target: &Target) -> Option<&[u8]> {
    let (host, _port) = target.name.rsplit_once(':')?;
    let is_address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    (!is_address).then_some(host.as_bytes())
}
