use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::OnceLock;

use socket2::{Domain, SockFilter, SockRef, Socket, Type};

pub(crate) use super::error_queue::{queue_errors, queue_transmit_times, take_error, take_queued};
use super::sockopt::{attach_reuseport_program, get, has_filter, network, set};
pub(crate) use super::sockopt::{drops, try_send_with_ttl};
use crate::sys::buffer::Buffer;
use crate::sys::fragmentation::{Fragmentation, PathMtuDiscovery};
use crate::sys::posix::is_nonblocking;

/// Sets how long datagrams are handled, whatever was set before.
pub(crate) fn set_fragmentation(
    socket: &UdpSocket,
    fragmentation: Fragmentation,
) -> io::Result<()> {
    let mode = match fragmentation {
        Fragmentation::SystemDefault => libc::IP_PMTUDISC_WANT,
        Fragmentation::Never => libc::IP_PMTUDISC_PROBE,
        // As name servers do: no ICMP from off the path makes the system send more packets.
        Fragmentation::Allowed => libc::IP_PMTUDISC_OMIT,
        Fragmentation::Chosen(chosen) => match chosen {
            PathMtuDiscovery::Do => libc::IP_PMTUDISC_DO,
            PathMtuDiscovery::Want => libc::IP_PMTUDISC_WANT,
            PathMtuDiscovery::Dont => libc::IP_PMTUDISC_DONT,
            PathMtuDiscovery::Probe => libc::IP_PMTUDISC_PROBE,
        },
    };
    let is_ipv6 = socket.local_addr()?.is_ipv6();
    // If a socket uses both, a datagram that passes every path over IPv6 may not do so over IPv4.
    let mode_v4 = match fragmentation {
        Fragmentation::Never if is_ipv6 => libc::IP_PMTUDISC_OMIT,
        _ => mode,
    };
    set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, mode_v4)?;
    if is_ipv6 {
        // Otherwise Linux fragments in these modes, too.
        let never = i32::from([libc::IP_PMTUDISC_DO, libc::IP_PMTUDISC_PROBE].contains(&mode));
        // Routers do not fragment IPv6, so this is the size that every path takes.
        let mtu = if fragmentation == Fragmentation::Allowed { IPV6_MIN_MTU } else { 0 };
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, mode)?;
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, never)?;
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU, mtu)?;
    }
    Ok(())
}

/// Returns the MTU of the path of a connected socket as far as the system knows it, in bytes: that of
/// the own link, or less if ICMP reported it (IP_MTU, ip(7)).
pub(crate) fn known_path_mtu(socket: &UdpSocket, peer: SocketAddr) -> Option<u32> {
    let mtu = if peer.ip().to_canonical().is_ipv4() {
        get(socket, libc::IPPROTO_IP, libc::IP_MTU)
    } else {
        get(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU)
    };
    u32::try_from(mtu.ok()?).ok()
}

/// The smallest maximum transmission unit that a path may have over IPv6 (RFC 8200 section 5).
const IPV6_MIN_MTU: i32 = 1280;

/// Makes the system verify the checksum of each datagram before it queues the datagram.
///
/// Otherwise Linux verifies longer datagrams inside the receive call, and restarts the call's
/// timeout after each wrong one: a few per second would hold the call for ever. With any filter it
/// verifies first, and this filter accepts everything. A socket that has a filter keeps it.
pub(crate) fn verify_before_queueing(socket: &Socket) {
    if !has_filter(socket) {
        // The filter returns how many bytes of a datagram to keep.
        let accept_all = [SockFilter::new(BPF_RET, 0, 0, u32::MAX)];
        // It fails only for want of memory, and the socket works without it.
        let _ = socket.attach_filter(&accept_all);
    }
}

/// Makes the system queue nothing for a socket, and count what arrives as dropped, by a filter that
/// rejects every datagram.
pub(crate) fn receive_nothing(socket: &Socket) -> io::Result<()> {
    socket.attach_filter(&[SockFilter::new(BPF_RET, 0, 0, 0)])
}

/// Directs all datagrams to an address that sockets share to the one bound first
/// (SO_ATTACH_REUSEPORT_CBPF, socket(7)): the program returns the index of a socket.
pub(crate) fn receive_at_first_only(socket: &UdpSocket) -> io::Result<()> {
    attach_reuseport_program(socket, BPF_RET, 0)
}

