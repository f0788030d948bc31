use std::time::Duration;

use crate::nanos::nanos_of;

/// The outcome of a probe, as its run saw it.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::ProbeOutcome;
///
/// let rtt = Duration::from_millis(20);
/// assert_eq!(ProbeOutcome::Answered { rtt }.rtt(), Some(rtt));
/// assert_eq!(ProbeOutcome::Lost.rtt(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// A reply arrived before the timeout.
    Answered {
        /// The round-trip time.
        rtt: Duration,
    },
    /// A reply arrived after the timeout.
    Late {
        /// The round-trip time.
        rtt: Duration,
    },
    /// No reply arrived.
    Lost,
}

impl ProbeOutcome {
    /// Returns the round-trip time; `None` without a reply.
    pub const fn rtt(self) -> Option<Duration> {
        match self {
            Self::Answered { rtt } | Self::Late { rtt } => Some(rtt),
            Self::Lost => None,
        }
    }
}

/// A probe, and where the capture has it. Times are in nanoseconds of the clock of each side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) flow: usize,
    pub(super) sent: i64,
    pub(super) outcome: ProbeOutcome,
    /// Whether the run has two probes of this sequence number.
    pub(super) is_ambiguous: bool,
    pub(super) request: Sighting,
    pub(super) reply: Sighting,
}

impl Probe {
    pub(super) fn new(flow: usize, sent: Duration, outcome: ProbeOutcome) -> Self {
        Self {
            flow,
            sent: signed(sent),
            outcome,
            is_ambiguous: false,
            request: Sighting::default(),
            reply: Sighting::default(),
        }
    }

    /// Adds another line about this sequence number: a late reply to a lost probe, or else another
    /// probe of a run whose sequence numbers wrapped around.
    pub(super) fn merge(&mut self, flow: usize, sent: Duration, outcome: ProbeOutcome) {
        let is_same = flow == self.flow && self.sent.abs_diff(signed(sent)) < SAME_PROBE;
        match (self.outcome, outcome) {
            (ProbeOutcome::Lost, ProbeOutcome::Late { .. }) if is_same => {
                (self.outcome, self.sent) = (outcome, signed(sent));
            }
            (ProbeOutcome::Late { .. }, ProbeOutcome::Lost) if is_same => {}
            _ => self.is_ambiguous = true,
        }
    }

    /// Forgets what was captured.
    pub(super) fn clear(&mut self) {
        (self.request, self.reply) = (Sighting::default(), Sighting::default());
    }

    /// Returns whether a reply proves that the request and the reply passed the server.
    pub(super) fn is_replied(&self) -> bool {
        !self.is_ambiguous && self.rtt().is_some()
    }

    pub(super) fn rtt(&self) -> Option<i64> {
        self.outcome.rtt().map(signed)
    }

    /// Returns the time from sending the request until the capture, plus the unknown distance of the
    /// two clocks.
    pub(super) fn there(&self) -> Option<i64> {
        Some(self.request.once().filter(|_| !self.is_ambiguous)?.saturating_sub(self.sent))
    }

    /// Returns the time from the capture until the reply was received, less the unknown distance of
    /// the two clocks.
    pub(super) fn back(&self) -> Option<i64> {
        let received = self.sent.saturating_add(self.rtt()?);
        Some(received.saturating_sub(self.reply.once().filter(|_| !self.is_ambiguous)?))
    }

    /// Returns the time from the request to the reply at the capture.
    pub(super) fn server(&self) -> Option<i64> {
        let request = self.request.once().filter(|_| !self.is_ambiguous)?;
        Some(self.reply.once()?.saturating_sub(request))
    }
}

/// Where the capture has a request or a reply.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sighting {
    first: Option<i64>,
    is_repeated: bool,
    /// Whether a copy was a first fragment, so that the rest of it may be missing.
    is_fragment: bool,
}

impl Sighting {
    pub(super) fn add(&mut self, at: Duration, is_fragment: bool) {
        let at = signed(at);
        let first = *self.first.get_or_insert(at);
        self.is_repeated |= first.abs_diff(at) > COPIES_WITHIN;
        self.is_fragment |= is_fragment;
        self.first = Some(first.min(at));
    }

    pub(super) fn is_seen(&self) -> bool {
        self.first.is_some()
    }

    pub(super) fn is_fragment(&self) -> bool {
        self.is_fragment
    }

    /// Returns the time of the first copy; `None` if a later one may be the one that counts.
    pub(super) fn once(&self) -> Option<i64> {
        self.first.filter(|_| !self.is_repeated)
    }
}

/// Returns a time in nanoseconds, which saturate after 292 years.
pub(super) fn signed(time: Duration) -> i64 {
    i64::try_from(nanos_of(time)).unwrap_or(i64::MAX)
}

/// The time, in nanoseconds, within which copies of a packet pass the interfaces of one machine.
const COPIES_WITHIN: u64 = 10_000_000;

/// The difference of two numbers, in nanoseconds, that a run's lines give for the time of one probe.
const SAME_PROBE: u64 = 1_000_000;
