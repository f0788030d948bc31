//! What the system reports about probes that were sent: the network's errors, and when they left.

use std::time::Duration;

use hello_proto::Token;

use super::Ledger;
use super::window::State;
use crate::cause::Cause;
use crate::clocks::Clock;
use crate::quote::quoted_token;

impl Ledger {
    /// Attributes an ICMP error to the probe whose name it quotes.
    ///
    /// `quote` is what the error quotes of the payload of the datagram; see [`quoted_token`]. A router may
    /// quote the ports only (RFC 792). An error with less than a token belongs to the only probe in flight
    /// among the `candidates`, such as those from the port that it quotes; to none, if there are several.
    ///
    /// An error is evidence and no verdict: the probe remains open until its reply or its timeout. The
    /// last error before the timeout is the cause of its [loss](super::Lost).
    pub fn handle_error(
        &mut self,
        quote: &[u8],
        candidates: impl Fn(u32) -> bool,
        cause: Cause,
    ) -> Attribution {
        let probe = if quote.len() < Token::MIN_LEN {
            self.only_in_flight(candidates)
        } else {
            self.quoted(quote)
        };
        probe.map_or(Attribution::Unattributed, |seq| self.attribute(seq, cause))
    }

    /// Sets when the kernel handed the probe with this name to the driver, if it is in flight: its
    /// round-trip time and its timeout start then. Returns whether it is.
    ///
    /// Call it before you pass in the reply.
    ///
    /// ```
    /// use std::{num::NonZeroU32, time::Duration};
    /// use hello_measure::{Clock, Ledger};
    /// use hello_proto::Token;
    ///
    /// let (first, second) = (Token { run_id: 0xbeef, seq: 1 }, Duration::from_secs(1));
    /// let mut ledger = Ledger::new(first, NonZeroU32::MIN, second);
    /// let mut name = [0; 16];
    /// first.encode(&mut name)?;
    /// ledger.handle_sent(name.len(), second);
    /// assert!(ledger.handle_transmitted(&name, second * 2));
    /// assert_eq!((ledger.poll_timeout(), ledger.sent_by(1)), (Some(second * 3), Clock::Kernel));
    /// # Ok::<(), hello_proto::BufferTooSmall>(())
    /// ```
    pub fn handle_transmitted(&mut self, name: &[u8], at: Duration) -> bool {
        let token = Token::decode(name).filter(|token| self.is_in_window(*token));
        let Some(token) = token else { return false };
        let slot = self.window.slot_mut(token.seq);
        let is_in_flight = slot.state == State::InFlight && slot.has_len(name.len());
        if is_in_flight {
            slot.set_transmitted(at);
        }
        is_in_flight
    }

    /// Returns who read the time at which a probe was sent that is still remembered.
    pub fn sent_by(&self, seq: u32) -> Clock {
        self.window.slot(seq).sent_by
    }

    fn attribute(&mut self, seq: u32, cause: Cause) -> Attribution {
        let number = self.causes.number(cause);
        let after = self.causes.get(number);
        let slot = self.window.slot_mut(seq);
        let fate = match slot.state {
            State::InFlight | State::LateUnreported => {
                Fate::InFlight { is_first: !self.causes.get(slot.cause).kind.is_reported() }
            }
            State::Answered => Fate::Answered,
            State::Lost | State::Late => Fate::Lost { before: self.causes.get(slot.cause), after },
        };
        slot.cause = number;
        Attribution::Probe { seq, fate }
    }

    /// Returns the probe of which a quote has the name, as far as it is quoted.
    fn quoted(&self, quote: &[u8]) -> Option<u32> {
        let token =
            quoted_token(quote, Token::MIN_LEN).filter(|token| self.is_in_window(*token))?;
        let whole = quoted_token(quote, self.window.slot(token.seq).name_len());
        (whole == Some(token)).then_some(token.seq)
    }

    /// Returns whether a token was sent, and is remembered.
    fn is_in_window(&self, token: Token) -> bool {
        self.distance(token).is_some_and(|distance| distance <= u64::from(self.window.len()))
    }

    /// Returns the only probe in flight among some; `None` if there are several, or too many to search.
    fn only_in_flight(&self, candidates: impl Fn(u32) -> bool) -> Option<u32> {
        let oldest = self.oldest_open().filter(|_| self.outstanding <= MAX_SEARCHED)?;
        let open = (0..self.outstanding).map(|i| oldest.wrapping_add(i));
        let is_in_flight = |seq: &u32| self.window.slot(*seq).state == State::InFlight;
        let mut found = open.filter(|seq| candidates(*seq)).filter(is_in_flight);
        let first = found.next();
        first.filter(|_| found.next().is_none())
    }
}

/// The most outstanding probes that are searched, which bounds the time that an error takes.
const MAX_SEARCHED: u32 = 1024;

/// The probe that an error is about; see [`Ledger::handle_error`].
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use hello_measure::{Attribution, Cause, Ledger};
/// use hello_proto::Token;
///
/// let first = Token { run_id: 0xbeef, seq: 1 };
/// let mut ledger = Ledger::new(first, NonZeroU32::MIN, Duration::from_secs(1));
/// let attribution = ledger.handle_error(b"somebody else's name", |_| true, Cause::SILENT);
/// assert_eq!(attribution, Attribution::Unattributed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribution {
    /// It is about a probe of this run.
    Probe {
        /// The probe's sequence number.
        seq: u32,
        /// What had become of the probe before.
        fate: Fate,
    },
    /// It quotes too little, or a probe that this run did not send or no longer remembers.
    Unattributed,
}

/// What became of a probe before an error about it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing yet, or nothing that was reported.
    InFlight {
        /// Whether this is the first error about it.
        is_first: bool,
    },
    /// It was answered, and remains so.
    Answered,
    /// It was reported as lost. The error is its cause from now on.
    Lost {
        /// The cause until now.
        before: Cause,
        /// The cause from now on: the error, without its reporter and its MTU if there were too many
        /// different ones before.
        after: Cause,
    },
}

impl Attribution {
    /// Returns the probe's sequence number; `None` if the error was not attributed.
    pub const fn seq(self) -> Option<u32> {
        match self {
            Self::Probe { seq, .. } => Some(seq),
            Self::Unattributed => None,
        }
    }
}
