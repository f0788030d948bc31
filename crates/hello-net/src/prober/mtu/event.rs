use std::time::Duration;

use hello_measure::Cause;

use crate::udp::socket_error::SocketError;

/// An event of a [`MtuProber`](super::MtuProber).
///
/// ```
/// use hello_net::{MtuEvent, MtuEventKind};
///
/// fn log(event: &MtuEvent) {
///     match event.kind {
///         MtuEventKind::Answered { rtt } => println!("{} bytes: reply in {rtt:?}", event.size),
///         MtuEventKind::NetworkError(cause) => println!("{} bytes: {}", event.size, cause.kind),
///         MtuEventKind::Lost { cause } => println!("{} bytes: {}", event.size, cause.kind),
///         _ => {}
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MtuEvent {
    /// When it happened, since the start of the search.
    pub at: Duration,
    /// The size of the probe's IP packet, in bytes.
    pub size: u32,
    /// What happened.
    pub kind: MtuEventKind,
}

impl MtuEvent {
    /// Creates an event.
    pub const fn new(at: Duration, size: u32, kind: MtuEventKind) -> Self {
        Self { at, size, kind }
    }
}

/// What happened to a probe of a [`MtuProber`](super::MtuProber).
///
/// ```
/// use hello_net::MtuEventKind;
///
/// let cause = hello_measure::Cause::SILENT;
/// assert_ne!(MtuEventKind::Sent, MtuEventKind::Lost { cause });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MtuEventKind {
    /// It was sent.
    Sent,
    /// It was not sent, because it is longer than the own link takes.
    TooLongForLink,
    /// It was not sent for another reason.
    NotSent(SocketError),
    /// Its reply arrived, perhaps late.
    Answered {
        /// The time from the send to the receive.
        rtt: Duration,
    },
    /// A reply arrived that holds only the start of the name.
    Cut {
        /// The length of the name in the reply, in bytes.
        name_len: u32,
        /// The time from the send to the receive.
        rtt: Duration,
    },
    /// The reply of the other kind of server arrived. It is no evidence.
    OtherPeer,
    /// An ICMP error that decides on it arrived: it is too big.
    NetworkError(Cause),
    /// No reply arrived in time. Another try may follow.
    Lost {
        /// The last ICMP error about it, or [`Cause::SILENT`].
        cause: Cause,
    },
}
