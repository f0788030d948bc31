mod attribution;
mod causes;
mod counts;
#[cfg(test)]
mod tests;
mod window;

use std::{num::NonZeroU32, time::Duration};

pub use self::attribution::{Attribution, Fate};
use self::causes::Causes;
pub use self::counts::Counts;
use self::window::{Slot, State, Window};
use super::cause::Cause;
use super::distance::distance;
use hello_proto::{Peer, Token};

/// Matches replies with probes, and counts the answered, the lost and all other datagrams.
///
/// Every probe is in exactly one state: in flight, answered or lost. The ledger has no socket and
/// no clock: the caller passes in every datagram, with the time since any origin.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use hello_measure::Ledger;
/// use hello_proto::{Request, Token};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # const WINDOW: NonZeroU32 = NonZeroU32::new(64).expect("not zero");
/// # let rtt = Duration::from_millis(20);
/// # let receive = |second: u64, name: &[u8]| {
/// #     (second != 1).then(|| Request::new(name).expect("short").reply().parts().concat())
/// # };
/// # let (mut name, mut lost) = ([0; 16], vec![]);
/// let mut ledger = Ledger::new(Token { run_id: 0xbeef, seq: 1 }, WINDOW, Duration::from_secs(1));
///
/// for second in 0..5 {
///     let now = Duration::from_secs(second);
///     lost.extend(std::iter::from_fn(|| ledger.poll_lost(now)).map(|lost| lost.seq));
///     let token = ledger.tokens().next().ok_or("the whole window is in flight")?;
///     token.encode(&mut name)?; // and send it
///     ledger.handle_sent(name.len(), now);
///     if let Some(datagram) = receive(second, &name) {
///         ledger.handle_datagram(&datagram, now + rtt);
///     }
/// }
/// assert_eq!(lost, [2]);
/// assert_eq!(ledger.counts().answered, 4);
/// assert_eq!(ledger.counts().loss(), Some(0.2));
/// # Ok(())
/// # }
/// ```
///
/// # Memory
///
/// The ledger remembers the last probes, as many as its window has, in 16 bytes each. It allocates
/// only in [`new`](Self::new). Each call takes constant time ([`poll_lost`] and [`handle_datagram`]
/// on average). A probe in flight never leaves the window: while the oldest probe of the window is
/// in flight, no other may be sent.
///
/// # Times
///
/// Times have a resolution of a nanosecond, and saturate after 584 years. Pass in the probes in
/// the order of their times. If one is older than the one before it, its loss is only noticed
/// later.
///
/// A reply is late by its time alone, whether or not [`poll_lost`] has been called since; and a
/// lost probe remains lost. Pass in the time at which the system received a datagram, and empty the
/// socket before you poll for losses: then a process that was stalled measures as precisely as any
/// other.
///
/// [`poll_lost`]: Self::poll_lost
/// [`handle_datagram`]: Self::handle_datagram
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The token of the next probe.
    next: Token,
    peer: Peer,
    timeout: Duration,
    window: Window,
    /// The number of probes from the oldest open one to the last one.
    outstanding: u32,
    /// The shortest and the longest name sent, in bytes.
    lengths: Option<(usize, usize)>,
    /// The number of the latest probe among those answered, from 1.
    last_answered: u64,
    causes: Causes,
    counts: Counts,
}

impl Ledger {
    /// Creates a ledger whose first probe has the token `first`. Probes are lost `timeout` after
    /// they were sent.
    ///
    /// It remembers the last `window` probes, rounded up to a power of two, and at most 2^31. To
    /// sustain a rate, the window must span the timeout; to classify late replies and duplicates,
    /// also the time after which they may arrive.
    pub fn new(first: Token, window: NonZeroU32, timeout: Duration) -> Self {
        let window = Window::new(window);
        let causes = Causes::new(window.len());
        Self {
            next: first,
            peer: Peer::Hello,
            timeout,
            window,
            outstanding: 0,
            lengths: None,
            last_answered: 0,
            causes,
            counts: Counts::default(),
        }
    }

