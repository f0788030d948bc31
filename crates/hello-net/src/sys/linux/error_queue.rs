//! The error queue of a socket: ICMP errors about the datagrams that it sent (IP_RECVERR, ip(7)).

use std::io;
use std::net::{SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use hello_measure::{Cause, CauseKind};

use super::cmsg::{ControlMessage, first, messages, time};
use super::sockopt::{recv_error, set};
use crate::sys::BorrowedSocket;
use crate::sys::queued_error::{Queued, QueuedError};

/// Makes the system queue each ICMP error about a datagram of this socket (IP_RECVERR, ip(7)), for
/// [`take_error`]. Without it, a connected socket never gets those that the system takes for temporary,
/// such as host unreachable, and of several only the last.
pub(crate) fn queue_errors(socket: &UdpSocket) -> io::Result<()> {
    // An IPv6 socket sends to both.
    set(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
    if socket.local_addr()?.is_ipv6() {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)
    } else {
        Ok(())
    }
}

/// Makes the system also queue when each datagram is handed to the driver (SO_TIMESTAMPING,
/// Documentation/networking/timestamping.rst of the kernel), for [`take_queued`]. The time is that of
/// [`enable_timestamps`](super::options::enable_timestamps), which must be on.
pub(crate) fn queue_transmit_times(socket: &UdpSocket) -> io::Result<()> {
    let flags = libc::SOF_TIMESTAMPING_TX_SOFTWARE.cast_signed();
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags)
}

/// Takes the oldest message out of a socket's error queue, and writes into `buf` what it quotes, or the
/// packet that was transmitted; `None` if none is left. The last error also clears the one that the next
/// call would return. Skips the system's own errors, which a send has already returned.
pub(crate) fn take_queued(socket: BorrowedSocket<'_>, buf: &mut [u8]) -> Option<Queued> {
    loop {
        // Larger than all that the options of our sockets add.
        let (mut control, mut destination) = ([0; 64], [0; 4]);
        let (len, control_len) = recv_error(&socket, &mut destination, buf, &mut control).ok()?;
        let control = control.map(u64::to_ne_bytes);
        let control = control.as_flattened().get(..control_len).unwrap_or_default();
        if let Some((code, cause)) = messages(control).find_map(icmp_error) {
            let destination = destination.map(u64::to_ne_bytes);
            let destination = socket_addr(destination.as_flattened());
            return Some(Queued::Error(QueuedError { code, cause, destination, quoted: len }));
        }
        if let Some(time) = transmit_time(control) {
            return Some(Queued::Transmitted { time, len });
        }
    }
}

/// Takes the oldest ICMP error in the same way, from a socket that queues nothing else.
pub(crate) fn take_error(socket: BorrowedSocket<'_>, quote: &mut [u8]) -> Option<QueuedError> {
    loop {
        if let Queued::Error(error) = take_queued(socket, quote)? {
            return Some(error);
        }
    }
}

