/// The error codes of a system that std gives no [`ErrorKind`](std::io::ErrorKind), by what they
/// mean.
pub(crate) struct ErrorCodes {
    /// The call was interrupted.
    pub(crate) interrupted: &'static [i32],
    /// The system is short of memory for the datagram.
    pub(crate) no_buffers: &'static [i32],
    /// The datagram is longer than the interface or the socket accepts.
    pub(crate) too_long: &'static [i32],
    /// Nothing listens at the peer's port.
    pub(crate) refused: &'static [i32],
    /// The network or the host rejected it as a protocol error.
    pub(crate) protocol: &'static [i32],
    /// No path leads there.
    pub(crate) unreachable: &'static [i32],
    /// ICMP or ICMPv6 reported on an earlier datagram.
    pub(crate) icmp_reports: &'static [i32],
}
