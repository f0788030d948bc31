//! The headers of a captured packet, from the link layer to UDP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hello_measure::CapturedDatagram;

/// The first header of the packets of a capture: the types that tcpdump writes for an interface, or for
/// all of them (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Ethernet, with or without VLAN tags.
    Ethernet,
    /// Linux's "cooked" headers, of `-i any` and of interfaces without headers.
    Cooked,
    /// The second version of these.
    Cooked2,
    /// No header before that of IP.
    Raw,
    /// Four bytes with the address family, of a BSD loopback.
    Loopback,
    /// The Point-to-Point Protocol (RFC 1661), with or without HDLC's address and control (RFC 1662).
    Ppp,
}

impl Link {
    /// Returns the type with this number in a capture; `None` if it is not supported.
    pub(super) const fn from_number(number: i32) -> Option<Self> {
        // The upper bits have other meanings, such as the length of a checksum.
        match number & 0xffff {
            0 | 108 => Some(Self::Loopback),
            1 => Some(Self::Ethernet),
            9 | 50 => Some(Self::Ppp),
            12 | 14 | 101 | 228 | 229 => Some(Self::Raw),
            113 => Some(Self::Cooked),
            276 => Some(Self::Cooked2),
            _ => None,
        }
    }

    /// Returns whether it is that of a capture on all interfaces, given the name of the interface, if the
    /// capture has it. The first version of "cooked" headers alone is no proof: an interface without
    /// headers, such as one of PPP, has them too.
    pub(super) fn is_of_all_interfaces(self, name: Option<&[u8]>) -> bool {
        match (self, name) {
            (Self::Cooked | Self::Cooked2, Some(name)) => name == b"any",
            (link, None) => link == Self::Cooked2,
            _ => false,
        }
    }

    /// Returns the packet of IP behind the link layer's header, and whether the machine of the capture
    /// sent it, if that header says so.
    fn ip(self, packet: &[u8]) -> Option<(&[u8], Option<bool>)> {
        let is_outgoing = |kind: &u8| Some(*kind == COOKED_OUTGOING);
        match self {
            Self::Ethernet => Some((tagged(packet.get(12..)?)?, None)),
            Self::Cooked => Some((tagged(packet.get(14..)?)?, is_outgoing(packet.get(1)?))),
            Self::Cooked2 => {
                let ip = match be_u16(packet)? {
                    IPV4 | IPV6 => packet.get(20..)?,
                    VLAN | QINQ => tagged(packet.get(22..)?)?,
                    _ => return None,
                };
                Some((ip, is_outgoing(packet.get(10)?)))
            }
            Self::Raw => Some((packet, None)),
            Self::Loopback => Some((packet.get(4..)?, None)),
            Self::Ppp => {
                let packet = packet.strip_prefix(&[0xff, 0x03]).unwrap_or(packet);
                match packet {
                    // A protocol of one byte is odd (RFC 1661 section 2).
                    [0x21 | 0x57, ip @ ..] | [0, 0x21 | 0x57, ip @ ..] => Some((ip, None)),
                    _ => None,
                }
            }
        }
    }
}

/// The type of a packet in a "cooked" header that this machine sent.
const COOKED_OUTGOING: u8 = 4;

/// The types of Ethernet's payload.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;

/// Returns the packet of IP behind a type of Ethernet, and behind its VLAN tags (IEEE 802.1Q).
fn tagged(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        match be_u16(bytes)? {
            IPV4 | IPV6 => return bytes.get(2..),
            VLAN | QINQ => bytes = bytes.get(4..)?,
            _ => return None,
        }
    }
}

/// Returns the UDP datagram in a captured packet; `None` if it has none, or not enough of its headers.
pub(super) fn datagram(link: Link, at: Duration, packet: &[u8]) -> Option<CapturedDatagram<'_>> {
    let (packet, is_outgoing) = link.ip(packet)?;
    let ip = match packet.first()? >> 4 {
        4 => ipv4(packet)?,
        6 => ipv6(packet)?,
        _ => return None,
    };
    if ip.protocol != UDP {
        return None;
    }
    let (header, captured) = ip.payload.split_at_checked(UDP_HEADER)?;
    let len = usize::from(be_u16(header.get(4..)?)?).checked_sub(UDP_HEADER)?;
    Some(CapturedDatagram {
        at,
        source: SocketAddr::new(ip.source, be_u16(header)?),
        destination: SocketAddr::new(ip.destination, be_u16(header.get(2..)?)?),
        payload: captured.get(..len).unwrap_or(captured),
        len,
        is_fragment: ip.is_fragment,
        is_outgoing,
        ttl: Some(ip.ttl),
    })
}

