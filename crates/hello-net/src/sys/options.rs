//! Socket options: what this crate sets, and how an adopted socket gets its own back.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
#[cfg(target_os = "linux")]
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use socket2::SockRef;

#[cfg(target_os = "linux")]
use super::linux;

/// What becomes of a datagram that is longer than its path takes in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragmentation {
    /// What the system does by default: it believes ICMP about the path, and fragments.
    SystemDefault,
    /// Sending one that the interface does not take is an error. For datagrams that fit through
    /// every path: those need no identification, which saves Linux a few per cent of its work.
    Never,
    /// It is fragmented, here or on its way, whatever ICMP says, so that nobody off the path can
    /// make the system send more packets (IP_PMTUDISC_OMIT, as name servers have it).
    Allowed,
}

impl Fragmentation {
    /// Applies this to a socket, on systems where that can be said. It does not depend on what was
    /// set before.
    pub(crate) fn apply(self, socket: &UdpSocket) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let mode = match self {
                Self::SystemDefault => libc::IP_PMTUDISC_WANT,
                Self::Never => libc::IP_PMTUDISC_PROBE,
                Self::Allowed => libc::IP_PMTUDISC_OMIT,
            };
            let is_ipv6 = socket.local_addr()?.is_ipv6();
            // What passes every path over IPv6 may not over IPv4, if a socket takes both.
            let mode_v4 = match self {
                Self::Never if is_ipv6 => libc::IP_PMTUDISC_OMIT,
                _ => mode,
            };
            linux::set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, mode_v4)?;
            if is_ipv6 {
                let never = i32::from(self == Self::Never);
                // Routers do not fragment IPv6, so this is the size that every path takes.
                let mtu = if self == Self::Allowed { IPV6_MIN_MTU } else { 0 };
                linux::set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, mode)?;
                linux::set(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, never)?;
                linux::set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU, mtu)?;
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (self, socket);
        Ok(())
    }
}

/// The smallest maximum transmission unit that a path may have over IPv6 (RFC 8200 section 5).
#[cfg(target_os = "linux")]
const IPV6_MIN_MTU: i32 = 1280;

/// Makes the system verify the checksum of each datagram before it queues the datagram.
///
/// Linux otherwise verifies that of a longer one inside the receive call, and starts the call's
/// timeout anew after each that is wrong: a few of them a second would hold the call for ever. With
/// any filter it verifies first, and this filter accepts everything. A socket that has a filter
/// keeps it.
pub(crate) fn verify_before_queueing(socket: &UdpSocket) {
    #[cfg(target_os = "linux")]
    if !linux::has_filter(socket) {
        // It returns how many bytes of a datagram are kept.
        let accept_all = [socket2::SockFilter::new(BPF_RET, 0, 0, u32::MAX)];
        // It can fail for want of memory only, and the socket works without it.
        let _ = SockRef::from(socket).attach_filter(&accept_all);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// Sets whether the same user may bind further sockets to the address of a bound one
/// (SO_REUSEPORT, socket(7)).
#[cfg(target_os = "linux")]
pub(super) fn share_port(socket: &UdpSocket, shared: bool) -> io::Result<()> {
    SockRef::from(socket).set_reuse_port(shared)
}

/// Makes the system queue nothing for a socket, and count what it is given as dropped: a filter that
/// rejects every datagram.
#[cfg(target_os = "linux")]
pub(crate) fn receive_nothing(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).attach_filter(&[socket2::SockFilter::new(BPF_RET, 0, 0, 0)])
}

/// Makes all datagrams to an address that sockets share go to the first that was bound
/// (SO_ATTACH_REUSEPORT_CBPF, socket(7)): the program returns the number of a socket.
#[cfg(target_os = "linux")]
pub(super) fn receive_at_first_only(socket: &UdpSocket) -> io::Result<()> {
    linux::attach_reuseport_program(socket, BPF_RET, 0)
}

/// `BPF_RET | BPF_K` (bpf(4)): a program of this one instruction returns the constant beside it.
#[cfg(target_os = "linux")]
const BPF_RET: u16 = 0x06;

/// Lets an IPv6 socket send from every address whose datagrams it is given, also where a whole
/// prefix is local and no single address is (AnyIP; IPV6_FREEBIND takes no privilege).
pub(super) fn send_from_any_local(socket: &UdpSocket) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    linux::set(socket, libc::IPPROTO_IPV6, libc::IPV6_FREEBIND, 1)?;
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
    Ok(())
}