    /// Sets the kind of the server; a Hello server by default.
    ///
    /// ```
    /// use std::{num::NonZeroU32, time::Duration};
    /// use hello_measure::{Ledger, ReplyKind};
    /// use hello_proto::{Peer, Token};
    ///
    /// let (second, mut name) = (Duration::from_secs(1), [0; 16]);
    /// let token = Token { run_id: 0xbeef, seq: Token::FIRST_SEQ };
    /// token.encode(&mut name)?;
    /// let mut ledger = Ledger::new(token, NonZeroU32::MIN, second).with_peer(Peer::Echo);
    /// ledger.handle_sent(name.len(), Duration::ZERO);
    /// let reply = ledger.handle_datagram(&name, second / 2);
    /// assert!(matches!(reply, ReplyKind::Answered { .. }));
    /// # Ok::<(), hello_proto::BufferTooSmall>(())
    /// ```
    #[must_use]
    pub fn with_peer(self, peer: Peer) -> Self {
        Self { peer, ..self }
    }

    /// Records that the first of [`tokens`](Self::tokens) was sent, in a name of `name_len` bytes.
    ///
    /// Call it before you pass in a reply. Do not call it for a probe that could not be sent; the
    /// next one then has its token.
    ///
    /// # Panics
    ///
    /// If there is no token, because the window is full.
    pub fn handle_sent(&mut self, name_len: usize, now: Duration) {
        assert!(
            self.outstanding < self.window.len(),
            "the oldest probe of the window is in flight"
        );
        *self.window.slot_mut(self.next.seq) = Slot::new(name_len, now);
        self.next.seq = self.next.seq.wrapping_add(1);
        self.outstanding += 1;
        self.counts.sent += 1;
        let (shortest, longest) = self.lengths.unwrap_or((name_len, name_len));
        self.lengths = Some((shortest.min(name_len), longest.max(name_len)));
    }

    /// Classifies a received datagram, and counts it.
    ///
    /// A reply at or after the timeout is [`ReplyKind::Late`]. Its probe is lost.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Duration) -> ReplyKind {
        let reply = self.classify(datagram, now);
        self.counts.count_reply(reply);
        if matches!(reply, ReplyKind::Answered { .. }) {
            self.advance();
        }
        reply
    }

    /// Counts the oldest probe in flight as lost if its timeout has expired, and returns it.
    ///
    /// Call it until it returns `None`. It returns every lost probe exactly once and in the order
    /// sent, even if a late reply arrived before.
    pub fn poll_lost(&mut self, now: Duration) -> Option<Lost> {
        let seq = self.oldest_open()?;
        let slot = self.window.slot_mut(seq);
        slot.state = match slot.state {
            State::InFlight if slot.age(now) >= self.timeout => {
                self.counts.lost += 1;
                State::Lost
            }
            State::LateUnreported => State::Late,
            _ => return None,
        };
        let (sent, cause) = (slot.sent(), self.causes.get(slot.cause));
        self.advance();
        Some(Lost { seq, sent, cause })
    }

    /// Returns when [`poll_lost`](Self::poll_lost) will next return a probe, unless a reply
    /// arrives.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let slot = self.window.slot(self.oldest_open()?);
        Some(slot.sent().saturating_add(self.timeout))
    }

    /// Yields the tokens of the probes that may be sent now, in order. There are none while the
    /// probe that would leave the window is in flight, or while its loss has not been polled.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = Token> + use<> {
        let Token { run_id, seq } = self.next;
        let free = self.window.len() - self.outstanding;
        (0..free).map(move |i| Token { run_id, seq: seq.wrapping_add(i) })
    }

    /// Returns the counts so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Classifies a datagram, and updates the state of its probe.
    fn classify(&mut self, datagram: &[u8], now: Duration) -> ReplyKind {
        let Ok(name) = self.peer.decode_name(datagram) else { return ReplyKind::Corrupt };
        let len = name.len();
        let likely_ours =
            self.lengths.is_some_and(|(shortest, longest)| (shortest..=longest).contains(&len));
        let Some(token) = Token::decode(name) else {
            return if likely_ours { ReplyKind::Corrupt } else { ReplyKind::Unsolicited };
        };
        let Some(distance) = self.distance(token) else { return ReplyKind::Unsolicited };
        let seq = token.seq;
        if distance > u64::from(self.window.len()) {
            return if likely_ours { ReplyKind::OutOfWindow { seq } } else { ReplyKind::Corrupt };
        }
        let slot = self.window.slot_mut(seq);
        if !slot.has_len(len) {
            return ReplyKind::Corrupt;
        }
        let rtt = slot.age(now);
        match slot.state {
            State::InFlight if rtt < self.timeout => {
                slot.state = State::Answered;
                let nth = self.counts.sent - distance + 1;
                let reordered = nth < self.last_answered;
                self.last_answered = self.last_answered.max(nth);
                ReplyKind::Answered { seq, rtt, reordered }
            }
            State::InFlight => {
                slot.state = State::LateUnreported;
                self.counts.lost += 1;
                ReplyKind::Late { seq, rtt }
            }
            State::Lost => {
                slot.state = State::Late;
                ReplyKind::Late { seq, rtt }
            }
            State::Answered | State::LateUnreported | State::Late => ReplyKind::Duplicate { seq },
        }
    }

    /// Returns how many probes ago a token was sent, at least 1; `None` if it was not sent.
    fn distance(&self, token: Token) -> Option<u64> {
        distance(self.next, self.counts.sent, token)
    }

    /// Skips settled probes up to the oldest open one. Over a whole run, this takes one step per
    /// probe.
    fn advance(&mut self) {
        while let Some(seq) = self.oldest_open() {
            match self.window.slot(seq).state {
                State::InFlight | State::LateUnreported => break,
                State::Answered | State::Lost | State::Late => self.outstanding -= 1,
            }
        }
    }

    fn oldest_open(&self) -> Option<u32> {
        (self.outstanding > 0).then(|| self.next.seq.wrapping_sub(self.outstanding))
    }
}

