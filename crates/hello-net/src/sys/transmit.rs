//! What a back end sends.

use std::borrow::Cow;
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use hello_proto::MAX_DATAGRAM_LEN;

use crate::sys::RawSockAddr;

/// Datagrams on one route that leave as one message: one, or a train (UDP_SEGMENT, udp(7)).
#[derive(Clone, Debug)]
pub(crate) struct Transmit {
    pub(crate) route: Route,
    /// The length of each datagram but the last, which may be shorter, in bytes.
    pub(crate) segment: usize,
    /// The number of datagrams.
    pub(crate) count: usize,
    /// The total length, in bytes.
    pub(crate) len: usize,
    /// Its bytes, among the iovecs of all messages.
    pub(crate) iovecs: Range<usize>,
}

/// The two ends of a message's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) to: RawSockAddr,
    /// The address to send from, where the socket has several.
    pub(crate) from: Option<LocalAddr>,
}

/// An address of ours to send from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalAddr {
    /// Unspecified to let the system choose.
    pub(crate) address: IpAddr,
    /// The index of the interface, which a link-local address needs; 0 leaves it to the routes.
    pub(crate) interface: u32,
}

impl Transmit {
    /// The most datagrams in a message: what every kernel that segments at all accepts
    /// (UDP_MAX_SEGMENTS).
    pub(crate) const MAX_SEGMENTS: usize = 64;

    /// Makes a message of one datagram of this length. Its iovecs are set later.
    pub(crate) fn new(route: Route, len: usize) -> Self {
        Self { route, segment: len, count: 1, len, iovecs: 0..0 }
    }

    /// Returns how many datagrams of `len` bytes fit into a message.
    pub(crate) fn max_datagrams(len: usize) -> usize {
        let is_short = len <= MAX_DATAGRAM_LEN / Self::MAX_SEGMENTS;
        if is_short { Self::MAX_SEGMENTS } else { MAX_DATAGRAM_LEN / len }
    }

    /// Returns the bytes in one piece; `iovecs` are those of all messages.
    pub(crate) fn bytes<'p>(&self, iovecs: &'p [IoSlice<'_>]) -> Cow<'p, [u8]> {
        match &iovecs[self.iovecs.clone()] {
            [part] => Cow::Borrowed(part),
            iovecs => iovecs.iter().flat_map(|part| part.iter()).copied().collect(),
        }
    }
}

impl Route {
    /// Leaves it to the system where to send from.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { to: RawSockAddr::new(address), from: None }
    }
}