/// A packet of IP, unless it is a fragment other than the first.
struct Ip<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    /// The TTL or hop limit.
    ttl: u8,
    /// Whether more fragments follow.
    is_fragment: bool,
    /// What was captured of the payload, without the padding of short frames.
    payload: &'a [u8],
}

/// Reads the header of IPv4 (RFC 791 section 3.1).
fn ipv4(packet: &[u8]) -> Option<Ip<'_>> {
    let header_len = usize::from(packet.first()? & 0xf) * 4;
    if header_len < 20 {
        return None;
    }
    let (header, rest) = packet.split_at_checked(header_len)?;
    let payload_len = usize::from(be_u16(header.get(2..)?)?).checked_sub(header_len)?;
    let fragment = be_u16(header.get(6..)?)?;
    let is_first = fragment & 0x1fff == 0;
    let address = |at| Some(Ipv4Addr::from(*header.get(at..)?.first_chunk::<4>()?));
    is_first.then_some(Ip {
        source: address(12)?.into(),
        destination: address(16)?.into(),
        protocol: *header.get(9)?,
        ttl: *header.get(8)?,
        is_fragment: fragment & 0x2000 != 0,
        payload: rest.get(..payload_len).unwrap_or(rest),
    })
}

/// Reads the header of IPv6 and its extensions (RFC 8200 sections 3 and 4).
fn ipv6(packet: &[u8]) -> Option<Ip<'_>> {
    let (header, rest) = packet.split_at_checked(40)?;
    let payload_len = usize::from(be_u16(header.get(4..)?)?);
    let mut payload = rest.get(..payload_len).unwrap_or(rest);
    let (mut protocol, mut is_fragment) = (*header.get(6)?, false);
    loop {
        let len = || payload.get(1).map(|len| usize::from(*len));
        let extension = match protocol {
            // Hop-by-hop, routing, destination, mobility, host identity, shim6.
            0 | 43 | 60 | 135 | 139 | 140 => (len()? + 1) * 8,
            // Authentication (RFC 4302 section 2.2).
            51 => (len()? + 2) * 4,
            44 => {
                let fragment = be_u16(payload.get(2..)?)?;
                if fragment >> 3 != 0 {
                    return None;
                }
                is_fragment |= fragment & 1 != 0;
                8
            }
            _ => break,
        };
        protocol = *payload.first()?;
        payload = payload.get(extension..)?;
    }
    let address = |at| Some(Ipv6Addr::from(*header.get(at..)?.first_chunk::<16>()?));
    Some(Ip {
        source: address(8)?.into(),
        destination: address(24)?.into(),
        protocol,
        ttl: *header.get(7)?,
        is_fragment,
        payload,
    })
}

fn be_u16(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.first_chunk()?))
}

/// The number of UDP as a protocol of IP.
const UDP: u8 = 17;

