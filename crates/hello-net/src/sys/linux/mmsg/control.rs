//! What control messages tell of a datagram that was received.

#[cfg(fuzzing)]
use std::net::IpAddr;
use std::net::{Ipv4Addr, Ipv6Addr};

use libc::c_int;

#[cfg(fuzzing)]
use crate::sys::RawSockAddr;
use crate::sys::batch::{Destination, RecvMeta};
use crate::sys::linux::cmsg::{ControlMessage, first, messages, time};
use crate::sys::transmit::LocalAddr;

/// Reads control messages into the metadata of the message that they came with, and skips unknown ones.
/// What follows a malformed one is not read.
#[inline(never)]
pub(super) fn read(bytes: &[u8], meta: &mut RecvMeta) {
    for ControlMessage { level, kind, data } in messages(bytes) {
        match (level, kind) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let segment = first(data).map(c_int::from_ne_bytes);
                let segment = segment.and_then(|segment| segment.try_into().ok());
                meta.segment = segment.unwrap_or(meta.segment);
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => meta.destination = pktinfo(data),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => meta.destination = pktinfo6(data),
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                let ttl = first(data).map(c_int::from_ne_bytes);
                meta.ttl = ttl.and_then(|ttl| ttl.try_into().ok());
            }
            (libc::IPPROTO_IP, libc::IP_TOS) | (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                meta.tos = tos(data);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => meta.time = time(data),
            _ => {}
        }
    }
}

/// Reads any bytes for a fuzz target: the segment length, the mark, the destination, and the address
/// and interface that a reply comes from.
#[cfg(fuzzing)]
pub fn read_control(bytes: &[u8]) -> (usize, Option<u8>, Option<(IpAddr, IpAddr, u32)>) {
    let mut meta = RecvMeta::new(RawSockAddr::new((Ipv4Addr::UNSPECIFIED, 0).into()), 0);
    read(bytes, &mut meta);
    let addresses = |to: Destination| (to.address, to.reply_from.address, to.reply_from.interface);
    (meta.segment, meta.tos, meta.destination.map(addresses))
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use std::net::IpAddr;
    use std::time::Duration;

    use libc::c_long;

    use super::*;
    use crate::sys::RawSockAddr;
    use crate::sys::linux::cmsg::{HEADER_LEN, KIND, LEVEL, padded};
    use crate::sys::linux::recv_slots::CONTROL_LEN;

    /// Reads control messages of a message of [`LEN`] bytes.
    fn read(bytes: &[u8]) -> RecvMeta {
        let mut meta = RecvMeta::new(RawSockAddr::new((Ipv4Addr::LOCALHOST, 40_001).into()), LEN);
        super::read(bytes, &mut meta);
        meta
    }

    const LEN: usize = 5000;

    fn message(level: c_int, kind: c_int, data: &[u8]) -> Vec<u8> {
        padded(level, kind, data, 0xa5)
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
        assert_eq!(received, RecvMeta { segment: 1200, destination, ..read(&[]) });
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
        let time_of = |seconds: c_long, nanos: c_long| {
            let data = [seconds.to_ne_bytes(), nanos.to_ne_bytes()].concat();
            read(&message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &data)).time
        };
        assert_eq!(time_of(1_700_000_000, 5), Some(Duration::new(1_700_000_000, 5)));
        assert_eq!((time_of(-1, 0), time_of(0, -1)), (None, None));
        let short = [0; size_of::<c_long>()];
        let message = message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &short);
        assert_eq!(read(&message).time, None);
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
        let info = [0; size_of::<libc::in6_pktinfo>()];
        let all = [
            number(libc::SOL_UDP, libc::UDP_GRO),
            number(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
            number(libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            message(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info),
            message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &[1; 2 * size_of::<c_long>()]),
        ];
        assert!(all.concat().len() <= CONTROL_LEN);
        let RecvMeta { segment, destination, time, ttl, tos, .. } = read(&all.concat());
        assert_eq!((segment, ttl, tos), (46, Some(46), Some(46)));
        assert!(destination.is_some() && time.is_some());
    }

    #[test]
    fn segment_length_out_of_range_is_ignored() {
        assert_eq!(read(&segment(-1)).segment, LEN);
        assert_eq!(read(&segment(0)).segment, 0);
    }

    proptest! {
        /// Any bytes: no panic, no read beyond them, and an end.
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in vec(any::<u8>(), 0..=2 * CONTROL_LEN)) {
            let received = read(&bytes);
            prop_assert!(received.segment <= c_int::MAX as usize);
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
            prop_assert_eq!(received.segment, segment.into());
            let address = IpAddr::from(octets);
            prop_assert_eq!(received.destination.map(|destination| destination.address), Some(address));
        }
    }
}