/// Makes the system tell of each datagram where it was sent to, if `local` is not an address of one
/// machine alone; where that can be said.
pub(crate) fn report_destinations(socket: &impl AsFd, local: SocketAddr) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match (local.ip().is_unspecified(), local.is_ipv4()) {
        (false, _) => {}
        (true, true) => linux::set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?,
        (true, false) => linux::set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?,
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, local);
    Ok(())
}

/// One of a socket's two buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffer {
    Receive,
    Send,
}

impl Buffer {
    /// Returns its size in bytes, as the system has it. Linux doubles what is asked for, to have
    /// room for its own bookkeeping (SO_RCVBUF, socket(7)).
    pub(crate) fn size(self, socket: &impl AsFd) -> io::Result<usize> {
        let socket = SockRef::from(socket);
        match self {
            Self::Receive => socket.recv_buffer_size(),
            Self::Send => socket.send_buffer_size(),
        }
    }

    /// Sets its size, as far as the system lets us: beyond the limit for everybody with
    /// CAP_NET_ADMIN (SO_RCVBUFFORCE, SO_SNDBUFFORCE, socket(7)).
    pub(crate) fn set(self, socket: &UdpSocket, bytes: usize) -> io::Result<()> {
        // More, Linux cannot double; and no number of bytes may come out as another one.
        let bytes = bytes.min(i32::MAX as usize / 2);
        #[cfg(target_os = "linux")]
        if self.force(socket, bytes).is_ok() {
            return Ok(());
        }
        self.set_within_limit(socket, bytes)
    }

