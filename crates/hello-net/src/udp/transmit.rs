//! What a back end sends.

use std::borrow::Cow;
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use hello_proto::MAX_DATAGRAM_LEN;

/// Datagrams on one route that leave as one: one datagram, or a train (UDP_SEGMENT, udp(7)).
#[derive(Clone, Debug)]
pub(crate) struct Transmit {
    pub(crate) route: Route,
    /// The length of each datagram but the last, which may be shorter, in bytes.
    pub(crate) segment: usize,
    /// How many datagrams.
    pub(crate) count: usize,
    /// Their length in all, in bytes.
    pub(crate) len: usize,
    /// Which of the iovecs given beside it are its bytes.
    pub(crate) iovecs: Range<usize>,
}

/// Between whom a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) to: SocketAddr,
    /// The address to send from, where the socket has several.
    pub(crate) from: Option<LocalAddr>,
}

/// An address of ours to send from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalAddr {
    /// Unspecified where the system is to choose.
    pub(crate) address: IpAddr,
    /// The index of the interface, without which a link-local address means nothing; 0 leaves it
    /// to the routes.
    pub(crate) interface: u32,
}

impl Transmit {
    /// How many datagrams a message has at most: what every kernel that segments at all takes
    /// (UDP_MAX_SEGMENTS).
    pub(crate) const MAX_SEGMENTS: usize = 64;

    /// A datagram of so many bytes, whose iovecs are still to be told.
    pub(crate) fn new(route: Route, len: usize) -> Self {
        Self { route, segment: len, count: 1, len, iovecs: 0..0 }
    }

    /// Tells whether a datagram of `len` bytes may follow: all before it have the same length, it
    /// is not longer, and the whole is no more than a message can be.
    pub(crate) fn fits(&self, len: usize) -> bool {
        self.len == self.segment * self.count
            && len <= self.segment
            && self.count < Self::MAX_SEGMENTS
            && self.len + len <= MAX_DATAGRAM_LEN
    }

    /// Returns its bytes in one piece; `iovecs` are those of all messages.
    pub(crate) fn bytes<'p>(&self, iovecs: &'p [IoSlice<'_>]) -> Cow<'p, [u8]> {
        match &iovecs[self.iovecs.clone()] {
            [part] => Cow::Borrowed(part),
            iovecs => iovecs.iter().flat_map(|part| part.iter()).copied().collect(),
        }
    }
}

impl Route {
    /// A number that differs between routes as well as a few instructions can make it. Somebody
    /// who chooses sources that share one gains nothing: there are only so many in a batch.
    pub(crate) fn hash(self) -> usize {
        self.address_hash() ^ usize::from(self.to.port())
    }

    /// The same for the address that it leads to, whatever the port.
    pub(crate) fn address_hash(self) -> usize {
        match self.to.ip() {
            IpAddr::V4(address) => address.to_bits() as usize,
            IpAddr::V6(address) => address.segments()[7].into(),
        }
    }
}
