//! What the program has to do with a packet, from the packet's bytes and the design alone.

use std::net::{IpAddr, SocketAddr};

use hello_proto::{Frame, Guard, OVERHEAD};

use super::packet::{self, Checksum, DONT_FRAGMENT, Packet, UDP, pseudo_header};
use crate::xdp::counters::Passed;

/// What a server has, as the program has to know it.
#[derive(Clone, Debug)]
pub(super) struct Oracle {
    pub(super) guard: Guard,
    pub(super) services: Vec<Service>,
    /// The addresses that no client has: the server's own, and those of broadcast.
    pub(super) no_clients: Vec<IpAddr>,
    pub(super) completes_checksums: bool,
}

/// An address that is served.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) vlan: u16,
    pub(super) mac: [u8; 6],
    pub(super) local: SocketAddr,
    pub(super) mtu: usize,
    pub(super) hop_limit: u8,
}

/// A request that the program has to answer.
#[derive(Debug)]
pub(super) struct Request<'a> {
    source: SocketAddr,
    datagram: Datagram<'a>,
    service: Service,
}

/// A UDP datagram in a packet without anything unusual.
#[derive(Debug)]
struct Datagram<'a> {
    to: [u8; 6],
    from: [u8; 6],
    tag: Option<u16>,
    source: SocketAddr,
    destination: SocketAddr,
    hop_limit: u8,
    /// The bytes from the IP header to the end of the packet.
    len: usize,
    name: &'a [u8],
    checksum: Seen,
    /// Whether the checksum is there, and right. By chance, a partial one is.
    verifies: bool,
    /// What follows the datagram.
    padding: &'a [u8],
}

/// The longest name that the program answers, in bytes.
const MAX_NAME_LEN: usize = 1472;

/// What a receiver sees of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Absent,
    Partial,
    Correct,
    Wrong,
}

impl Oracle {
    /// Returns the request that the program has to answer, or why it has to pass the packet.
    pub(super) fn judge<'a>(&self, packet: &'a [u8]) -> Result<Request<'a>, Passed> {
        let datagram = Datagram::parse(packet).ok_or(Passed::Other)?;
        let Datagram { source, destination: local, name, .. } = datagram;
        let vlan = datagram.tag.map_or(0, |tag| tag & 0x0fff);
        let service = self.services.iter().find(|service| {
            service.vlan == vlan && service.local == local && service.mac == datagram.to
        });
        let service = service.ok_or(Passed::Other)?.clone();
        // A group has sent nothing, so nothing can be sent back (the lowest bit of the first byte).
        if datagram.len + OVERHEAD > service.mtu || datagram.from[0] & 1 == 1 {
            return Err(Passed::Other);
        }
        if self.guard.check_source(source, local.port()).is_err() || !self.is_client(source.ip()) {
            return Err(Passed::Source);
        }
        if self.guard.check_name(name).is_err() || name.len() > MAX_NAME_LEN {
            return Err(Passed::Name);
        }
        let is_certain = match datagram.checksum {
            // The reply may be fragmented, and needs one then.
            Seen::Absent => source.is_ipv4() && 20 + 8 + name.len() + OVERHEAD <= 576,
            Seen::Partial => self.completes_checksums,
            Seen::Correct | Seen::Wrong => true,
        };
        if !is_certain {
            return Err(Passed::Checksum);
        }
        assert!(self.guard.check(source, local, name).is_ok(), "as its parts say");
        Ok(Request { source, datagram, service })
    }

    fn is_client(&self, source: IpAddr) -> bool {
        let is_host = match source {
            IpAddr::V4(source) => (1..224).contains(&source.octets()[0]) && !source.is_loopback(),
            IpAddr::V6(source) => {
                !source.is_unspecified() && !source.is_loopback() && !source.is_multicast()
            }
        };
        is_host && !self.no_clients.contains(&source)
    }
}