/// `BPF_RET | BPF_K` (bpf(4)): returns the constant beside it.
const BPF_RET: u16 = 0x06;

/// Lets a socket at `[::]` send from every address whose datagrams it receives, even if only a
/// prefix is local and no single address is (AnyIP; IPV6_FREEBIND needs no privilege).
pub(crate) fn send_from_any_local(socket: &Socket, local: SocketAddr) -> io::Result<()> {
    match local.ip() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            set(socket, libc::IPPROTO_IPV6, libc::IPV6_FREEBIND, 1)
        }
        _ => Ok(()),
    }
}

/// Makes the system report the destination of each datagram (IP_PKTINFO, ip(7)), unless `local` is
/// the address of one machine.
pub(crate) fn report_destinations(socket: &Socket, local: SocketAddr) -> io::Result<()> {
    match (local.ip().is_unspecified(), local.is_ipv4()) {
        (false, _) => Ok(()),
        (true, true) => set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        (true, false) => set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Whether the system has calls for many messages, and so a native back end of its own: recvmmsg(2) and
/// sendmmsg(2).
pub(crate) const HAS_BATCH_CALLS: bool = true;

/// Returns whether the system can report when it received each message. Emulators of Linux may not.
pub(crate) fn has_timestamps() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    let open = || {
        let of = |domain| Socket::new(domain, Type::DGRAM, None);
        of(Domain::IPV4).or_else(|_| of(Domain::IPV6)).ok()
    };
    KNOWN.get().copied().unwrap_or_else(|| match open() {
        Some(socket) => *KNOWN.get_or_init(|| enable_timestamps(&socket.into()).is_ok()),
        // Whatever is wrong, the next socket has the same error, which its user sees.
        None => true,
    })
}

/// Makes the system report that (SO_TIMESTAMPNS, socket(7)), where it can.
pub(crate) fn enable_timestamps(socket: &UdpSocket) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
}

/// Makes the system report the TTL of each datagram from `peer` (IP_RECVTTL, ip(7)).
pub(crate) fn report_ttl(socket: &UdpSocket, peer: SocketAddr) -> io::Result<()> {
    // An IPv6 socket receives both.
    set(socket, libc::IPPROTO_IP, libc::IP_RECVTTL, 1)?;
    if peer.is_ipv6() {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1)
    } else {
        Ok(())
    }
}

/// Makes the system report the DSCP and the ECN codepoint of each datagram from `peer` (IP_RECVTOS,
/// ip(7)).
pub(crate) fn report_mark(socket: &UdpSocket, peer: SocketAddr) -> io::Result<()> {
    // An IPv6 socket receives both.
    set(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
    if peer.is_ipv6() { set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1) } else { Ok(()) }
}

/// Makes the system deliver the datagrams of a train in one piece (UDP_GRO, udp(7)), where it can.
pub(crate) fn enable_gro(socket: &UdpSocket) {
    // Kernels before 5.0 do not know it, and deliver the datagrams one by one.
    let _ = set(socket, libc::SOL_UDP, libc::UDP_GRO, 1);
}

/// Makes the system deliver the datagrams of a train one by one, whatever a back end set.
pub(crate) fn disable_gro(socket: &UdpSocket) -> io::Result<()> {
    match set(socket, libc::SOL_UDP, libc::UDP_GRO, 0) {
        // Kernels before 5.0 do nothing else.
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(()),
        result => result,
    }
}

/// Makes a socket send and receive by one interface only (SO_BINDTODEVICE, socket(7)).
pub(crate) fn bind_to_interface(socket: &Socket, interface: &str) -> io::Result<()> {
    socket.bind_device(Some(interface.as_bytes()))
}

/// Returns whether a socket receives by one interface only.
pub(crate) fn has_interface(socket: &UdpSocket) -> bool {
    !matches!(SockRef::from(socket).device(), Ok(None))
}

