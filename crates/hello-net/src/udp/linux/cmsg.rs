//! What control messages tell of a datagram that was received, and what they ask for one that is sent.

use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use libc::{c_int, c_long};

use crate::sys::linux::cmsg::{
    ControlMessage, HEADER_LEN, KIND, LEVEL, first, messages, space, time,
};
use crate::udp::batch::Destination;
use crate::udp::transmit::LocalAddr;

/// Control messages on their way to or from the system.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(super) struct ControlBuf {
    bytes: [u8; Self::CAPACITY],
}

/// The control information of a received message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RecvControl {
    /// The length of each datagram of a train.
    pub(super) segment: Option<usize>,
    pub(super) destination: Option<Destination>,
    /// When the message was received, since 1970 (UTC).
    pub(super) time: Option<Duration>,
    /// The TTL or the hop limit that was left.
    pub(super) ttl: Option<u8>,
    /// The byte with the DSCP and the ECN codepoint.
    pub(super) tos: Option<u8>,
}

impl ControlBuf {
    /// Room for a segment length, a hop limit, a traffic class, an IPv6 address with its interface,
    /// and a time: the most there is.
    pub(super) const CAPACITY: usize =
        3 * space(size_of::<c_int>()) + space(IN6_PKTINFO_LEN) + space(2 * size_of::<c_long>());

