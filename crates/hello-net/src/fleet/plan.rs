use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use hello_proto::{MAX_NAME_LEN, Peer, Token};
use thiserror::Error;

use crate::packet_options::PacketOptions;
use crate::requester;
use crate::udp::backend::Backend;

/// A checked plan: when a [`Fleet`](crate::fleet::Fleet) sends probes, and how.
///
/// A [`FleetBuilder`](crate::fleet::builder::FleetBuilder) makes it.
///
/// ```
/// use std::time::Duration;
///
/// use hello_net::Fleet;
///
/// let fleet = Fleet::builder().count(3).open()?;
/// let plan = fleet.plan();
/// assert_eq!((plan.count, plan.interval, plan.name_len), (Some(3), Duration::from_secs(1), 16));
/// # Ok::<(), hello_net::FleetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetPlan {
    /// The time from one probe of a target to its next.
    pub interval: Duration,
    /// The number of probes to each target; `None` for no end.
    pub count: Option<u64>,
    /// The time for which probes are sent; `None` for no end.
    pub duration: Option<Duration>,
    /// The time after which an unanswered probe is lost.
    pub timeout: Duration,
    /// The kind of the servers.
    pub peer: Peer,
    /// The length of each name, in bytes.
    pub name_len: usize,
    /// The source address; `None` for the system's choice.
    pub source: Option<IpAddr>,
    /// The interface; `None` for the routes' choice.
    pub interface: Option<String>,
    /// What the IP headers of the probes have.
    pub packet: PacketOptions,
    /// The system calls that send and receive.
    pub backend: Backend,
}

impl FleetPlan {
    /// A probe each second to each target, without end.
    pub(super) const DEFAULT: Self = Self {
        interval: Duration::from_secs(1),
        count: None,
        duration: None,
        timeout: Duration::from_secs(1),
        peer: Peer::Hello,
        name_len: 2 * Token::MIN_LEN,
        source: None,
        interface: None,
        packet: PacketOptions::DEFAULT,
        backend: Backend::Native,
    };

    /// Returns what is wrong with the plan.
    pub(super) fn check(&self) -> Result<(), FleetError> {
        let (len, min, max) = (self.name_len, Token::MIN_LEN, MAX_NAME_LEN);
        if !(min..=max).contains(&len) {
            return Err(FleetError::NameLength { len, min, max });
        }
        if self.interval.is_zero() || self.timeout.is_zero() {
            return Err(FleetError::Interval);
        }
        Ok(())
    }

    /// Returns how many probes the ledger of a target remembers: those that a timeout spans, and as many
    /// again to recognise late replies and duplicates.
    pub(super) fn window(&self) -> NonZeroU32 {
        requester::window(self.timeout, self.interval, SMALLEST_WINDOW..=LARGEST_WINDOW)
    }

    /// Returns whether the run ends without a stop.
    pub(super) fn is_bounded(&self) -> bool {
        self.count.is_some() || self.duration.is_some()
    }

    /// Returns the time within which due probes and arrived replies are handled together, which saves
    /// wake-ups. Without timestamps of the system, replies are received as soon as they arrive.
    pub(super) fn tick(&self) -> Duration {
        if self.backend.has_timestamps() {
            LONGEST_TICK.min(self.interval / TICKS)
        } else {
            Duration::ZERO
        }
    }
}

/// The fewest and the most probes that the ledger of a target remembers, in 16 bytes each.
const SMALLEST_WINDOW: u32 = 8;
const LARGEST_WINDOW: u32 = 1024;

/// A probe is late by this at most, unless the process is held up. Its round-trip time starts when it is
/// sent.
const LONGEST_TICK: Duration = Duration::from_millis(20);

/// The fewest ticks of an interval.
const TICKS: u32 = 50;

/// Why a fleet cannot be probed.
///
/// ```
/// use hello_net::{Fleet, FleetError};
///
/// let error = Fleet::builder().name_len(3).open().unwrap_err();
/// assert!(matches!(error, FleetError::NameLength { len: 3, min: 8, .. }));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FleetError {
    /// No name of this length holds a token that fits a datagram.
    #[error("a name of {len} bytes holds no probe: it needs {min} to {max}")]
    NameLength {
        /// The length, in bytes.
        len: usize,
        /// The minimum, in bytes.
        min: usize,
        /// The maximum, in bytes.
        max: usize,
    },
    /// The interval or the timeout is zero.
    #[error("interval and timeout must be longer than 0")]
    Interval,
    /// No socket can be opened, neither for IPv4 nor for IPv6.
    #[error("cannot open a socket for probes")]
    Open(#[source] io::Error),
    /// The system has no pairs of sockets, by which a stop wakes the threads.
    #[error("cannot open socket pairs for wake-ups")]
    Wake(#[source] io::Error),
    /// A socket failed repeatedly.
    #[error("cannot receive replies")]
    Receive(#[source] io::Error),
    /// The fleet has as many targets as it can.
    #[error("too many targets: a fleet has {max} at most")]
    TooManyTargets {
        /// The maximum.
        max: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_spans_the_timeout_twice_within_its_bounds() {
        let window = |interval, timeout| {
            let [interval, timeout] = [interval, timeout].map(Duration::from_millis);
            FleetPlan { interval, timeout, ..FleetPlan::DEFAULT }.window().get()
        };
        let windows = [(1000, 1000), (1000, 5000), (100, 5000), (1, 5000)];
        assert_eq!(
            windows.map(|(interval, timeout)| window(interval, timeout)),
            [8, 12, 102, 1024]
        );
    }
}