/// Reads when a datagram was handed to the driver, if the control messages are about that.
fn transmit_time(control: &[u8]) -> Option<Duration> {
    let origin = |message: ControlMessage<'_>| message.data.get(ORIGIN).copied();
    let is_origin = messages(control).filter(is_error).find_map(origin);
    is_origin.filter(|origin| *origin == libc::SO_EE_ORIGIN_TIMESTAMPING)?;
    messages(control).find_map(|ControlMessage { level, kind, data }| match (level, kind) {
        (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => time(data),
        _ => None,
    })
}

/// Whether a control message has a `struct sock_extended_err`.
fn is_error(message: &ControlMessage<'_>) -> bool {
    matches!(
        (message.level, message.kind),
        (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    )
}

/// Reads a `struct sock_extended_err` that an ICMP error caused, and the address behind it
/// (SO_EE_OFFENDER): the error code, and the cause.
fn icmp_error(message: ControlMessage<'_>) -> Option<(i32, Cause)> {
    let data = Some(message).filter(is_error)?.data;
    let [errno @ .., origin, icmp_type, code, _pad] = first::<8>(data)?;
    let info = u32::from_ne_bytes(data.get(INFO..).and_then(first)?);
    let offender = data.get(OFFENDER..).filter(|offender| offender.len() >= 2)?;
    let reporter = socket_addr(offender).map(|reporter| reporter.ip().to_canonical());
    let kind = match origin {
        libc::SO_EE_ORIGIN_ICMP => CauseKind::of_icmp(icmp_type, code, info),
        libc::SO_EE_ORIGIN_ICMP6 => CauseKind::of_icmpv6(icmp_type, code, info),
        _ => return None,
    };
    Some((i32::from_ne_bytes(errno), Cause { kind, reporter }))
}

/// Reads a `struct sockaddr_in` or `sockaddr_in6`; `None` if it is of another family, or cut.
fn socket_addr(bytes: &[u8]) -> Option<SocketAddr> {
    let family = first(bytes).map(u16::from_ne_bytes)?;
    let port = u16::from_be_bytes(bytes.get(PORT..).and_then(first)?);
    match i32::from(family) {
        libc::AF_INET => {
            let octets: [u8; 4] = bytes.get(IN_ADDRESS..).and_then(first)?;
            Some((octets, port).into())
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = bytes.get(IN6_ADDRESS..).and_then(first)?;
            let scope = bytes.get(IN6_SCOPE..).and_then(first).map_or(0, u32::from_ne_bytes);
            Some(SocketAddrV6::new(octets.into(), port, 0, scope).into())
        }
        _ => None,
    }
}

/// Reads any bytes for a fuzz target, as control messages of the error queue.
#[cfg(fuzzing)]
pub fn read_error(control: &[u8]) -> Option<(i32, Cause)> {
    let _ = transmit_time(control);
    messages(control).find_map(icmp_error)
}

/// The offsets of `ee_origin` and `ee_info` in a `struct sock_extended_err`, which the type, the code and a
/// byte of padding separate; and that of the address of the reporter, behind `ee_data`.
const ORIGIN: usize = 4;
const INFO: usize = 8;
const OFFENDER: usize = 16;

/// The offsets of the port and the address in a `struct sockaddr_in`, and of the address and the scope in a
/// `struct sockaddr_in6`, which has its port in the same place.
const PORT: usize = 2;
const IN_ADDRESS: usize = 4;
const IN6_ADDRESS: usize = 8;
const IN6_SCOPE: usize = 24;

#[cfg(test)]
mod tests {
    use std::mem::offset_of;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::sys::borrow;
    use crate::sys::linux::loopback::bind_loopback;
    use crate::sys::linux::options::enable_timestamps;
    use crate::sys::realtime;

    /// Returns the data of a control message: the struct, and a `struct sockaddr_in` or `sockaddr_in6`.
    fn data(code: i32, rest: [u8; 4], info: u32, reporter: IpAddr) -> Vec<u8> {
        let mut data = code.to_ne_bytes().to_vec();
        data.extend(rest);
        data.extend(info.to_ne_bytes());
        data.extend([0; 4]);
        let (family, address) = match reporter {
            IpAddr::V4(address) => {
                (libc::AF_INET, [&[0; 2][..], &address.octets(), &[0; 8]].concat())
            }
            IpAddr::V6(address) => {
                (libc::AF_INET6, [&[0; 6][..], &address.octets(), &[0; 4]].concat())
            }
        };
        data.extend(u16::try_from(family).expect("small").to_ne_bytes());
        data.extend(address);
        data
    }

    #[test]
    fn error_has_its_cause_and_its_reporter() {
        let router = IpAddr::from([10, 80, 2, 2]);
        let big = data(libc::EMSGSIZE, [libc::SO_EE_ORIGIN_ICMP, 3, 4, 0], 1400, router);
        let message = |level, kind, data| icmp_error(ControlMessage { level, kind, data });
        let expected =
            Cause { kind: CauseKind::TooBig { mtu: Some(1400) }, reporter: Some(router) };
        let read = message(libc::IPPROTO_IP, libc::IP_RECVERR, &big);
        assert_eq!(read, Some((libc::EMSGSIZE, expected)));
        let router6 = "fd80::2".parse::<IpAddr>().expect("an address");
        let refused = data(libc::ECONNREFUSED, [libc::SO_EE_ORIGIN_ICMP6, 1, 4, 0], 0, router6);
        let expected = Cause { kind: CauseKind::Refused, reporter: Some(router6) };
        let read = message(libc::IPPROTO_IPV6, libc::IPV6_RECVERR, &refused);
        assert_eq!(read, Some((libc::ECONNREFUSED, expected)));
        // An error about an IPv4 datagram of an IPv6 socket.
        let mapped = data(
            libc::ECONNREFUSED,
            [libc::SO_EE_ORIGIN_ICMP, 3, 3, 0],
            0,
            "::ffff:10.80.2.2".parse().expect("an address"),
        );
        let (_, cause) = message(libc::IPPROTO_IPV6, libc::IPV6_RECVERR, &mapped).expect("read");
        assert_eq!(cause, Cause { kind: CauseKind::Refused, reporter: Some(router) });
    }

    #[test]
    fn errors_of_this_system_and_truncated_ones_are_skipped() {
        let router = IpAddr::from([10, 80, 2, 2]);
        let own = data(libc::EMSGSIZE, [libc::SO_EE_ORIGIN_LOCAL, 0, 0, 0], 1500, router);
        let network = data(libc::EMSGSIZE, [libc::SO_EE_ORIGIN_ICMP, 3, 4, 0], 1500, router);
        let read = |data: &[u8]| {
            icmp_error(ControlMessage { level: libc::IPPROTO_IP, kind: libc::IP_RECVERR, data })
        };
        assert_eq!(read(&own), None);
        assert!(read(&network).is_some());
        for len in 0..OFFENDER + 2 {
            assert_eq!(read(&network[..len]), None, "{len}");
        }
        let without_address = read(&network[..OFFENDER + 2]).map(|(_, cause)| cause.reporter);
        assert_eq!(without_address, Some(None));
    }

    #[test]
    fn offsets_are_those_of_the_system() {
        assert_eq!(ORIGIN, offset_of!(libc::sock_extended_err, ee_origin));
        assert_eq!(INFO, offset_of!(libc::sock_extended_err, ee_info));
        assert_eq!(OFFENDER, size_of::<libc::sock_extended_err>());
        assert_eq!(IN_ADDRESS, offset_of!(libc::sockaddr_in, sin_addr));
        assert_eq!(IN6_ADDRESS, offset_of!(libc::sockaddr_in6, sin6_addr));
        assert_eq!(IN6_SCOPE, offset_of!(libc::sockaddr_in6, sin6_scope_id));
        assert_eq!(PORT, offset_of!(libc::sockaddr_in, sin_port));
        assert_eq!(PORT, offset_of!(libc::sockaddr_in6, sin6_port));
    }

    #[test]
    fn transmitted_datagram_is_returned_with_the_time() {
        for host in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let Some(server) = bind_loopback(host) else { continue };
            let socket = UdpSocket::bind((host, 0)).expect("a port");
            socket.connect(server.local_addr().expect("bound")).expect("loopback");
            enable_timestamps(&socket).expect("a socket");
            queue_errors(&socket).expect("a socket");
            queue_transmit_times(&socket).expect("a socket");
            let before = realtime();
            socket.send(b"Tracy").expect("room");
            let mut packet = [0xa5; 256];
            let queued =
                take_queued(borrow(&socket), &mut packet).expect("at once on the loopback");
            let Queued::Transmitted { time, len } = queued else { panic!("{queued:?}") };
            assert!((before..=realtime()).contains(&time), "{time:?}");
            assert!(packet[..len].ends_with(b"Tracy"), "{:?}", &packet[..len]);
            assert_eq!(take_queued(borrow(&socket), &mut packet), None);
        }
    }

    #[test]
    fn refusal_on_the_loopback_quotes_the_datagram_and_names_this_host() {
        for host in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let Some(closed) = bind_loopback(host) else { continue };
            let server = closed.local_addr().expect("bound");
            let socket = UdpSocket::bind((host, 0)).expect("a port");
            queue_errors(&socket).expect("a socket");
            socket.connect(server).expect("loopback");
            drop(closed);
            socket.send(b"Tracy").expect("room");
            let mut quote = [0xa5; 8];
            let error = take_error(borrow(&socket), &mut quote).expect("at once on the loopback");
            let cause = Cause { kind: CauseKind::Refused, reporter: Some(host) };
            let destination = Some(server);
            let expected = QueuedError { code: libc::ECONNREFUSED, cause, destination, quoted: 5 };
            assert_eq!(error, expected);
            assert_eq!(&quote, b"Tracy\xa5\xa5\xa5");
            assert_eq!(take_error(borrow(&socket), &mut quote), None);
            socket.send(b"the error is cleared").expect("room");
        }
    }
}
