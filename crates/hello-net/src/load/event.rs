use std::time::Duration;

use hello_measure::ReplyKind;

use crate::prober::plan::NotSent;
use crate::udp::error_class::ErrorClass;

/// Something that happened to a [`LoadGenerator`](crate::load::LoadGenerator)'s requests after the warm-up.
#[derive(Clone, Copy, Debug)]
pub struct LoadEvent<'a> {
    /// When, since the end of the warm-up.
    pub at: Duration,
    /// What.
    pub kind: LoadEventKind<'a>,
}

/// What happened to a [`LoadGenerator`](crate::load::LoadGenerator)'s requests. Each is sent or not, and if so,
/// answered or lost, unless the run ends first. All times are since the end of the warm-up.
#[derive(Clone, Copy, Debug)]
pub enum LoadEventKind<'a> {
    /// The requests of a message left, at a time that was read before the system was asked to send
    /// it, and up to 63 others with it.
    Sent {
        /// When they were due: in a closed loop, when it was seen that they may be sent.
        due: Duration,
        /// How many.
        count: u32,
    },
    /// The requests of a message that was due did not leave; or of many in a row, if we were behind
    /// by many.
    NotSent {
        /// When the first of them were due.
        due: Duration,
        /// How many.
        count: u32,
        /// Why.
        reason: NotSent,
    },
    /// The first reply to a request came, before its timeout and right in every byte.
    Answered {
        /// When the request was due.
        due: Duration,
        /// How long the reply took since the request left.
        rtt: Duration,
        /// Whether a request that the same source sent later was answered earlier, as in RFC 4737
        /// section 3.3.
        reordered: bool,
    },
    /// A request was not answered before its timeout.
    Lost {
        /// When it was due.
        due: Duration,
    },
    /// Another datagram came: late, a duplicate, corrupt, or somebody else's.
    Other {
        /// What it is; never [`ReplyKind::Answered`].
        arrival: ReplyKind,
        /// Its bytes.
        datagram: &'a [u8],
    },
    /// A reply to one of our requests came to another source than the one that asked. The request
    /// is not answered by it.
    Misdirected,
    /// The network or the system reported an error that concerns earlier requests.
    SocketError(ErrorClass),
    /// The system had no room for what was to be sent, and it is tried again.
    SendBufferFull(ErrorClass),
}

/// What it took to offer a load, after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GeneratorUsage {
    /// For how long requests were due: in an open loop, until the one behind the last would have
    /// been.
    pub measured: Duration,
    /// Processor time of all threads in that span, the kernel's on their behalf included.
    pub processor_time: Duration,
    /// How much of that span the threads were neither waiting nor asking in vain, on average. A
    /// generator that is always busy is slower than what it measures.
    pub busy: Duration,
    /// How much of that span a closed loop had too few requests outstanding, since so many were
    /// sent after the oldest of them that no more can be remembered; on average. The shorter the
    /// timeout, the less has to be.
    pub stalled: Duration,
    /// How many datagrams the system dropped because a receive buffer of ours was full, or their
    /// checksum wrong, until the end of the run. `None` where it does not say.
    pub dropped: Option<u64>,
}