    /// Makes it at least as large, as far as the system lets us; never smaller.
    pub(crate) fn enlarge(self, socket: &UdpSocket, bytes: usize) -> io::Result<()> {
        let before = self.size(socket)?;
        if before >= granted(bytes) {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        {
            if self.force(socket, bytes).is_ok() {
                return Ok(());
            }
            // Somebody with the privilege may have made it larger than we can. The limit is the
            // same for sockets of every kind, so another one shows it.
            let other = UnixDatagram::unbound()?;
            self.set_within_limit(&other, bytes)?;
            if self.size(&other)? <= before {
                return Ok(());
            }
        }
        self.set_within_limit(socket, bytes)
    }

    fn set_within_limit(self, socket: &impl AsFd, bytes: usize) -> io::Result<()> {
        let socket = SockRef::from(socket);
        match self {
            Self::Receive => socket.set_recv_buffer_size(bytes),
            Self::Send => socket.set_send_buffer_size(bytes),
        }
    }

    #[cfg(target_os = "linux")]
    fn force(self, socket: &UdpSocket, bytes: usize) -> io::Result<()> {
        let name = match self {
            Self::Receive => libc::SO_RCVBUFFORCE,
            Self::Send => libc::SO_SNDBUFFORCE,
        };
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        linux::set(socket, libc::SOL_SOCKET, name, bytes)
    }
}

/// Returns the size that a system reports of a buffer for which it grants `bytes`.
pub(crate) fn granted(bytes: usize) -> usize {
    if cfg!(target_os = "linux") { bytes.saturating_mul(2) } else { bytes }
}

/// The options of a socket that somebody else made, which are theirs again when this is dropped.
///
/// The sizes of the buffers stay as they are then, for the buffers hold what is queued.
#[derive(Debug)]
pub(crate) struct AdoptedOptions {
    socket: UdpSocket,
    nonblocking: bool,
    read_timeout: Option<Duration>,
    /// By level and name, the value.
    #[cfg(target_os = "linux")]
    numbers: Vec<(i32, i32, i32)>,
    #[cfg(target_os = "linux")]
    had_filter: bool,
}

impl AdoptedOptions {
    /// Notes the options that a back end changes, and switches off what would add to a datagram
    /// what no back end has room for, or report an error of one reply in place of the next.
    pub(crate) fn take(socket: &UdpSocket) -> io::Result<Self> {
        let adopted = Self {
            nonblocking: SockRef::from(socket).nonblocking()?,
            read_timeout: socket.read_timeout()?,
            #[cfg(target_os = "linux")]
            numbers: Vec::from_iter([CHANGED, SWITCHED_OFF].concat().into_iter().filter_map(
                // Not an option of the other family, nor one that an older kernel does not know.
                |(level, name)| Some((level, name, linux::get(socket, level, name).ok()?)),
            )),
            #[cfg(target_os = "linux")]
            had_filter: linux::has_filter(socket),
            socket: socket.try_clone()?,
        };
        #[cfg(target_os = "linux")]
        for &(level, name, value) in &adopted.numbers {
            if value != 0 && SWITCHED_OFF.contains(&(level, name)) {
                linux::set(socket, level, name, 0)?;
            }
        }
        Ok(adopted)
    }
}

impl Drop for AdoptedOptions {
    fn drop(&mut self) {
        let _ = self.socket.set_nonblocking(self.nonblocking);
        let _ = self.socket.set_read_timeout(self.read_timeout);
        #[cfg(target_os = "linux")]
        {
            if self.socket.local_addr().is_ok_and(|local| local.is_ipv6()) {
                // It cannot be read back.
                let _ = linux::set(&self.socket, libc::IPPROTO_IPV6, libc::IPV6_MTU, 0);
            }
            // Options of which one switches another off come last.
            for is_last in [false, true] {
                for &(level, name, value) in &self.numbers {
                    let changed =
                        linux::get(&self.socket, level, name).is_ok_and(|now| now != value);
                    if changed && is_last == (value != 0) {
                        let _ = linux::set(&self.socket, level, name, value);
                    }
                }
            }
            if !self.had_filter {
                let _ = SockRef::from(&self.socket).detach_filter();
            }
        }
    }
}

/// The options that one back end or the other changes.
#[cfg(target_os = "linux")]
const CHANGED: &[(i32, i32)] = &[
    (libc::SOL_UDP, libc::UDP_GRO),
    (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
    (libc::IPPROTO_IP, libc::IP_PKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
    (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_FREEBIND),
];

/// The options that add control messages (ip(7), ipv6(7), socket(7)), those that make ICMP about one
/// reply an error of another call, and those that let replies go to everybody, together, or without
/// a checksum.
#[cfg(target_os = "linux")]
const SWITCHED_OFF: &[(i32, i32)] = &[
    (libc::SOL_SOCKET, libc::SO_BROADCAST),
    (libc::SOL_SOCKET, libc::SO_RXQ_OVFL),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMP),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPING),
    (libc::SOL_UDP, libc::UDP_CORK),
    (libc::SOL_UDP, libc::UDP_NO_CHECK6_TX),
    (libc::SOL_UDP, libc::UDP_SEGMENT),
    (libc::IPPROTO_IP, libc::IP_RECVERR),
    (libc::IPPROTO_IP, libc::IP_RECVTTL),
    (libc::IPPROTO_IP, libc::IP_RECVTOS),
    (libc::IPPROTO_IP, libc::IP_RECVOPTS),
    (libc::IPPROTO_IP, libc::IP_RETOPTS),
    (libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVRTHDR),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPOPTS),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVDSTOPTS),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVORIGDSTADDR),
];