impl Request<'_> {
    /// Checks every byte of a reply to this request.
    pub(super) fn check(&self, reply: &[u8]) {
        let Datagram { to, from, tag, destination, name, checksum, padding, .. } = self.datagram;
        let mut buf = vec![0xa5; name.len() + OVERHEAD];
        let mut frame = Frame::new(&mut buf).expect("room");
        frame.recv_buf()[..name.len()].copy_from_slice(name);
        let text = frame.reply(name.len()).expect("short");

        let is_long = self.source.is_ipv4() && 20 + 8 + text.len() > 576;
        let answered = Datagram::parse(reply).unwrap_or_else(|| panic!("{reply:02x?}"));
        let expected = Packet {
            to: from,
            from: to,
            tags: tag.into_iter().collect(),
            hop_limit: self.service.hop_limit,
            checksum: match checksum {
                Seen::Absent => Checksum::Zero,
                Seen::Partial | Seen::Correct => Checksum::Correct,
                Seen::Wrong => Checksum::Wrong(0),
            },
            // Not every path takes it in one piece.
            fragment: if is_long { 0 } else { DONT_FRAGMENT },
            ..Packet::new(destination, self.source, text)
        };
        let mut expected = [&expected.bytes()[..], padding].concat();
        let ip_at = if tag.is_some() { 18 } else { 14 };
        let mut any = |at: usize| expected[at..at + 2].copy_from_slice(&reply[at..at + 2]);
        if is_long {
            // The identification, and with it the checksum, which was found to be right.
            any(ip_at + 4);
            any(ip_at + 10);
        }
        if checksum == Seen::Wrong {
            assert!(!answered.verifies, "what was damaged stays so");
            // There are many wrong ones.
            any(ip_at + if self.source.is_ipv4() { 20 } else { 40 } + 6);
        }
        assert_eq!(reply, expected);
        assert_eq!(answered.hop_limit, self.service.hop_limit);
    }
}

impl<'a> Datagram<'a> {
    fn parse(packet: &'a [u8]) -> Option<Self> {
        let (to, rest) = packet.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (mut kind, mut rest) = number(rest)?;
        let mut tag = None;
        if kind == 0x8100 {
            let (number_of_tag, inner) = number(rest)?;
            tag = Some(number_of_tag);
            (kind, rest) = number(inner)?;
        }
        let (source, destination, hop_limit, payload_len, udp) = match kind {
            0x0800 => ipv4(rest)?,
            0x86dd => ipv6(rest)?,
            _ => return None,
        };
        let (source_port, fields) = number(udp)?;
        let (port, fields) = number(fields)?;
        let (len, fields) = number(fields)?;
        let (checksum, _) = number(fields)?;
        if usize::from(len) != payload_len || len < 8 {
            return None;
        }
        let datagram = udp.get(..payload_len)?;
        let pseudo = packet::sum(&pseudo_header(source, destination, len));
        let covered = packet::sum(&[&pseudo.to_be_bytes(), datagram].concat());
        let verifies = checksum != 0 && covered == 0xffff;
        let seen = match checksum {
            0 => Seen::Absent,
            checksum if checksum == pseudo => Seen::Partial,
            _ if verifies => Seen::Correct,
            _ => Seen::Wrong,
        };
        Some(Self {
            to: *to,
            from: *from,
            tag,
            source: (source, source_port).into(),
            destination: (destination, port).into(),
            hop_limit,
            len: rest.len(),
            name: &datagram[8..],
            checksum: seen,
            verifies,
            padding: &udp[payload_len..],
        })
    }
}

/// Returns the addresses, the TTL, the length of the payload, and what follows the header.
fn ipv4(packet: &[u8]) -> Option<(IpAddr, IpAddr, u8, usize, &[u8])> {
    let (header, rest) = packet.split_first_chunk::<20>()?;
    let (len, _) = number(&header[2..])?;
    let (fragment, _) = number(&header[6..])?;
    let is_plain = header[0] == 0x45 && header[9] == UDP && fragment & !DONT_FRAGMENT == 0;
    let is_intact = packet::sum(header) == 0xffff;
    let address = |at: usize| Some(IpAddr::from(*header[at..].first_chunk::<4>()?));
    let payload = usize::from(len).checked_sub(20)?;
    (is_plain && is_intact).then_some((address(12)?, address(16)?, header[8], payload, rest))
}

/// Returns the addresses, the hop limit, the length of the payload, and what follows the header.
fn ipv6(packet: &[u8]) -> Option<(IpAddr, IpAddr, u8, usize, &[u8])> {
    let (header, rest) = packet.split_first_chunk::<40>()?;
    let (len, _) = number(&header[4..])?;
    let address = |at: usize| Some(IpAddr::from(*header[at..].first_chunk::<16>()?));
    let (source, destination) = (address(8)?, address(24)?);
    // Addresses of IPv4 have no business in IPv6.
    let is_plain = header[0] >> 4 == 6
        && header[6] == UDP
        && [source, destination].iter().all(|address| address.to_canonical().is_ipv6());
    is_plain.then_some((source, destination, header[7], len.into(), rest))
}

/// Reads a number of 16 bits.
fn number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*number), rest))
}
