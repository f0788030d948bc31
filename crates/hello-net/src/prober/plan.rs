use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use hello_measure::ReplyKind;
use hello_proto::Token;
use thiserror::Error;

use crate::udp::error_class::ErrorClass;

/// When to send probes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbePlan {
    /// How long after one probe the next is due.
    pub interval: Duration,
    /// How many are due in all; without end, if not given.
    pub count: Option<u64>,
    /// After how long an unanswered probe is lost.
    pub timeout: Duration,
    /// The length of each name, in bytes, from [`Token::MIN_LEN`] up. From twice that, no single
    /// changed byte makes a reply to another probe of it.
    pub name_len: usize,
    /// From how many source ports the probes are sent in turn.
    pub flows: NonZeroU16,
    /// From which address they are sent; the system's choice, if not given.
    pub source: Option<IpAddr>,
    /// By which interface; the routes', if not given (SO_BINDTODEVICE, socket(7)).
    pub interface: Option<String>,
}

impl Default for ProbePlan {
    /// As ping(8): a probe each second without end, from one port.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            count: None,
            timeout: Duration::from_secs(1),
            name_len: 2 * Token::MIN_LEN,
            flows: NonZeroU16::MIN,
            source: None,
            interface: None,
        }
    }
}

/// Something that happened to a [`Prober`](crate::prober::Prober)'s probes.
#[derive(Clone, Copy, Debug)]
pub struct ProbeEvent<'a> {
    /// When, since the first probe was due.
    pub at: Duration,
    /// From which of the source ports, counted from 0.
    pub flow: usize,
    /// What.
    pub kind: ProbeEventKind<'a>,
}

/// What happened to a [`Prober`](crate::prober::Prober)'s probes.
#[derive(Clone, Copy, Debug)]
pub enum ProbeEventKind<'a> {
    /// A probe left.
    Sent {
        /// Its sequence number.
        seq: u32,
        /// How much later than it was due: the error of the timer.
        late: Duration,
    },
    /// A probe that was due did not leave, and has no sequence number.
    NotSent(NotSent),
    /// A datagram came from the server.
    Received {
        /// What it is.
        arrival: ReplyKind,
        /// Its bytes.
        datagram: &'a [u8],
    },
    /// A probe was not answered before its timeout. Told once of each, also of one whose reply was
    /// late, and in the order sent.
    Lost {
        /// Its sequence number.
        seq: u32,
    },
    /// The network or the system reported an error that concerns earlier probes; of which, it does
    /// not say. They are lost in their time, unless their replies come.
    SocketError(ErrorClass),
    /// The system dropped datagrams before they could be received: the receive buffer was full, for
    /// this process was held up or flooded, or their checksums were wrong.
    Dropped {
        /// How many, or trains of them.
        count: u32,
    },
}

/// Why a probe that was due did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotSent {
    /// The system did not take it.
    Failed(ErrorClass),
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
            Self::Failed(class) => class.label(),
            Self::Late => "late",
            Self::TooManyInFlight => "too-many-in-flight",
        }
    }
}

/// Probes cannot be sent or their replies not be received.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// No name of this length holds a token that fits a datagram.
    #[error("name of {len} bytes holds no probe, it takes {min} to {max}")]
    NameLength {
        /// The length asked for, in bytes.
        len: usize,
        /// The shortest, in bytes.
        min: usize,
        /// The longest, in bytes.
        max: usize,
    },
    /// The interval or the timeout is zero.
    #[error("interval and timeout must be longer than 0")]
    Interval,
    /// A port cannot be had, or the server cannot be reached from here.
    #[error("cannot ask {server}")]
    Connect {
        /// Who was to be asked.
        server: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There are no pairs of sockets to wake the threads by.
    #[error("cannot open pairs of sockets to wake the threads by")]
    Wake(#[source] io::Error),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// A socket failed again and again.
    #[error("cannot receive from {server}")]
    Receive {
        /// Who was asked.
        server: SocketAddr,
        /// What the system said last.
        source: io::Error,
    },
}
