use super::quantiles::{Quantiles, TimerError};
use super::record::ByLabel;

/// What a [`Record`](super::Record) amounts to: the numbers that every output has, under these
/// names.
///
/// In a part of a run, requests that were sent before it may be answered or lost.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Summary {
    /// Requests sent.
    pub sent: u64,
    /// Requests answered before their timeout, with every byte as expected.
    pub answered: u64,
    /// Requests not answered before their timeout.
    pub lost: u64,
    /// Requests neither answered nor lost yet.
    pub in_flight: u64,
    /// The share of the settled requests (answered or lost) that were lost, from 0 to 1; `None` if
    /// none was settled.
    pub loss: Option<f64>,
    /// First replies to requests that were lost by then.
    pub late: u64,
    /// Answered requests whose reply came after that to a later one (RFC 4737).
    pub reordered: u64,
    /// Further replies to requests.
    pub duplicate: u64,
    /// Datagrams that are no reply to any request.
    pub corrupt: u64,
    /// Replies to somebody else's requests.
    pub unsolicited: u64,
    /// Replies to requests older than the ledger remembers.
    pub out_of_window: u64,
    /// Errors that the system or the network reported, by class.
    pub errors: ByLabel,
    /// Requests that were due and not sent, by reason.
    pub not_sent: ByLabel,
    /// Round-trip times of the answered requests.
    pub rtt_ms: Option<Quantiles>,
    /// How much later than due the requests were sent.
    pub timer_error_ms: Option<TimerError>,
    /// The time that this summary covers, in seconds.
    pub duration_s: f64,
}

impl Summary {
    /// Returns how many errors were reported.
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Returns how many requests were due and not sent.
    pub fn not_sent_total(&self) -> u64 {
        self.not_sent.values().sum()
    }

    /// Returns how many requests were due.
    pub fn due(&self) -> u64 {
        self.sent + self.not_sent_total()
    }

    /// Returns how many of something there were each second; `None` without time.
    pub fn per_second(&self, count: u64) -> Option<f64> {
        (self.duration_s > 0.0).then(|| count as f64 / self.duration_s)
    }

    /// Returns what there was instead of an answer; `None` if a request was answered, or if none
    /// was sent.
    pub fn no_answer(&self) -> Option<NoAnswer> {
        if self.answered > 0 || self.sent + self.lost == 0 {
            return None;
        }
        Some(if self.errors.contains_key(REFUSED) {
            NoAnswer::Refused
        } else if self.late + self.out_of_window > 0 {
            NoAnswer::Late
        } else if self.corrupt + self.unsolicited > 0 {
            NoAnswer::Unrelated
        } else if !self.errors.is_empty() {
            NoAnswer::Errors
        } else {
            NoAnswer::Silent
        })
    }
}

/// The class of the error that reports that nothing listens at a port.
pub const REFUSED: &str = "connection-refused";

/// What there was instead of an answer, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The network reported that nothing listens there.
    Refused,
    /// Replies came after their timeout.
    Late,
    /// Only datagrams that are no replies to these requests came.
    Unrelated,
    /// The system or the network reported other errors.
    Errors,
    /// Nothing at all.
    Silent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_sign_is_what_there_was_instead_of_an_answer() {
        let mut summary = Summary { answered: 1, ..Summary::default() };
        assert_eq!(summary.no_answer(), None);
        summary.answered = 0;
        assert_eq!(summary.no_answer(), None, "nothing was sent");
        summary.sent = 1;
        assert_eq!(summary.no_answer(), Some(NoAnswer::Silent));
        summary.errors = [("denied", 1)].into();
        assert_eq!(summary.no_answer(), Some(NoAnswer::Errors));
        for unrelated in [
            Summary { corrupt: 1, ..summary.clone() },
            Summary { unsolicited: 1, ..summary.clone() },
        ] {
            assert_eq!(unrelated.no_answer(), Some(NoAnswer::Unrelated));
        }
        summary.corrupt = 1;
        for late in [
            Summary { late: 1, ..summary.clone() },
            Summary { out_of_window: 1, ..summary.clone() },
        ] {
            assert_eq!(late.no_answer(), Some(NoAnswer::Late));
        }
        summary.late = 1;
        summary.errors.insert(REFUSED, 1);
        assert_eq!(summary.no_answer(), Some(NoAnswer::Refused));
    }
}