/// The length of its header (RFC 768).
const UDP_HEADER: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &[u8] = b"AAAAAAAB";

    /// Returns an IP packet with a UDP datagram from port 5 to port 7.
    fn ip(is_ipv6: bool) -> Vec<u8> {
        let udp = [&[0, 5, 0, 7, 0, 16, 0, 0][..], PAYLOAD].concat();
        match is_ipv6 {
            false => [V4, &udp].concat(),
            true => [&[0x60, 0, 0, 0, 0, 16, 17, 64], &[1; 16][..], &[2; 16], &udp].concat(),
        }
    }

    const V4: &[u8] = &[0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];

    fn read(link: i32, packet: &[u8]) -> Option<CapturedDatagram<'_>> {
        datagram(Link::from_number(link).expect("supported"), Duration::ZERO, packet)
    }

    #[test]
    fn every_link_type_of_tcpdump_is_read() {
        let ethernet = |tags: &[u8], kind: [u8; 2], ip: Vec<u8>| {
            [&[1; 12][..], tags, &kind, &ip, &[0; 20]].concat()
        };
        let (v4, v6) = ([0x08, 0x00], [0x86, 0xdd]);
        let cooked =
            |kind: u8, protocol: [u8; 2]| [&[0, kind, 0, 1, 0, 6][..], &[9; 8], &protocol].concat();
        let cooked2 = |kind: u8, protocol: [u8; 2]| {
            [&protocol[..], &[0, 0, 0, 0, 0, 2, 0, 1, kind, 6], &[9; 8]].concat()
        };
        for (link, packet, is_ipv6, is_outgoing) in [
            (1, ethernet(&[], v4, ip(false)), false, None),
            (1, ethernet(&[0x81, 0x00, 0, 9], v6, ip(true)), true, None),
            (1, ethernet(&[0x88, 0xa8, 0, 9, 0x81, 0x00, 0, 8], v4, ip(false)), false, None),
            // An Ethernet whose frames have a checksum of four bytes.
            (0x2400_0001, ethernet(&[], v4, ip(false)), false, None),
            (113, [cooked(0, v4), ip(false)].concat(), false, Some(false)),
            (113, [cooked(4, v6), ip(true)].concat(), true, Some(true)),
            (276, [cooked2(0, v4), ip(false)].concat(), false, Some(false)),
            (276, [cooked2(4, v6), ip(true)].concat(), true, Some(true)),
            (12, ip(false), false, None),
            (101, ip(true), true, None),
            (228, ip(false), false, None),
            (229, ip(true), true, None),
            (0, [&[2, 0, 0, 0][..], &ip(false)].concat(), false, None),
            (108, [&[0, 0, 0, 30][..], &ip(true)].concat(), true, None),
            (9, [&[0xff, 0x03, 0, 0x21][..], &ip(false)].concat(), false, None),
            (9, [&[0x57][..], &ip(true)].concat(), true, None),
        ] {
            let found = read(link, &packet).unwrap_or_else(|| panic!("{link}"));
            assert_eq!((found.payload, found.len, found.is_cut()), (PAYLOAD, 8, false), "{link}");
            let (source, destination) = (found.source, found.destination);
            assert_eq!((source.is_ipv6(), source.port()), (is_ipv6, 5), "{link}");
            assert_eq!((destination.port(), found.is_fragment), (7, false), "{link}");
            assert_eq!((found.is_outgoing, found.ttl), (is_outgoing, Some(64)), "{link}");
        }
        assert_eq!(Link::from_number(105), None, "a radio");
    }

    #[test]
    fn packet_cut_at_any_byte_has_as_much_payload_as_was_captured() {
        for packet in [ip(false), ip(true)] {
            let headers = packet.len() - PAYLOAD.len();
            for len in 0..packet.len() {
                let found = read(101, &packet[..len]);
                assert_eq!(found.is_some(), len >= headers, "{len}");
                if let Some(found) = found {
                    assert_eq!((found.payload, found.len), (&PAYLOAD[..len - headers], 8));
                }
            }
        }
    }

    #[test]
    fn only_the_first_fragment_has_ports_and_it_says_that_it_is_one() {
        let mut packet = ip(false);
        // More fragments (RFC 791 section 3.1).
        packet[6] = 0x20;
        assert_eq!(read(101, &packet).map(|found| found.is_fragment), Some(true));
        packet[7] = 1;
        assert_eq!(read(101, &packet), None);

        let whole = ip(true);
        let fragment = |offset: u8, more: u8| {
            let mut packet = whole[..40].to_vec();
            packet[6] = 44;
            packet[5] += 8;
            packet.extend([17, 0, 0, offset | more, 0, 0, 0, 1]);
            packet.extend(&whole[40..]);
            packet
        };
        assert_eq!(read(101, &fragment(0, 1)).map(|found| found.is_fragment), Some(true));
        assert_eq!(read(101, &fragment(0, 0)).map(|found| found.is_fragment), Some(false));
        assert_eq!(read(101, &fragment(8, 0)), None);
    }

    #[test]
    fn options_and_extension_headers_are_skipped() {
        let mut options = V4.to_vec();
        (options[0], options[3]) = (0x46, 40);
        let udp = ip(false)[20..].to_vec();
        let v4 = [&options[..], &[1, 1, 1, 0], &udp].concat();
        assert_eq!(read(101, &v4).map(|found| found.payload), Some(PAYLOAD));

        let mut header = ip(true)[..40].to_vec();
        // Hop-by-hop options, routing, authentication, and destination options of 16 bytes.
        (header[5], header[6]) = (16 + 8 + 8 + 12 + 16, 0);
        let extensions = [
            &[43, 0, 1, 4, 0, 0, 0, 0][..],
            &[51, 0, 0, 0, 0, 0, 0, 0],
            &[60, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1],
            &[17, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        let v6 = [header, extensions.concat(), udp].concat();
        assert_eq!(read(101, &v6).map(|found| found.payload), Some(PAYLOAD));
        for len in 0..v6.len() - PAYLOAD.len() {
            assert_eq!(read(101, &v6[..len]), None, "{len}");
        }
    }

    #[test]
    fn packets_without_udp_have_no_datagram() {
        let mut tcp = ip(false);
        tcp[9] = 6;
        assert_eq!(read(101, &tcp), None);
        let arp = [&[1; 12][..], &[0x08, 0x06], &[0, 1, 8, 0, 6, 4, 0, 1], &[0; 20]].concat();
        assert_eq!(read(1, &arp), None);
        assert_eq!(read(9, &[0xc0, 0x21, 1]), None);
        // A length of UDP that is too short for its own header.
        let mut short = ip(false);
        short[24..26].copy_from_slice(&[0, 7]);
        assert_eq!(read(101, &short), None);
    }
}
