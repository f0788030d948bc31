#[cfg(test)]
mod tests;
mod window;

use std::{num::NonZeroU32, time::Duration};

use self::window::{Slot, State, Window};
use hello_proto::{Reply, Token};

/// Keeps account of probes: which were answered, which were lost, and what else came.
///
/// Every probe is in exactly one state: in flight, answered or lost. The ledger holds no socket and
/// no clock: what was sent and what was received is handed in, with the time since any origin.
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
/// let mut ledger = Ledger::new(Token { run_id: 0xbeef, seq: 0 }, WINDOW, Duration::from_secs(1));
///
/// for second in 0..5 {
///     let now = Duration::from_secs(second);
///     lost.extend(std::iter::from_fn(|| ledger.poll_lost(now)));
///     let token = ledger.tokens().next().ok_or("the whole window is in flight")?;
///     token.encode(&mut name)?; // and send it
///     ledger.handle_sent(name.len(), now);
///     if let Some(datagram) = receive(second, &name) {
///         ledger.handle_datagram(&datagram, now + rtt);
///     }
/// }
/// assert_eq!(lost, [1]);
/// assert_eq!(ledger.counts().answered, 4);
/// assert_eq!(ledger.counts().loss(), Some(0.2));
/// # Ok(())
/// # }
/// ```
///
/// # What it remembers
///
/// The last probes, as many as its window has, with 16 bytes for each. All memory is allocated when
/// it is made, and each call takes constant time, over a run of any length ([`poll_lost`] and
/// [`handle_datagram`] on average). A probe in flight is never out_of_window: while the oldest of
/// the window is, no further one may be sent.
///
/// # Times
///
/// They have the resolution of a nanosecond and saturate after 584 years. Probes are handed in in
/// the order of their times; were one older than the one before it, only its loss would be noticed
/// later than it could be.
///
/// A reply is late by its time alone, also if nobody has asked for losses since; and what was
/// settled as lost stays lost. So whoever knows when the system received a datagram hands in that
/// time, and empties the socket before asking for losses: then a process that was held up measures
/// no worse.
///
/// [`poll_lost`]: Self::poll_lost
/// [`handle_datagram`]: Self::handle_datagram
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Of the next probe.
    next: Token,
    timeout: Duration,
    window: Window,
    /// How many probes were sent since the oldest that is open, and with it.
    outstanding: u32,
    /// The shortest and the longest name sent, in bytes.
    lengths: Option<(usize, usize)>,
    /// Which probe is the last sent of those answered, counted from 1.
    last_answered: u64,
    counts: Counts,
}

impl Ledger {
    /// Opens a ledger whose first probe has the token `first`, and whose probes are lost `timeout`
    /// after they were sent.
    ///
    /// It knows of the last `window` probes, rounded up to a power of two, and of no more than
    /// 2^31. To keep up a rate, they have to span the timeout; to tell duplicates and late replies
    /// from those to probes that are out_of_window, as much more as such replies may take.
    pub fn new(first: Token, window: NonZeroU32, timeout: Duration) -> Self {
        Self {
            next: first,
            timeout,
            window: Window::new(window),
            outstanding: 0,
            lengths: None,
            last_answered: 0,
            counts: Counts::default(),
        }
    }

    /// Records that the first of [`tokens`](Self::tokens) was sent, in a name of so many bytes.
    ///
    /// It is handed in before any reply to it is. A probe that could not be sent is not handed in,
    /// and the next one has its token.
    ///
    /// # Panics
    ///
    /// If there is no such token, because the window is full.
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

