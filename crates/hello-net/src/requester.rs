//! What the prober and the load generator do alike: they send requests, and account for what comes.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::clock::TimestampMapper;
use crate::udp::batch::RecvBatch;
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
    /// This process was held up, and its time was over: of a load, as [`LoadGenerator::MAX_LATENESS`] has it;
    /// of a probe, by more than an interval, and by more than a second, or dozens of others have
    /// just left as late. Sent now, it would have been one of a burst.
    ///
    /// [`LoadGenerator::MAX_LATENESS`]: crate::load::LoadGenerator::MAX_LATENESS
    Late,
    /// More probes are in flight than the ledger has room for.
    TooManyInFlight,
}

impl NotSent {
    /// Returns the name under which it is counted, in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Failed(error) => error.class.label(),
            Self::Late => "late",
            Self::TooManyInFlight => "too-many-in-flight",
        }
    }
}

/// Returns when the last message of a batch came; zero, if the system does not say.
pub(crate) fn latest(batch: &RecvBatch, timestamps: &TimestampMapper) -> Duration {
    let latest = batch.metas().iter().filter_map(|arrival| arrival.time).max();
    latest.map_or(Duration::ZERO, |wall| timestamps.to_monotonic(Some(wall)))
}

/// Returns for how long replies are waited for once nothing more is sent. A run that was not told to
/// stop waits for each loss: if it ended sooner, it would not count the last.
pub(crate) fn drain_timeout(
    stopping: bool,
    largest_rtt: Option<Duration>,
    timeout: Duration,
) -> Duration {
    match (stopping, largest_rtt) {
        (false, _) => Duration::MAX,
        (true, Some(rtt)) => rtt.saturating_mul(3).min(timeout),
        (true, None) => Duration::ZERO,
    }
}

/// Draws what tells one run's tokens from those of others.
pub(crate) fn run_id() -> u16 {
    let [a, b, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    u16::from_ne_bytes([a, b])
}
