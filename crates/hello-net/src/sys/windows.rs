//! Windows: Winsock, and `quinn-udp`.

pub(crate) mod options;
pub(super) mod time;
pub(super) mod wait;
mod winsock;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::windows::io::AsSocket;

use socket2::{SockRef, Socket};
use windows_sys::Win32::Foundation::{
    ERROR_HOST_UNREACHABLE, ERROR_NETWORK_UNREACHABLE, ERROR_PORT_UNREACHABLE,
    ERROR_PROTOCOL_UNREACHABLE,
};
use windows_sys::Win32::Networking::WinSock::{
    SIO_UDP_CONNRESET, SIO_UDP_NETRESET, SO_EXCLUSIVEADDRUSE, SOL_SOCKET, WSAECONNREFUSED,
    WSAECONNRESET, WSAEHOSTDOWN, WSAEHOSTUNREACH, WSAEINTR, WSAEMSGSIZE, WSAENETRESET,
    WSAENETUNREACH, WSAENOBUFS, WSAENOPROTOOPT, WSAEOPNOTSUPP, WSAEPROTONOSUPPORT,
};

pub(crate) use self::time::{monotonic, realtime, thread_time};
pub(crate) use self::wait::wait_readable;
use super::error_codes::ErrorCodes;
pub(crate) use super::fallback::interface_name;
#[cfg(feature = "__batches")]
pub(crate) use super::fallback::{native, recv_slots, sockaddr};

pub(super) const ERROR_CODES: ErrorCodes = ErrorCodes {
    interrupted: &[WSAEINTR],
    no_buffers: &[WSAENOBUFS],
    too_long: &[WSAEMSGSIZE],
    // Of a datagram socket, the former means ICMP's "port unreachable" (recv).
    refused: &[WSAECONNRESET, PORT_UNREACHABLE],
    protocol: &[WSAENOPROTOOPT, WSAEOPNOTSUPP, WSAEPROTONOSUPPORT, PROTOCOL_UNREACHABLE],
    // Of a datagram socket, the latter means that the TTL expired (recv).
    unreachable: &[WSAEHOSTDOWN, WSAENETRESET],
    icmp_reports: &[
        WSAECONNRESET,
        WSAECONNREFUSED,
        WSAENETRESET,
        WSAEHOSTUNREACH,
        WSAENETUNREACH,
        WSAEHOSTDOWN,
        // Of a received datagram: it was longer than the buffer.
        WSAEMSGSIZE,
        PORT_UNREACHABLE,
        PROTOCOL_UNREACHABLE,
        ERROR_HOST_UNREACHABLE.cast_signed(),
        ERROR_NETWORK_UNREACHABLE.cast_signed(),
    ],
};

const PORT_UNREACHABLE: i32 = ERROR_PORT_UNREACHABLE.cast_signed();
const PROTOCOL_UNREACHABLE: i32 = ERROR_PROTOCOL_UNREACHABLE.cast_signed();

/// The codes that tests name, by their names on Unix.
#[cfg(test)]
pub(crate) mod errno {
    use windows_sys::Win32::Foundation::{
        ERROR_ACCESS_DENIED, ERROR_IO_DEVICE, ERROR_NOT_ENOUGH_MEMORY,
    };
    pub(crate) use windows_sys::Win32::Networking::WinSock::{
        WSAEACCES as EACCES, WSAEADDRNOTAVAIL as EADDRNOTAVAIL, WSAECONNREFUSED as ECONNREFUSED,
        WSAEHOSTDOWN as EHOSTDOWN, WSAEHOSTUNREACH as EHOSTUNREACH, WSAEINTR as EINTR,
        WSAEINVAL as EINVAL, WSAEMSGSIZE as EMSGSIZE, WSAENETDOWN as ENETDOWN,
        WSAENETUNREACH as ENETUNREACH, WSAENOBUFS as ENOBUFS, WSAENOPROTOOPT as ENOPROTOOPT,
        WSAENOTSOCK as EBADF, WSAEOPNOTSUPP as EOPNOTSUPP, WSAEPROTONOSUPPORT as EPROTO,
        WSAEWOULDBLOCK as EAGAIN,
    };