/// The kind of a received datagram; see [`Ledger::handle_datagram`].
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use hello_measure::{Ledger, ReplyKind};
/// use hello_proto::Token;
///
/// let first = Token { run_id: 0xbeef, seq: 1 };
/// let mut ledger = Ledger::new(first, NonZeroU32::MIN, Duration::from_secs(1));
/// let now = Duration::from_millis(5);
/// assert_eq!(ledger.handle_datagram(b"Hello, somebody else!", now), ReplyKind::Unsolicited);
/// assert_eq!(ledger.handle_datagram(b"not a reply", now), ReplyKind::Corrupt);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyKind {
    /// The first reply to a probe, before its timeout.
    Answered {
        /// The probe's sequence number.
        seq: u32,
        /// The round-trip time.
        rtt: Duration,
        /// Whether a probe sent later was answered earlier, as in RFC 4737 section 3.3.
        reordered: bool,
    },
    /// The first reply to a lost probe, which remains lost.
    Late {
        /// The probe's sequence number.
        seq: u32,
        /// The round-trip time.
        rtt: Duration,
    },
    /// A second or further reply to a probe.
    Duplicate {
        /// The probe's sequence number.
        seq: u32,
    },
    /// A reply to a probe older than the window, and so either late or a duplicate.
    OutOfWindow {
        /// The probe's sequence number.
        seq: u32,
    },
    /// Not a reply, or probably an altered one: its name is as long as those sent but not a token,
    /// or has a token of ours but another length.
    Corrupt,
    /// A reply to a request that this run did not send: another run's token, a token not sent, or a
    /// name that is longer or shorter than all names sent.
    Unsolicited,
}

/// A lost probe; see [`Ledger::poll_lost`].
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use hello_measure::{Cause, CauseKind, Ledger};
/// use hello_proto::Token;
///
/// let (first, second) = (Token { run_id: 0xbeef, seq: 1 }, Duration::from_secs(1));
/// let mut ledger = Ledger::new(first, NonZeroU32::MIN, second);
/// let mut name = [0; 16];
/// first.encode(&mut name)?;
/// ledger.handle_sent(name.len(), Duration::ZERO);
/// let cause = Cause { kind: CauseKind::Refused, reporter: Some([192, 0, 2, 1].into()) };
/// ledger.handle_error(&name, |_| true, cause);
/// assert_eq!(ledger.poll_lost(second).map(|lost| lost.cause), Some(cause));
/// # Ok::<(), hello_proto::BufferTooSmall>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its sequence number.
    pub seq: u32,
    /// When it was sent.
    pub sent: Duration,
    /// The last error that was attributed to it; [`Cause::SILENT`] if none was.
    pub cause: Cause,
}
