use std::time::Duration;

use hello_measure::{Attribution, Cause, Clocks, Path, Record, ReplyKind};

use crate::requester::NotSent;
use crate::sys::error_class::ErrorClass;
use crate::udp::socket_error::SocketError;

/// An event of a [`Prober`](crate::prober::Prober)'s run.
///
/// ```
/// use std::time::Duration;
///
/// use hello_measure::Cause;
/// use hello_net::{ProbeEvent, ProbeEventKind};
///
/// let cause = Cause::SILENT;
/// let lost = ProbeEventKind::Lost { seq: 1, sent: Duration::from_secs(1), cause };
/// let event = ProbeEvent::new(Duration::from_secs(2), 0, lost);
/// assert!(matches!(event.kind, ProbeEventKind::Lost { seq: 1, .. }));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ProbeEvent<'a> {
    /// When it happened, since the first probe was due; if a probe was not sent, when it was due.
    pub at: Duration,
    /// The source port, counted from 0.
    pub flow: usize,
    /// What happened.
    pub kind: ProbeEventKind<'a>,
}

impl<'a> ProbeEvent<'a> {
    /// Makes an event, such as one to test an observer with.
    pub fn new(at: Duration, flow: usize, kind: ProbeEventKind<'a>) -> Self {
        Self { at, flow, kind }
    }

    /// Adds the event to a record. Datagrams that the system dropped count as `no-buffers` errors.
    pub fn record_in(&self, record: &mut Record) {
        match self.kind {
            ProbeEventKind::Sent { late, .. } => record.sent(1, late),
            ProbeEventKind::NotSent(reason) => record.not_sent(reason.label(), 1),
            ProbeEventKind::Received { reply, .. } => record.received(reply),
            ProbeEventKind::Lost { cause, .. } => record.lost(cause),
            ProbeEventKind::NetworkError { cause, attribution } => {
                record.network_error(cause, attribution);
            }
            ProbeEventKind::Traced(_) => {}
            ProbeEventKind::SocketError(error) => record.error(error.class.label(), 1),
            ProbeEventKind::Dropped { count } => {
                record.error(ErrorClass::NoBuffers.label(), count.into());
            }
        }
    }
}

/// What happened in a [`Prober`](crate::prober::Prober)'s run.
///
/// ```
/// use hello_measure::ReplyKind;
/// use hello_net::ProbeEventKind;
///
/// /// Counts the replies that somebody else's probes got.
/// fn unsolicited(events: &[ProbeEventKind<'_>]) -> usize {
///     let is_unsolicited = |event: &&ProbeEventKind<'_>| {
///         matches!(event, ProbeEventKind::Received { reply: ReplyKind::Unsolicited, .. })
///     };
///     events.iter().filter(is_unsolicited).count()
/// }
/// # assert_eq!(unsolicited(&[ProbeEventKind::Dropped { count: 1 }]), 0);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ProbeEventKind<'a> {
    /// A probe left.
    Sent {
        /// Its sequence number.
        seq: u32,
        /// The time from when it was due to when it left: the error of the timer.
        late: Duration,
    },
    /// A probe that was due did not leave, and has no sequence number.
    NotSent(NotSent),
    /// A datagram arrived from the server.
    Received {
        /// What it is.
        reply: ReplyKind,
        /// Its bytes.
        datagram: &'a [u8],
        /// The TTL (IPv4) or the hop limit (IPv6) that was left; `None` where the system does not
        /// report it.
        ttl: Option<u8>,
        /// The byte with the [`Mark`](hello_measure::Mark) that it arrived with; `None` where the system
        /// does not report it.
        tos: Option<u8>,
        /// The clocks between which the round-trip time of an answer was measured.
        clocks: Clocks,
    },
    /// A probe was not answered before its timeout. Each lost probe is reported once and in the
    /// order sent, even if its reply arrives late.
    Lost {
        /// Its sequence number.
        seq: u32,
        /// When it left, since the first probe was due.
        sent: Duration,
        /// The last error that was attributed to it.
        cause: Cause,
    },
    /// The network reported an error. A probe that it is about remains in flight until its reply or its
    /// timeout. Only Linux reports which one it is about.
    NetworkError {
        /// What was reported, and by whom.
        cause: Cause,
        /// The probe that it is about.
        attribution: Attribution,
    },
    /// The path of a flow was traced, as far as it could be. The probes and answers of a trace have no
    /// other events.
    Traced(&'a Path),
    /// The system reported an error of the socket, or one from the network without saying which probe it
    /// is about.
    SocketError(SocketError),
    /// The system dropped datagrams before they could be received: the receive buffer was full,
    /// because this process was held up or flooded, or their checksums were wrong.
    Dropped {
        /// The number of datagrams, or of trains of them.
        count: u32,
    },
}