    pub(crate) const EIO: i32 = ERROR_IO_DEVICE.cast_signed();
    pub(crate) const ENOMEM: i32 = ERROR_NOT_ENOUGH_MEMORY.cast_signed();
    pub(crate) const EPERM: i32 = ERROR_ACCESS_DENIED.cast_signed();
}

/// A borrowed socket, as std has it on this system: `BorrowedSocket` on Windows, `BorrowedFd` on
/// Unix. socket2's `SockRef::from(&socket)` sets its options.
pub type BorrowedSocket<'s> = std::os::windows::io::BorrowedSocket<'s>;

pub(crate) fn borrow(socket: &UdpSocket) -> BorrowedSocket<'_> {
    socket.as_socket()
}

/// The system has no SO_REUSEPORT, and with its SO_REUSEADDR the last socket takes all over.
pub(crate) fn share_port(_: &Socket, _: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Refuses the port to any other socket. Otherwise one with SO_REUSEADDR takes it over.
pub(crate) fn hold_port(socket: &Socket) -> io::Result<()> {
    winsock::set(socket.as_socket(), SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1)
}

/// Makes the system tell a socket that is not connected nothing of ICMP errors. Otherwise, the next
/// receive call fails for each reply to a port that was closed in the meantime.
pub(crate) fn ignore_reports(socket: &Socket) {
    for code in [SIO_UDP_CONNRESET, SIO_UDP_NETRESET] {
        // A receive loop survives such an error, too.
        let _ = winsock::turn_off(socket.as_socket(), code);
    }
}

/// Sends a datagram by a connected socket. The system takes it without waiting.
pub(crate) fn try_send(socket: &UdpSocket, datagram: &[u8]) -> io::Result<()> {
    socket.send(datagram).map(drop)
}

/// The system leaves the mark to its policies, and ignores IP_TOS.
pub(crate) fn set_mark(_: &UdpSocket, _: SocketAddr, _: u8) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sets the TTL or the hop limit of what a socket sends to `peer` (IP_TTL, IPV6_UNICAST_HOPS).
pub(crate) fn set_ttl(socket: &UdpSocket, peer: SocketAddr, ttl: u8) -> io::Result<()> {
    let socket = SockRef::from(socket);
    match peer.ip().to_canonical().is_ipv4() {
        true => socket.set_ttl_v4(ttl.into()),
        false => socket.set_unicast_hops_v6(ttl.into()),
    }
}

/// Wakes each thread that polls it, from the first call of [`wake`](Self::wake) on.
#[derive(Debug)]
pub(crate) struct Waker {
    /// Connected to itself. Has a datagram, which nobody reads, after that call.
    socket: UdpSocket,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        Ok(Self { socket })
    }

    /// Wakes all threads. Called once, because room for one byte is certain.
    pub(crate) fn wake(&self) {
        let _ = self.socket.send(&[0]);
    }

    /// Returns a socket that is readable from the first call of [`wake`](Self::wake) on.
    pub(crate) fn socket(&self) -> BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::error_class::ErrorClass;

    #[test]
    fn what_windows_says_of_a_datagram_socket_has_its_class() {
        for (code, class) in [
            (WSAECONNRESET, ErrorClass::ConnectionRefused),
            (WSAECONNREFUSED, ErrorClass::ConnectionRefused),
            (PORT_UNREACHABLE, ErrorClass::ConnectionRefused),
            (WSAENETRESET, ErrorClass::Unreachable),
            (WSAEHOSTUNREACH, ErrorClass::Unreachable),
            (WSAEINTR, ErrorClass::Interrupted),
            (WSAEMSGSIZE, ErrorClass::TooLong),
            (WSAENOBUFS, ErrorClass::NoBuffers),
            (PROTOCOL_UNREACHABLE, ErrorClass::Protocol),
        ] {
            assert_eq!(ErrorClass::of(&io::Error::from_raw_os_error(code)), class, "{code}");
        }
    }

    #[test]
    fn a_bound_port_is_refused_even_to_a_socket_that_would_take_it_over() {
        let held = crate::sys::socket::bind(
            (Ipv4Addr::LOCALHOST, 0).into(),
            crate::sys::socket::PortSharing::Exclusive,
        );
        let address = held.as_ref().expect("a port").local_addr().expect("bound");
        let other = Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
        let other = other.expect("a socket");
        other.set_reuse_address(true).expect("an option");
        other.bind(&address.into()).expect_err("it is taken");
    }
}
