use std::time::Duration;

use hello_measure::{Attribution, Cause, Record, ReplyKind};

use crate::requester::NotSent;
use crate::udp::socket_error::SocketError;

/// An event of a [`LoadGenerator`](crate::load::LoadGenerator)'s run, after the warm-up.
///
/// ```
/// use std::time::Duration;
///
/// use hello_measure::Cause;
/// use hello_net::{LoadEvent, LoadEventKind};
///
/// let (due, cause) = (Duration::ZERO, Cause::SILENT);
/// let lost = LoadEventKind::Lost { due, cause };
/// assert_eq!(LoadEvent::new(3, Duration::from_secs(1), lost).thread, 3);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LoadEvent<'a> {
    /// The thread where it happened, counted from 0.
    pub thread: usize,
    /// When it happened, since the end of the warm-up.
    pub at: Duration,
    /// What happened.
    pub kind: LoadEventKind<'a>,
}

impl<'a> LoadEvent<'a> {
    /// Makes an event, such as one to test an observer with.
    pub fn new(thread: usize, at: Duration, kind: LoadEventKind<'a>) -> Self {
        Self { thread, at, kind }
    }

    /// Adds the event to a record. Misdirected replies and full send buffers are not part of one.
    pub fn record_in(&self, record: &mut Record) {
        match self.kind {
            LoadEventKind::Sent { due, count } => record.sent(count, self.at.saturating_sub(due)),
            LoadEventKind::NotSent { count, reason, .. } => {
                record.not_sent(reason.label(), count.into());
            }
            LoadEventKind::Answered { rtt, reordered, .. } => record.answered(rtt, reordered),
            LoadEventKind::Lost { cause, .. } => record.lost(cause),
            LoadEventKind::NetworkError { cause, attribution } => {
                record.network_error(cause, attribution);
            }
            LoadEventKind::Other { reply, .. } => record.received(reply),
            LoadEventKind::SocketError(error) => record.error(error.class.label(), 1),
            LoadEventKind::Misdirected | LoadEventKind::SendBufferFull(_) => {}
        }
    }
}

/// What happened in a [`LoadGenerator`](crate::load::LoadGenerator)'s run.
///
/// Each request is sent or not. If sent, it is answered or lost, unless the run ends first. All
/// times are since the end of the warm-up.
///
/// ```
/// use std::time::Duration;
///
/// use hello_net::LoadEvent;
/// use hello_net::LoadEventKind;
///
/// /// Returns the time from when a request was due to its reply.
/// fn latency(event: &LoadEvent<'_>) -> Option<Duration> {
///     match event.kind {
///         LoadEventKind::Answered { due, .. } => Some(event.at - due),
///         _ => None,
///     }
/// }
/// # use hello_measure::Cause;
/// # let lost = LoadEventKind::Lost { due: Duration::ZERO, cause: Cause::SILENT };
/// # assert_eq!(latency(&LoadEvent::new(0, Duration::ZERO, lost)), None);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum LoadEventKind<'a> {
    /// The requests of a message left. The time was read before the system call that sent it, and
    /// up to 63 other messages.
    Sent {
        /// When they were due: in a closed loop, when it was seen that they may be sent.
        due: Duration,
        /// The number of requests.
        count: u32,
    },
    /// The requests of a message that was due did not leave; or of several in a row, if the
    /// generator fell far behind.
    NotSent {
        /// When the first of them was due.
        due: Duration,
        /// The number of requests.
        count: u32,
        /// Why they did not leave.
        reason: NotSent,
    },
    /// The first reply to a request arrived, before its timeout and right in every byte.
    Answered {
        /// When the request was due.
        due: Duration,
        /// The time since the request left.
        rtt: Duration,
        /// Whether a request that the same source sent later was answered earlier, as in RFC 4737
        /// section 3.3.
        reordered: bool,
    },
    /// A request was not answered before its timeout.
    Lost {
        /// When it was due.
        due: Duration,
        /// The last error that was attributed to it.
        cause: Cause,
    },
    /// Another datagram arrived: late, a duplicate, corrupt, or somebody else's.
    Other {
        /// What it is; never [`ReplyKind::Answered`].
        reply: ReplyKind,
        /// Its bytes.
        datagram: &'a [u8],
    },
    /// A reply to a request of ours arrived at another source than the one that sent it. It does
    /// not answer the request.
    Misdirected,
    /// The network reported an error. A request that it is about remains in flight until its reply or
    /// its timeout. Only Linux reports which one it is about.
    NetworkError {
        /// What was reported, and by whom.
        cause: Cause,
        /// The request that it is about.
        attribution: Attribution,
    },
    /// The system reported an error of a socket, or one from the network without saying which request
    /// it is about.
    SocketError(SocketError),
    /// The system had no room for what was to be sent, which is sent again later.
    SendBufferFull(SocketError),
}

/// The resources and the time that a load took, after the warm-up.
///
/// ```
/// use std::time::Duration;
///
/// use hello_net::GeneratorUsage;
///
/// /// Returns whether the generator, rather than the server, may have been the limit.
/// fn is_saturated(usage: &GeneratorUsage) -> bool {
///     usage.busy > usage.measured * 9 / 10
/// }
/// # assert!(!is_saturated(&GeneratorUsage::default()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GeneratorUsage {
    /// The time during which requests were due: in an open loop, until the request after the last
    /// would have been.
    pub measured: Duration,
    /// Processor time of all threads in that span, including the kernel's on their behalf.
    pub processor_time: Duration,
    /// The part of that span in which the threads neither waited nor polled in vain, on average. A
    /// generator that is always busy is slower than what it measures.
    pub busy: Duration,
    /// The part of that span in which a closed loop had too few requests outstanding because the
    /// ledger was full, on average. It is full when too many requests were sent after the oldest
    /// unanswered one. A shorter timeout needs less room.
    pub stalled: Duration,
    /// The number of datagrams that the system dropped until the end of the run, because a receive
    /// buffer was full or a checksum was wrong. `None` where the system does not report it.
    pub dropped: Option<u64>,
}
