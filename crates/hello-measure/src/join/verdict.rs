use std::time::Duration;

/// Where a probe was lost or delayed.
///
/// ```
/// use hello_measure::{Doubt, Place};
///
/// assert_eq!(Place::There.label(), "there");
/// assert_eq!(Place::Unknown(Doubt::OutsideCapture).label(), "not-known");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the capture: the request never passed it.
    There,
    /// At the server: the request passed the capture, and no reply did.
    Server,
    /// Behind the capture: the reply passed it.
    Back,
    /// The capture does not prove where.
    Unknown(Doubt),
}

impl Place {
    /// Returns the name of the place in exports: `there`, `server`, `back` or `not-known`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::Server => "server",
            Self::Back => "back",
            Self::Unknown(_) => "not-known",
        }
    }
}

/// Why a place is not known.
///
/// ```
/// use hello_measure::Doubt;
///
/// assert_eq!(Doubt::PacketsMissing.label(), "packets-missing");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// Packets are missing in the capture, so that absence proves nothing.
    PacketsMissing,
    /// The capture may not cover the time of the probe and of the timeout after it.
    OutsideCapture,
    /// No probe of the flow was answered, and the capture may not have the interface of the flow.
    SilentFlow,
    /// Only the first fragment of the request passed, as far as the capture shows.
    Fragmented,
    /// The capture was taken at the sender.
    AtSender,
    /// The server replied, but the run lacks lines, and one of them may be about a late reply.
    LinesSuppressed,
    /// The capture was taken at a router: beyond it, the probe was lost or delayed, or the server did
    /// not answer.
    NotAtServer,
    /// The run has several probes with this sequence number.
    Ambiguous,
    /// The capture lacks the request or the reply, or has them several times.
    NoDelay,
    /// Too few probes were answered to know a typical delay.
    NoTypicalDelay,
    /// No part of the path caused more than half of the delay, or the clocks moved meanwhile.
    NoMainPart,
}

impl Doubt {
    /// Returns the name in exports, in kebab case.
    pub const fn label(self) -> &'static str {
        match self {
            Self::PacketsMissing => "packets-missing",
            Self::OutsideCapture => "outside-capture",
            Self::SilentFlow => "silent-flow",
            Self::Fragmented => "fragmented",
            Self::AtSender => "at-sender",
            Self::LinesSuppressed => "lines-suppressed",
            Self::NotAtServer => "not-at-server",
            Self::Ambiguous => "ambiguous",
            Self::NoDelay => "no-delay",
            Self::NoTypicalDelay => "no-typical-delay",
            Self::NoMainPart => "no-main-part",
        }
    }
}

/// The verdict on a lost or late probe.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{JoinVerdict, Place};
///
/// let (sent, place) = (Duration::from_secs(3), Place::Back);
/// let verdict = JoinVerdict { seq: 4, flow: 0, sent, is_late: false, place };
/// assert_eq!(verdict.place.label(), "back");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinVerdict {
    /// The sequence number.
    pub seq: u32,
    /// The flow, from 0.
    pub flow: usize,
    /// When the probe was sent, since the start of the run.
    pub sent: Duration,
    /// Whether a reply arrived after the timeout; otherwise none arrived.
    pub is_late: bool,
    /// Where it was lost or delayed.
    pub place: Place,
}