    /// Decides what a datagram received is, and counts it.
    ///
    /// A reply on the timeout or after it is [`ReplyKind::Late`], and settles its probe as lost if
    /// nothing did before.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Duration) -> ReplyKind {
        let arrival = self.classify(datagram, now);
        match arrival {
            ReplyKind::Answered { reordered, .. } => {
                self.counts.answered += 1;
                self.counts.reordered += u64::from(reordered);
                self.advance();
            }
            ReplyKind::Late { .. } => self.counts.late += 1,
            ReplyKind::Duplicate { .. } => self.counts.duplicate += 1,
            ReplyKind::OutOfWindow { .. } => self.counts.out_of_window += 1,
            ReplyKind::Corrupt => self.counts.corrupt += 1,
            ReplyKind::Unsolicited => self.counts.unsolicited += 1,
        }
        arrival
    }

    /// Settles the oldest probe in flight as lost if its timeout is over, and returns its sequence
    /// number.
    ///
    /// Call it until it returns `None`. It names every probe lost exactly once and in the order
    /// sent, also one whose late reply was there first.
    pub fn poll_lost(&mut self, now: Duration) -> Option<u32> {
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
        self.advance();
        Some(seq)
    }

    /// Returns when [`poll_lost`](Self::poll_lost) will next have something to say, unless a reply
    /// comes.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let slot = self.window.slot(self.oldest_open()?);
        Some(slot.sent().saturating_add(self.timeout))
    }

    /// Yields the tokens of the next probes in order, as many as may be sent now: none while the
    /// probe that would leave the window is in flight, or while nobody was told of its loss.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = Token> + use<> {
        let Token { run_id, seq } = self.next;
        let free = self.window.len() - self.outstanding;
        (0..free).map(move |i| Token { run_id, seq: seq.wrapping_add(i) })
    }

    /// Returns how much there was of everything so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Decides what a datagram is, and moves its probe to its next state.
    fn classify(&mut self, datagram: &[u8], now: Duration) -> ReplyKind {
        let Ok(reply) = Reply::decode(datagram) else { return ReplyKind::Corrupt };
        let len = reply.name().len();
        let likely_ours =
            self.lengths.is_some_and(|(shortest, longest)| (shortest..=longest).contains(&len));
        let Some(token) = Token::decode(reply.name()) else {
            return if likely_ours { ReplyKind::Corrupt } else { ReplyKind::Unsolicited };
        };
        let Some(back) = self.distance(token) else { return ReplyKind::Unsolicited };
        let seq = token.seq;
        if back > u64::from(self.window.len()) {
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
                let nth = self.counts.sent - back + 1;
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

    /// Returns how many probes ago the one with a token was sent, at least 1, if it was.
    fn distance(&self, token: Token) -> Option<u64> {
        let back = match self.next.seq.wrapping_sub(token.seq) {
            0 => 1 << u32::BITS,
            back => u64::from(back),
        };
        (token.run_id == self.next.run_id && back <= self.counts.sent).then_some(back)
    }

    /// Passes over what is settled, up to the oldest probe that is open. Over a whole run, this
    /// takes one step for each probe.
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

/// What a datagram is to the one who sent the probes; see [`Ledger::handle_datagram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyKind {
    /// The first reply to a probe, before its timeout.
    Answered {
        /// The probe's sequence number.
        seq: u32,
        /// How long the reply took.
        rtt: Duration,
        /// Whether a probe sent later was answered earlier, as in RFC 4737 section 3.3.
        reordered: bool,
    },
    /// The first reply to a probe that is lost, and stays lost.
    Late {
        /// The probe's sequence number.
        seq: u32,
        /// How long the reply took.
        rtt: Duration,
    },
    /// A further reply to a probe.
    Duplicate {
        /// The probe's sequence number.
        seq: u32,
    },
    /// A reply to a probe older than the window: nobody knows any more whether it is the first.
    OutOfWindow {
        /// The probe's sequence number.
        seq: u32,
    },
    /// Not a reply, or one that seems to have been ours: its name is no token, and as long as the
    /// names sent, or it is a token of ours in a name of another length than was sent.
    Corrupt,
    /// A reply to somebody else: to a token of another run or of a probe not sent, or to a name
    /// longer or shorter than all that were sent.
    Unsolicited,
}

/// How many probes and datagrams there were of each kind.
///
/// Of the probes sent, each is answered, lost or [in flight](Self::in_flight). Of the datagrams
/// received, each is answered, late, duplicate, out_of_window, corrupt or unsolicited; see
/// [`ReplyKind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Probes sent.
    pub sent: u64,
    /// Probes answered before their timeout.
    pub answered: u64,
    /// Probes not answered before their timeout.
    pub lost: u64,
    /// Probes answered after one that was sent later: some of the answered.
    pub reordered: u64,
    /// First replies to probes that are lost.
    pub late: u64,
    /// Further replies to probes.
    pub duplicate: u64,
    /// Replies to probes older than the window.
    pub out_of_window: u64,
    /// Datagrams that are no replies to anything, as far as can be told.
    pub corrupt: u64,
    /// Replies to somebody else.
    pub unsolicited: u64,
}

impl Counts {
    /// Returns how many probes are neither answered nor lost yet.
    pub const fn in_flight(&self) -> u64 {
        self.sent - self.settled()
    }

    /// Returns the share of the probes settled that are lost, from 0 to 1; `None` if none is
    /// settled. What is in flight is not lost.
    pub fn loss(&self) -> Option<f64> {
        (self.settled() > 0).then(|| self.lost as f64 / self.settled() as f64)
    }

    /// Adds what another ledger counted.
    pub const fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.late += other.late;
        self.duplicate += other.duplicate;
        self.out_of_window += other.out_of_window;
        self.corrupt += other.corrupt;
        self.unsolicited += other.unsolicited;
    }

    const fn settled(&self) -> u64 {
        self.answered + self.lost
    }
}
