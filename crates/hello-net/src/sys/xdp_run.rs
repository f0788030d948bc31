/// What an XDP program did with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(all(target_os = "linux", feature = "xdp")),
    expect(dead_code, reason = "packets are run with XDP only")
)]
pub(crate) enum Run {
    Dropped,
    Passed(Vec<u8>),
    Sent(Vec<u8>),
}
