use crate::sys::xdp::program::COUNTERS;

/// The outcomes of the packets that arrived at interfaces in whose driver a server answers.
///
/// What the program passes is counted by the socket that receives it, so it is no part of
/// [`received`](Self::received).
///
/// ```
/// use hello_net::{DriverCounters, Passed, Server};
///
/// fn summary(driver: &DriverCounters) -> String {
///     let passed: u64 = Passed::ALL.iter().map(|why| driver.passed(*why)).sum();
///     format!("{} answered, {} over the limit, {passed} passed", driver.answered(), driver.over_limit())
/// }
///
/// assert_eq!(summary(&DriverCounters::default()), "0 answered, 0 over the limit, 0 passed");
/// let server = Server::builder().bind([([127, 0, 0, 1], 0).into()])?;
/// assert_eq!(server.counters().driver().map(summary), None, "it answers in no driver");
/// # Ok::<(), hello_net::ServerError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverCounters([u64; COUNTERS]);

/// Why a packet was passed to the kernel.
///
/// ```
/// use hello_net::Passed;
///
/// let labels = Passed::ALL.map(Passed::label);
/// assert_eq!(labels, ["other", "source", "name", "checksum", "room"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Passed {
    /// It is not a plain UDP datagram to a served address: any other traffic of the interface, and
    /// datagrams with IP options, extension headers or fragments.
    Other,
    /// Its source is refused, or its port is that of a service.
    Source,
    /// Its name is too long, or starts with the greeting twice.
    Name,
    /// It has no checksum where one is needed, or one that its sender left to the hardware and that
    /// cannot be completed.
    Checksum,
    /// The driver left no room before the packet for a longer one.
    Room,
}

impl DriverCounters {
    pub(super) fn new(counters: [u64; COUNTERS]) -> Self {
        Self(counters)
    }

    /// Returns the number of requests that the program answered or dropped.
    pub fn received(&self) -> u64 {
        self.answered() + self.over_limit()
    }

    /// Returns the number of replies handed to the driver. If its queue is full, it drops them, and counts
    /// that itself (ethtool(8), `--statistics`).
    pub fn answered(&self) -> u64 {
        self.answered_ipv4() + self.answered_ipv6()
    }

    /// Returns the number of replies over IPv4.
    pub fn answered_ipv4(&self) -> u64 {
        self.0[0]
    }

    /// Returns the number of replies over IPv6.
    pub fn answered_ipv6(&self) -> u64 {
        self.0[1]
    }

    /// Returns the number of requests dropped because their source exceeded the limit.
    pub fn over_limit(&self) -> u64 {
        self.0[2]
    }

    /// Returns the number of requests that exceeded the limit and were answered.
    pub fn over_limit_answered(&self) -> u64 {
        self.0[3]
    }

    /// Returns the number of packets passed to the kernel for one reason.
    pub fn passed(&self, why: Passed) -> u64 {
        self.0[4 + why as usize]
    }
}

impl Passed {
    /// All reasons.
    pub const ALL: [Self; 5] = [Self::Other, Self::Source, Self::Name, Self::Checksum, Self::Room];

    /// Returns the label of its counter, in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Source => "source",
            Self::Name => "name",
            Self::Checksum => "checksum",
            Self::Room => "room",
        }
    }
}