/// Returns whether a socket belongs to another network than this thread: other interfaces, which may
/// have the same addresses (network_namespaces(7)). Kernels before 5.14 do not report it.
pub(crate) fn is_of_another_network(socket: &UdpSocket) -> bool {
    let own = Socket::new(Domain::UNIX, Type::DGRAM, None).and_then(|own| network(&own));
    own.is_ok_and(|own| network(socket).is_ok_and(|network| network != own))
}

/// Returns the size that the system reports for a buffer for which it grants `bytes`: it doubles
/// them, to have room for its own bookkeeping (SO_RCVBUF, socket(7)).
pub(crate) fn granted(bytes: usize) -> usize {
    bytes.saturating_mul(2)
}

/// Sets the size of a buffer beyond the general limit, which needs CAP_NET_ADMIN (SO_RCVBUFFORCE,
/// SO_SNDBUFFORCE, socket(7)).
pub(crate) fn force_buffer(socket: &UdpSocket, buffer: Buffer, bytes: usize) -> io::Result<()> {
    let name = match buffer {
        Buffer::Receive => libc::SO_RCVBUFFORCE,
        Buffer::Send => libc::SO_SNDBUFFORCE,
    };
    set(socket, libc::SOL_SOCKET, name, i32::try_from(bytes).unwrap_or(i32::MAX))
}

/// Returns the size that a buffer would have if an unprivileged process set `bytes`. The limit is
/// the same for sockets of every kind, so another one shows it.
pub(crate) fn unprivileged_size(buffer: Buffer, bytes: usize) -> io::Result<usize> {
    let other = UnixDatagram::unbound()?;
    buffer.set_within_limit(&other, bytes)?;
    buffer.size(&other)
}

/// The options of an adopted socket that are changed or switched off.
#[derive(Debug)]
pub(crate) struct SavedOptions {
    nonblocking: bool,
    /// Level, name and value.
    numbers: Vec<(i32, i32, i32)>,
    had_filter: bool,
}

impl SavedOptions {
    /// Saves the options that a back end changes. Switches off those that add control messages for
    /// which no back end has room, or that report an error of one reply in place of the next.
    pub(crate) fn save(socket: &UdpSocket) -> io::Result<Self> {
        let all = [CHANGED, SWITCHED_OFF].concat().into_iter();
        let numbers = Vec::from_iter(all.filter_map(
            // Not an option of the other family, nor one that an older kernel does not know.
            |(level, name)| Some((level, name, get(socket, level, name).ok()?)),
        ));
        // An IPv6 socket would report an IPv4 destination a second time.
        let twice = socket.local_addr()?.is_ipv6().then_some((libc::IPPROTO_IP, libc::IP_PKTINFO));
        for &(level, name, value) in &numbers {
            let option = (level, name);
            if value != 0 && (SWITCHED_OFF.contains(&option) || twice == Some(option)) {
                set(socket, level, name, 0)?;
            }
        }
        Ok(Self { nonblocking: is_nonblocking(socket)?, numbers, had_filter: has_filter(socket) })
    }

    /// Restores the options of a socket.
    pub(crate) fn restore(&self, socket: &UdpSocket) {
        let _ = socket.set_nonblocking(self.nonblocking);
        if socket.local_addr().is_ok_and(|local| local.is_ipv6()) {
            // It cannot be read back.
            let _ = set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU, 0);
        }
        // Options that another one switches off come last.
        for is_last in [false, true] {
            for &(level, name, value) in &self.numbers {
                let changed = get(socket, level, name).is_ok_and(|now| now != value);
                if changed && is_last == (value != 0) {
                    let _ = set(socket, level, name, value);
                }
            }
        }
        if !self.had_filter {
            let _ = SockRef::from(socket).detach_filter();
        }
    }
}

