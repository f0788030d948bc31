/// What an XDP program did with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Dropped,
    /// As it was, or with its padding cut off.
    Passed(Vec<u8>),
    Sent(Vec<u8>),
}
