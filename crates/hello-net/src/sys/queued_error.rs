use std::net::SocketAddr;
use std::time::Duration;

use hello_measure::Cause;

/// A message out of a socket's error queue (recv(2), MSG_ERRQUEUE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "other systems have no such queue")
)]
pub(crate) enum Queued {
    /// An ICMP error.
    Error(QueuedError),
    /// A datagram was handed to the driver.
    Transmitted {
        /// When, since 1970 (UTC).
        time: Duration,
        /// The length of the packet, with all headers, in bytes; it is cut to the buffer.
        len: usize,
    },
}

/// An ICMP error about an earlier datagram, out of a socket's error queue (IP_RECVERR, ip(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueuedError {
    /// The error that a call on the socket returns for it (errno(3)).
    pub(crate) code: i32,
    pub(crate) cause: Cause,
    /// The address that the datagram was sent to, if the system reports it.
    pub(crate) destination: Option<SocketAddr>,
    /// The length of what it quotes of the datagram's payload, in bytes. The quote may be padded, and
    /// is cut to the buffer.
    pub(crate) quoted: usize,
}

/// The longest quote, in bytes: an ICMPv6 error is not longer than the smallest MTU (RFC 4443 section
/// 2.4).
pub(crate) const MAX_QUOTE: usize = 1280;