/// The options that a back end changes.
const CHANGED: &[(i32, i32)] = &[
    (libc::SOL_UDP, libc::UDP_GRO),
    (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
    (libc::IPPROTO_IP, libc::IP_PKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
    (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_FREEBIND),
];

/// The options that add control messages (ip(7), ipv6(7), socket(7)), those that make ICMP about
/// one reply an error of another call, and those that let replies be broadcast, merged, or sent
/// without a checksum.
const SWITCHED_OFF: &[(i32, i32)] = &[
    (libc::SOL_SOCKET, libc::SO_BROADCAST),
    (libc::SOL_SOCKET, libc::SO_RCVMARK),
    (libc::SOL_SOCKET, libc::SO_RXQ_OVFL),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMP),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPING),
    (libc::SOL_SOCKET, libc::SO_WIFI_STATUS),
    (libc::SOL_UDP, libc::UDP_CORK),
    (libc::SOL_UDP, libc::UDP_NO_CHECK6_TX),
    (libc::SOL_UDP, libc::UDP_SEGMENT),
    (libc::IPPROTO_IP, libc::IP_CHECKSUM),
    (libc::IPPROTO_IP, libc::IP_PASSSEC),
    (libc::IPPROTO_IP, libc::IP_RECVERR),
    (libc::IPPROTO_IP, libc::IP_RECVFRAGSIZE),
    (libc::IPPROTO_IP, libc::IP_RECVTTL),
    (libc::IPPROTO_IP, libc::IP_RECVTOS),
    (libc::IPPROTO_IP, libc::IP_RECVOPTS),
    (libc::IPPROTO_IP, libc::IP_RETOPTS),
    (libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR),
    (libc::IPPROTO_IPV6, libc::IPV6_2292PKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_2292HOPLIMIT),
    (libc::IPPROTO_IPV6, libc::IPV6_2292RTHDR),
    (libc::IPPROTO_IPV6, libc::IPV6_2292HOPOPTS),
    (libc::IPPROTO_IPV6, libc::IPV6_2292DSTOPTS),
    (libc::IPPROTO_IPV6, libc::IPV6_FLOWINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVFRAGSIZE),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVPATHMTU),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVRTHDR),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPOPTS),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVDSTOPTS),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVORIGDSTADDR),
];

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_socket_that_is_bound_to_an_interface_is_known() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        assert!(!has_interface(&socket));
        SockRef::from(&socket).bind_device(Some(b"lo")).expect("no privilege is needed");
        assert!(has_interface(&socket));
        assert!(!is_of_another_network(&socket));
    }

    #[test]
    fn an_adopted_dual_stack_socket_reports_nothing_that_was_asked_for_before() {
        let Ok(both) = Socket::new(Domain::IPV6, Type::DGRAM, None) else {
            return;
        };
        both.set_only_v6(false).expect("possible");
        both.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()).expect("a free port");
        let socket = UdpSocket::from(both);
        let asked = [
            (libc::SOL_SOCKET, libc::SO_RCVMARK),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL),
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
            (libc::SOL_SOCKET, libc::SO_WIFI_STATUS),
            (libc::IPPROTO_IP, libc::IP_CHECKSUM),
            (libc::IPPROTO_IP, libc::IP_PASSSEC),
            (libc::IPPROTO_IP, libc::IP_PKTINFO),
            (libc::IPPROTO_IP, libc::IP_RECVFRAGSIZE),
            (libc::IPPROTO_IP, libc::IP_RECVOPTS),
            (libc::IPPROTO_IP, libc::IP_RECVTTL),
            (libc::IPPROTO_IPV6, libc::IPV6_2292DSTOPTS),
            (libc::IPPROTO_IPV6, libc::IPV6_2292HOPLIMIT),
            (libc::IPPROTO_IPV6, libc::IPV6_2292HOPOPTS),
            (libc::IPPROTO_IPV6, libc::IPV6_2292PKTINFO),
            (libc::IPPROTO_IPV6, libc::IPV6_2292RTHDR),
            (libc::IPPROTO_IPV6, libc::IPV6_FLOWINFO),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVFRAGSIZE),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVPATHMTU),
        ];
        // Older systems do not know all of them.
        let asked = asked.into_iter().filter(|&(level, name)| set(&socket, level, name, 1).is_ok());
        let asked = Vec::from_iter(asked);
        let values = || asked.iter().map(|&(level, name)| get(&socket, level, name).ok());
        let before = Vec::from_iter(values());
        assert!(before.iter().all(|value| *value == Some(1)), "{before:?}");
        let saved = SavedOptions::save(&socket).expect("a UDP socket");
        assert!(values().all(|value| value == Some(0)), "{:?}", Vec::from_iter(values()));
        saved.restore(&socket);
        assert_eq!(Vec::from_iter(values()), before);
    }
}
