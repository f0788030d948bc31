//! What Linux and the other systems of the Unix family share.

use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use libc::{
    EACCES, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOPROTOOPT,
    EOPNOTSUPP, EPROTO,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, send, sockopt};
use rustix::time::{ClockId, clock_gettime};
use socket2::{SockRef, Socket};

use super::error_codes::ErrorCodes;
use super::latch::Latch;

#[cfg(test)]
pub(crate) use libc as errno;

/// The codes that all of them have.
pub(super) const ERROR_CODES: ErrorCodes = ErrorCodes {
    interrupted: &[],
    no_buffers: &[ENOBUFS],
    too_long: &[EMSGSIZE],
    refused: &[],
    protocol: &[EPROTO, ENOPROTOOPT, EOPNOTSUPP],
    unreachable: &[EHOSTDOWN],
    icmp_reports: &[
        ECONNREFUSED,
        EHOSTUNREACH,
        ENETUNREACH,
        EACCES,
        EPROTO,
        ENOPROTOOPT,
        EMSGSIZE,
        EHOSTDOWN,
        EOPNOTSUPP,
    ],
};

/// A borrowed socket, as std has it on this system: `BorrowedFd` on Unix, `BorrowedSocket` on
/// Windows. socket2's `SockRef::from(&socket)` sets its options.
pub type BorrowedSocket<'s> = BorrowedFd<'s>;

pub(crate) fn borrow(socket: &UdpSocket) -> BorrowedSocket<'_> {
    socket.as_fd()
}

/// Sets whether the same user may bind further sockets to the address of a socket (SO_REUSEPORT,
/// socket(7)).
pub(crate) fn share_port(socket: &Socket, shared: bool) -> io::Result<()> {
    socket.set_reuse_port(shared)
}

/// Nobody takes a port over while both sockets have SO_REUSEADDR off.
pub(crate) fn hold_port(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// A socket that is not connected hears of no ICMP error.
pub(crate) fn ignore_reports(_: &Socket) {}

/// Returns whether calls on a socket fail rather than wait.
pub(super) fn is_nonblocking(socket: &UdpSocket) -> io::Result<bool> {
    SockRef::from(socket).nonblocking()
}

/// Sends a datagram by a connected socket, and fails rather than wait.
pub(crate) fn try_send(socket: &UdpSocket, datagram: &[u8]) -> io::Result<()> {
    send(socket, datagram, SendFlags::DONTWAIT)?;
    Ok(())
}

/// Sets the byte with the DSCP and the ECN codepoint of what a socket sends to `peer` (IP_TOS, ip(7);
/// IPV6_TCLASS, RFC 3542 section 6.5).
pub(crate) fn set_mark(socket: &UdpSocket, peer: SocketAddr, byte: u8) -> io::Result<()> {
    let (v4, v6) = families(peer);
    if v4 {
        sockopt::set_ip_tos(socket, byte)?;
    }
    if v6 {
        sockopt::set_ipv6_tclass(socket, byte.into())?;
    }
    Ok(())
}

/// Sets the TTL or the hop limit of what a socket sends to `peer` (IP_TTL, ip(7); IPV6_UNICAST_HOPS,
/// ipv6(7)).
pub(crate) fn set_ttl(socket: &UdpSocket, peer: SocketAddr, ttl: u8) -> io::Result<()> {
    let (v4, v6) = families(peer);
    if v4 {
        sockopt::set_ip_ttl(socket, ttl.into())?;
    }
    if v6 {
        sockopt::set_ipv6_unicast_hops(socket, Some(ttl))?;
    }
    Ok(())
}

/// Returns whether packets to `peer` are IPv4 or IPv6, and so whose options a socket needs: an IPv6
/// socket sends IPv4 packets to a mapped address (RFC 4291 section 2.5.5.2).
pub(super) fn families(peer: SocketAddr) -> (bool, bool) {
    let is_v4 = peer.ip().to_canonical().is_ipv4();
    (is_v4, !is_v4)
}

/// Wakes each thread that polls it, from the first call of [`wake`](Self::wake) on.
#[derive(Debug)]
pub(crate) struct Waker {
    /// Has a byte, which nobody reads, after that call.
    reader: UnixStream,
    writer: UnixStream,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        Ok(Self { reader, writer })
    }

    /// Wakes all threads. Called once, because room for one byte is certain.
    pub(crate) fn wake(&self) {
        let _ = (&self.writer).write(&[0]);
    }

    /// Returns a socket that is readable from the first call of [`wake`](Self::wake) on.
    pub(crate) fn socket(&self) -> BorrowedSocket<'_> {
        self.reader.as_fd()
    }

    /// Returns what to poll beside other descriptors.
    pub(super) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.reader, PollFlags::IN)
    }
}

/// Waits until a socket has something to receive or the latch is raised, for `timeout` at most.
pub(crate) fn wait_readable(
    socket: &UdpSocket,
    latch: Option<&Latch>,
    timeout: Duration,
) -> io::Result<()> {
    // A time that is too long for the system is no limit.
    let timeout = Timespec::try_from(timeout).ok();
    let socket = PollFd::new(socket, PollFlags::IN);
    match latch {
        Some(latch) => poll(&mut [socket, latch.waker().poll_fd()], timeout.as_ref())?,
        None => poll(&mut [socket], timeout.as_ref())?,
    };
    Ok(())
}

/// Returns the time on a clock that never jumps (CLOCK_MONOTONIC, clock_gettime(2)).
pub(crate) fn monotonic() -> Duration {
    read(ClockId::Monotonic)
}

/// Returns the time since 1970 in UTC, on a clock that may be set (CLOCK_REALTIME).
pub(crate) fn realtime() -> Duration {
    read(ClockId::Realtime)
}

/// Returns the CPU time of this thread, including the kernel's on its behalf
/// (CLOCK_THREAD_CPUTIME_ID).
pub(crate) fn thread_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    // Neither is ever negative on a clock that is set to our times.
    Duration::new(tv_sec.try_into().unwrap_or(0), tv_nsec.try_into().unwrap_or(0))
}
