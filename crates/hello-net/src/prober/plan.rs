use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use hello_measure::TracePlan;
use hello_proto::{MAX_NAME_LEN, Peer, Token};
use thiserror::Error;

use crate::packet_options::PacketOptions;
use crate::requester;
use crate::udp::backend::Backend;
use crate::zoned_addr::ZonedAddr;

/// A checked plan: when a [`Prober`](crate::prober::Prober) sends probes, and how.
///
/// A [`ProberBuilder`](crate::prober::builder::ProberBuilder) makes it.
///
/// ```
/// use std::time::Duration;
///
/// use hello_net::Prober;
///
/// let prober = Prober::builder().count(3).connect(([127, 0, 0, 1], 9999).into())?;
/// let plan = prober.plan();
/// assert_eq!((plan.count, plan.interval, plan.name_len), (Some(3), Duration::from_secs(1), 16));
/// # Ok::<(), hello_net::ProbeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbePlan {
    /// The time from one probe to the next.
    pub interval: Duration,
    /// The number of probes in all; `None` for no end.
    pub count: Option<u64>,
    /// The time after which an unanswered probe is lost.
    pub timeout: Duration,
    /// The kind of the server.
    pub peer: Peer,
    /// The length of each name, in bytes.
    pub name_len: usize,
    /// The number of source ports, which take turns.
    pub flows: NonZeroU16,
    /// The source address; `None` for the system's choice.
    pub source: Option<IpAddr>,
    /// The interface; `None` for the routes' choice.
    pub interface: Option<String>,
    /// What the IP headers of the probes have.
    pub packet: PacketOptions,
    /// The system calls that receive.
    pub backend: Backend,
    /// How paths are traced; `None` if they cannot be.
    pub trace: Option<TracePlan>,
}

impl ProbePlan {
    /// Like ping(8): a probe each second without end, from one port.
    pub(super) const DEFAULT: Self = Self {
        interval: Duration::from_secs(1),
        count: None,
        timeout: Duration::from_secs(1),
        peer: Peer::Hello,
        name_len: 2 * Token::MIN_LEN,
        flows: NonZeroU16::MIN,
        source: None,
        interface: None,
        packet: PacketOptions::DEFAULT,
        backend: Backend::Native,
        trace: None,
    };

    /// The shortest interval of probes whose round-trip times start when the kernel hands them to the
    /// driver. Those of probes that are closer together start when this process sends them.
    pub const TRANSMIT_TIMES: Duration = Duration::from_millis(10);

    /// Returns what is wrong with the plan.
    pub(super) fn check(&self) -> Result<(), ProbeError> {
        let (len, min, max) = (self.name_len, Token::MIN_LEN, MAX_NAME_LEN);
        if !(min..=max).contains(&len) {
            return Err(ProbeError::NameLength { len, min, max });
        }
        if self.interval.is_zero() || self.timeout.is_zero() {
            return Err(ProbeError::Interval);
        }
        Ok(())
    }

    /// Returns whether the kernel is asked when it hands each probe to the driver. That costs the
    /// receiving thread a wake-up per probe, so not if there are many.
    pub(super) fn has_transmit_times(&self) -> bool {
        self.backend.has_timestamps() && self.interval >= Self::TRANSMIT_TIMES
    }

    /// Returns how many probes the ledger remembers: those that a timeout spans, and as many again
    /// to recognise late replies and duplicates.
    pub(super) fn window(&self) -> NonZeroU32 {
        requester::window(self.timeout, self.interval, SMALLEST_WINDOW..=LARGEST_WINDOW)
    }

    /// Returns the flow that sends a probe.
    pub(super) fn flow_of(&self, seq: u32) -> usize {
        let turn = seq.wrapping_sub(Token::FIRST_SEQ) % u32::from(self.flows.get());
        usize::from(u16::try_from(turn).unwrap_or(0))
    }
}

/// The fewest probes that a ledger remembers.
const SMALLEST_WINDOW: u32 = 1024;

/// The most probes that a ledger remembers: 64 MiB of them.
const LARGEST_WINDOW: u32 = 1 << 22;

/// Why probes cannot be sent, or their replies not be received.
///
/// ```
/// use hello_net::{ProbeError, Prober};
///
/// let error = Prober::builder().name_len(3).connect(([127, 0, 0, 1], 9999).into()).unwrap_err();
/// assert!(matches!(error, ProbeError::NameLength { len: 3, min: 8, .. }));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
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
    /// A port cannot be opened, or no route leads to the server.
    #[error("cannot send to {}", ZonedAddr(*server))]
    Connect {
        /// The server.
        server: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// This system does not report which router an ICMP error is from, so no path can be traced.
    #[error("cannot trace paths on this system: it does not report who sends ICMP errors")]
    Trace,
    /// The system has no pairs of sockets, by which a stop wakes the threads.
    #[error("cannot open socket pairs for wake-ups")]
    Wake(#[source] io::Error),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// A socket failed repeatedly.
    #[error("cannot receive from {}", ZonedAddr(*server))]
    Receive {
        /// The server.
        server: SocketAddr,
        /// The system's last error.
        source: io::Error,
    },
}