    pub(super) const EMPTY: Self = Self { bytes: [0; Self::CAPACITY] };

    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    /// Writes the address to send from and the segment length, and returns the length in bytes.
    pub(super) fn write(&mut self, from: Option<LocalAddr>, segment: Option<u16>) -> usize {
        let mut len = 0;
        if let Some(segment) = segment {
            len += self.put(len, libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
        }
        match from {
            Some(LocalAddr { address: IpAddr::V4(address), interface }) => {
                let mut info = [0; IN_PKTINFO_LEN];
                info[..4].copy_from_slice(&interface.to_ne_bytes());
                info[4..8].copy_from_slice(&address.octets());
                len += self.put(len, libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            Some(LocalAddr { address: IpAddr::V6(address), interface }) => {
                let mut info = [0; IN6_PKTINFO_LEN];
                info[..16].copy_from_slice(&address.octets());
                info[16..].copy_from_slice(&interface.to_ne_bytes());
                len += self.put(len, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
            None => {}
        }
        len
    }

    /// Reads the first `len` bytes, as the system filled them.
    pub(super) fn read(&self, len: usize) -> RecvControl {
        read(&self.bytes[..len.min(Self::CAPACITY)])
    }

    /// Writes a control message at `start`, and returns the room it takes.
    fn put(&mut self, start: usize, level: c_int, kind: c_int, data: &[u8]) -> usize {
        let message = &mut self.bytes[start..][..space(data.len())];
        message[..LEVEL].copy_from_slice(&(HEADER_LEN + data.len()).to_ne_bytes());
        message[LEVEL..KIND].copy_from_slice(&level.to_ne_bytes());
        message[KIND..HEADER_LEN].copy_from_slice(&kind.to_ne_bytes());
        message[HEADER_LEN..][..data.len()].copy_from_slice(data);
        message.len()
    }
}

/// Reads control messages, and skips unknown ones. What follows a malformed one is not read.
fn read(bytes: &[u8]) -> RecvControl {
    let mut received = RecvControl::default();
    for ControlMessage { level, kind, data } in messages(bytes) {
        match (level, kind) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let segment = first(data).map(c_int::from_ne_bytes);
                received.segment = segment.and_then(|segment| segment.try_into().ok());
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => received.destination = pktinfo(data),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => received.destination = pktinfo6(data),
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                let ttl = first(data).map(c_int::from_ne_bytes);
                received.ttl = ttl.and_then(|ttl| ttl.try_into().ok());
            }
            (libc::IPPROTO_IP, libc::IP_TOS) | (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                received.tos = tos(data);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => received.time = time(data),
            _ => {}
        }
    }
    received
}

/// Reads any bytes for a fuzz target: the segment length, the mark, the destination, and the address
/// and interface that a reply comes from.
#[cfg(fuzzing)]
pub fn read_control(bytes: &[u8]) -> (Option<usize>, Option<u8>, Option<(IpAddr, IpAddr, u32)>) {
    let RecvControl { segment, tos, destination, .. } = read(bytes);
    let addresses = |to: Destination| (to.address, to.reply_from.address, to.reply_from.interface);
    (segment, tos, destination.map(addresses))
}

/// Reads a `struct in_pktinfo`: the interface's index, the address of ours that a reply comes from,
/// and the destination address in the datagram (ip(7)).
///
/// If a datagram was queued before the socket enabled this, Linux does not know the second. The
/// third is then used for it: if that is not ours, the system does not send from it.
fn pktinfo(data: &[u8]) -> Option<Destination> {
    let address = |at: usize| data.get(at..).and_then(first).map(Ipv4Addr::from);
    let (reply_from, address) = (address(4)?, address(8)?);
    let is_unknown = reply_from.is_unspecified() && !address.is_multicast();
    let reply_from = if is_unknown { address } else { reply_from };
    let reply_from = LocalAddr { address: reply_from.into(), interface: 0 };
    Some(Destination { address: address.into(), reply_from })
}

/// Reads a `struct in6_pktinfo`: the destination address in the datagram, and the interface's index
/// (RFC 3542 section 6).
fn pktinfo6(data: &[u8]) -> Option<Destination> {
    let address = Ipv6Addr::from(first::<16>(data)?);
    let interface = u32::from_ne_bytes(data.get(16..).and_then(first)?);
    let reply_from = match address {
        group if group.is_multicast() => {
            LocalAddr { address: Ipv6Addr::UNSPECIFIED.into(), interface }
        }
        reply_from if reply_from.is_unicast_link_local() => {
            LocalAddr { address: reply_from.into(), interface }
        }
        reply_from => LocalAddr { address: reply_from.into(), interface: 0 },
    };
    Some(Destination { address: address.into(), reply_from })
}

/// Reads the byte with the DSCP and the ECN codepoint: Linux writes a byte over IPv4, and an integer
/// over IPv6.
fn tos(data: &[u8]) -> Option<u8> {
    match data {
        [byte] => Some(*byte),
        _ => c_int::from_ne_bytes(first(data)?).try_into().ok(),
    }
}

const IN_PKTINFO_LEN: usize = size_of::<libc::in_pktinfo>();
const IN6_PKTINFO_LEN: usize = size_of::<libc::in6_pktinfo>();

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Returns a control message as the kernel lays it out, padded.
    fn message(level: c_int, kind: c_int, data: &[u8]) -> Vec<u8> {
        let mut bytes = (HEADER_LEN + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(size_of::<usize>()), 0xa5);
        bytes
    }

    fn segment(segment: c_int) -> Vec<u8> {
        message(libc::SOL_UDP, libc::UDP_GRO, &segment.to_ne_bytes())
    }

    #[test]
    fn known_control_messages_are_read_and_others_skipped() {
        let here = message(
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            &[2, 0, 0, 0, 192, 0, 2, 1, 192, 0, 2, 255],
        );
        let other = message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &[1, 0, 0, 0]);
        let received = read(&[other.clone(), here, other, segment(1200)].concat());
        let reply_from = LocalAddr { address: [192, 0, 2, 1].into(), interface: 0 };
        let destination = Some(Destination { address: [192, 0, 2, 255].into(), reply_from });
        assert_eq!(
            received,
            RecvControl { segment: Some(1200), destination, ..RecvControl::default() }
        );
        assert_eq!(read(&[]), RecvControl::default());
    }

    #[test]
    fn a_datagram_that_was_queued_before_its_destination_was_asked_for_is_no_broadcast() {
        for (address, reply_from) in [([192, 0, 2, 7], [192, 0, 2, 7]), ([224, 0, 0, 1], [0; 4])] {
            let info = [&[0; 8][..], &address].concat();
            let received = read(&message(libc::IPPROTO_IP, libc::IP_PKTINFO, &info));
            let reply_from = LocalAddr { address: reply_from.into(), interface: 0 };
            let expected = Destination { address: address.into(), reply_from };
            assert_eq!(received.destination, Some(expected));
        }
    }

    #[test]
    fn an_ipv6_destination_has_an_interface_only_where_it_needs_one() {
        for (text, reply_from, interface) in
            [("2001:db8::1", "2001:db8::1", 0), ("fe80::1", "fe80::1", 7), ("ff02::1", "::", 7)]
        {
            let [address, reply_from] =
                [text, reply_from].map(|text| text.parse::<Ipv6Addr>().expect("an address"));
            let mut info = address.octets().to_vec();
            info.extend(7u32.to_ne_bytes());
            let received = read(&message(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info));
            let reply_from = LocalAddr { address: reply_from.into(), interface };
            assert_eq!(
                received.destination,
                Some(Destination { address: address.into(), reply_from })
            );
        }
    }

    #[test]
    fn invalid_timestamp_is_ignored() {
        let read = |seconds: c_long, nanos: c_long| {
            let data = [seconds.to_ne_bytes(), nanos.to_ne_bytes()].concat();
            read(&message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &data)).time
        };
        assert_eq!(read(1_700_000_000, 5), Some(Duration::new(1_700_000_000, 5)));
        assert_eq!((read(-1, 0), read(0, -1)), (None, None));
        let short = [0; size_of::<c_long>()];
        let message = message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &short);
        assert_eq!(super::read(&message).time, None);
    }

