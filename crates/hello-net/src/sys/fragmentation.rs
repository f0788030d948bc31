#[cfg(any(feature = "probe", feature = "load"))]
use crate::packet_options::PathMtuDiscovery;

/// The handling of a datagram that is longer than its path takes in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragmentation {
    /// As by default: the system believes ICMP about the path, and fragments.
    SystemDefault,
    /// Sending one that the interface does not take is an error. For datagrams that fit every path,
    /// which then need no identification; that saves Linux a few per cent of its work.
    Never,
    /// It is fragmented, here or on its path, whatever ICMP says, so that nobody off the path can
    /// make the system send more packets.
    Allowed,
    /// As the user chose.
    #[cfg(any(feature = "probe", feature = "load"))]
    Chosen(PathMtuDiscovery),
}
