/// What becomes of a datagram that is longer than its path takes in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragmentation {
    /// What the system does by default: it believes ICMP about the path, and fragments.
    SystemDefault,
    /// Sending one that the interface does not take is an error. For datagrams that fit through
    /// every path: those need no identification, which saves Linux a few per cent of its work.
    Never,
    /// It is fragmented, here or on its path, whatever ICMP says, so that nobody off the path can
    /// make the system send more packets.
    Allowed,
}
