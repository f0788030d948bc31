//! What the prober and the load generator write into the headers of their packets.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU8;

use hello_measure::Mark;

use crate::sys;
use crate::sys::fragmentation::{Fragmentation, PathMtuDiscovery};

/// The fields of the IP header that a sender chooses. By default, they are the system's.
///
/// ```
/// # #[cfg(feature = "probe")]
/// # fn main() -> Result<(), hello_net::ProbeError> {
/// use hello_net::hello_measure::{Dscp, Ecn, Mark};
/// use hello_net::{PacketOptions, Prober};
///
/// let packet = PacketOptions {
///     mark: Mark { dscp: Dscp::EF, ecn: Ecn::Ect0 },
///     ttl: 12.try_into().ok(),
///     ..PacketOptions::default()
/// };
/// let prober = Prober::builder().packet(packet).connect(([127, 0, 0, 1], 9999).into())?;
/// assert_eq!(prober.plan().packet, packet);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "probe"))]
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketOptions {
    /// The DSCP and the ECN codepoint (IP_TOS, ip(7); IPV6_TCLASS, RFC 3542 section 6.5).
    pub mark: Mark,
    /// The number of hops that a packet may take (IP_TTL; IPV6_UNICAST_HOPS); `None` for the system's
    /// number, usually 64.
    pub ttl: Option<NonZeroU8>,
    /// Whether packets may be fragmented; `None` for what suits the size of the names. Only Linux lets
    /// a program choose.
    pub path_mtu_discovery: Option<PathMtuDiscovery>,
}

impl PacketOptions {
    /// The system's choice of everything.
    pub(crate) const DEFAULT: Self =
        Self { mark: Mark::from_byte(0), ttl: None, path_mtu_discovery: None };

    /// Sets the mark and the TTL of what a socket sends to `server`. Its back end sets
    /// [`fragmentation`](Self::fragmentation).
    pub(crate) fn apply(self, socket: &UdpSocket, server: SocketAddr) -> io::Result<()> {
        if self.is_marked() {
            sys::set_mark(socket, server, self.mark.byte())?;
        }
        match self.ttl {
            Some(ttl) => sys::set_ttl(socket, server, ttl.get()),
            None => Ok(()),
        }
    }

    /// Returns whether it has another mark than the system's.
    pub(crate) fn is_marked(self) -> bool {
        self.mark != Mark::default()
    }

    /// Returns how long datagrams are handled: as `default`, unless it was chosen.
    pub(crate) fn fragmentation(self, default: Fragmentation) -> Fragmentation {
        self.path_mtu_discovery.map_or(default, Fragmentation::Chosen)
    }
}

impl Default for PacketOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}