    #[test]
    fn ttl_and_hop_limit_are_read_unless_they_are_out_of_range() {
        for (level, kind) in
            [(libc::IPPROTO_IP, libc::IP_TTL), (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT)]
        {
            for (value, ttl) in
                [(64, Some(64)), (0, Some(0)), (255, Some(255)), (256, None), (-1, None)]
            {
                assert_eq!(read(&message(level, kind, &c_int::to_ne_bytes(value))).ttl, ttl);
            }
        }
    }

    #[test]
    fn mark_is_a_byte_over_ipv4_and_an_integer_over_ipv6() {
        let v4 = |data: &[u8]| read(&message(libc::IPPROTO_IP, libc::IP_TOS, data)).tos;
        let v6 = |data: &[u8]| read(&message(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, data)).tos;
        for byte in 0..=u8::MAX {
            assert_eq!(v4(&[byte]), Some(byte));
            assert_eq!(v6(&c_int::from(byte).to_ne_bytes()), Some(byte));
        }
        for invalid in [&[][..], &[1, 2, 3], &(-1 as c_int).to_ne_bytes(), &256i32.to_ne_bytes()] {
            assert_eq!((v4(invalid), v6(invalid)), (None, None), "{invalid:?}");
        }
    }

    #[test]
    fn buffer_holds_all_that_a_socket_reports_at_once() {
        let number = |level, kind| message(level, kind, &c_int::to_ne_bytes(46));
        let info = [0; IN6_PKTINFO_LEN];
        let all = [
            number(libc::SOL_UDP, libc::UDP_GRO),
            number(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
            number(libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            message(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info),
            message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &[1; 2 * size_of::<c_long>()]),
        ];
        assert!(all.concat().len() <= ControlBuf::CAPACITY);
        let RecvControl { segment, destination, time, ttl, tos } = read(&all.concat());
        assert_eq!((segment, ttl, tos), (Some(46), Some(46), Some(46)));
        assert!(destination.is_some() && time.is_some());
    }

    #[test]
    fn segment_length_out_of_range_is_ignored() {
        assert_eq!(read(&segment(-1)).segment, None);
        assert_eq!(read(&segment(0)).segment, Some(0));
    }

    #[test]
    fn control_messages_are_written_as_the_system_reads_them() {
        let origin = |text: &str, interface| {
            Some(LocalAddr { address: text.parse().expect("an address"), interface })
        };
        let segment = message(libc::SOL_UDP, libc::UDP_SEGMENT, &1208u16.to_ne_bytes());
        let v4 =
            message(libc::IPPROTO_IP, libc::IP_PKTINFO, &[0, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0, 0]);
        let mut info = "fe80::1".parse::<Ipv6Addr>().expect("an address").octets().to_vec();
        info.extend(3u32.to_ne_bytes());
        let v6 = message(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        for (from, count, expected) in [
            (None, None, vec![]),
            (None, Some(1208), segment.clone()),
            (origin("192.0.2.1", 0), None, v4.clone()),
            (origin("192.0.2.1", 0), Some(1208), [segment.clone(), v4].concat()),
            (origin("fe80::1", 3), Some(1208), [segment, v6].concat()),
        ] {
            let mut control = ControlBuf { bytes: [0xa5; ControlBuf::CAPACITY] };
            let len = control.write(from, count);
            assert_eq!(control.bytes[..len], expected);
            assert_eq!(control.bytes[len..], [0xa5; ControlBuf::CAPACITY][len..]);
        }
    }

    proptest! {
        /// Any bytes: no panic, no read beyond them, and an end.
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in vec(any::<u8>(), 0..=2 * ControlBuf::CAPACITY)) {
            let received = read(&bytes);
            prop_assert!(received.segment.is_none_or(|segment| segment <= c_int::MAX as usize));
        }

        /// Bytes that are nearly right, with any length in the first header.
        #[test]
        fn any_length_is_survived(len in any::<usize>(), behind in any::<c_int>(), kind in any::<c_int>()) {
            let mut bytes = segment(1200);
            bytes[..LEVEL].copy_from_slice(&len.to_ne_bytes());
            bytes[KIND..HEADER_LEN].copy_from_slice(&kind.to_ne_bytes());
            bytes.extend(segment(behind));
            let _ = read(&bytes);
        }

        #[test]
        fn what_was_written_is_read(segment in any::<u16>(), octets in any::<[u8; 16]>(), at in 0..3usize) {
            let unknown = message(-1, -1, &octets[..at]);
            let info = [&octets[..], &[0; 4]].concat();
            let known = message(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            let received = read(&[unknown, known, self::segment(segment.into())].concat());
            prop_assert_eq!(received.segment, Some(segment.into()));
            let address = IpAddr::from(octets);
            prop_assert_eq!(received.destination.map(|destination| destination.address), Some(address));
        }
    }
}
