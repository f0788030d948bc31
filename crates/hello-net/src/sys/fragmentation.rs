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
    Chosen(PathMtuDiscovery),
}

/// Whether a packet that is longer than its path takes is fragmented: the modes of IP_MTU_DISCOVER
/// (ip(7)), by their names in `ping -M`.
///
/// ```
/// # #[cfg(feature = "load")]
/// # fn main() -> Result<(), hello_net::LoadError> {
/// use hello_net::{LoadGenerator, PacketOptions, PathMtuDiscovery};
///
/// let path_mtu_discovery = Some(PathMtuDiscovery::Do);
/// let packet = PacketOptions { path_mtu_discovery, ..PacketOptions::default() };
/// let plan = LoadGenerator::builder().packet(packet).check(([127, 0, 0, 1], 9999).into())?;
/// assert_eq!(plan.packet, packet);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "load"))]
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PathMtuDiscovery {
    /// Never: sending a packet that is longer than the known MTU of the path is an error. Routers
    /// report a smaller one.
    Do,
    /// Only here, once a router reported the MTU of the path.
    Want,
    /// Here and, over IPv4, on the path.
    Dont,
    /// Never, and reports of routers are ignored: sending a packet that is longer than the MTU of the
    /// interface is an error.
    Probe,
}
