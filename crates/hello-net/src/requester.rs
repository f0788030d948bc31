//! What the prober and the load generator share: both send requests and account for the replies.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
#[cfg(feature = "probe")]
use std::{num::NonZeroU32, ops::RangeInclusive};

use crate::clock::TimestampMapper;
use crate::sys::batch::RecvBatch;
use crate::udp::socket_error::SocketError;

/// Why a probe or a request that was due did not leave.
///
/// ```
/// use hello_net::{ErrorClass, NotSent};
///
/// assert_eq!(NotSent::Late.label(), "late");
/// assert_eq!(NotSent::Failed(ErrorClass::Denied.into()).label(), "denied");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotSent {
    /// The system did not take it.
    Failed(SocketError),
    /// The process was held up for too long, and sending now would be part of a burst. A request of
    /// a load is late after [`LoadGenerator::MAX_LATENESS`]. A probe is late after an interval and
    /// a second, or after an interval if dozens of others just left late.
    ///
    /// [`LoadGenerator::MAX_LATENESS`]: crate::load::LoadGenerator::MAX_LATENESS
    Late,
    /// More probes are in flight than the ledger has room for.
    TooManyInFlight,
    /// The target of a [`Fleet`](crate::fleet::Fleet) has no address.
    Unresolved,
}

impl NotSent {
    /// Returns the name it is counted under, in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Failed(error) => error.class.label(),
            Self::Late => "late",
            Self::TooManyInFlight => "too-many-in-flight",
            Self::Unresolved => "unresolved",
        }
    }
}

/// Returns when the last message of a batch arrived; zero, if the system does not report it.
pub(crate) fn latest(batch: &RecvBatch, timestamps: &TimestampMapper) -> Duration {
    let latest = batch.metas().iter().filter_map(|meta| meta.time).max();
    latest.map_or(Duration::ZERO, |wall| timestamps.to_monotonic(Some(wall)))
}

#[cfg(feature = "probe")]
/// Returns how many probes a ledger remembers, within bounds that are not zero: those that a timeout
/// spans, and as many again to recognise late replies and duplicates.
pub(crate) fn window(
    timeout: Duration,
    interval: Duration,
    bounds: RangeInclusive<u32>,
) -> NonZeroU32 {
    let spanned = timeout.as_nanos() / interval.as_nanos();
    let window = u32::try_from(2 * spanned + 2).unwrap_or(u32::MAX);
    NonZeroU32::new(window.clamp(*bounds.start(), *bounds.end())).unwrap_or(NonZeroU32::MIN)
}

/// Draws the id that distinguishes the tokens of one run from those of others.
pub(crate) fn run_id() -> u16 {
    let [a, b, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    u16::from_ne_bytes([a, b])
}
