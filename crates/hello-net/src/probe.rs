use std::time::Duration;

use hello_proto::Arrival;

use crate::ErrorClass;

/// Something that happened to a [`Prober`](crate::Prober)'s probes.
#[derive(Clone, Copy, Debug)]
pub struct ProbeEvent<'a> {
    /// When, since the first probe was due.
    pub at: Duration,
    /// From which of the source ports, counted from 0.
    pub flow: usize,
    /// What.
    pub kind: ProbeEventKind<'a>,
}

/// What happened to a [`Prober`](crate::Prober)'s probes.
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
        arrival: Arrival,
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
    Reported(ErrorClass),
}

/// Why a probe that was due did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotSent {
    /// The system did not take it.
    Failed(ErrorClass),
    /// This process was held up, and the probe's time was over by more than a tenth of a second and
    /// more than an interval. Sent now, it would have been one of a burst.
    HeldUp,
    /// More probes are in flight than the ledger has room for.
    TooManyInFlight,
}

impl NotSent {
    /// Returns the name under which it is counted, in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Failed(class) => class.label(),
            Self::HeldUp => "held-up",
            Self::TooManyInFlight => "too-many-in-flight",
        }
    }
}
