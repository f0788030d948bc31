use std::collections::BTreeMap;

use super::cause::CauseKind;
use super::lost_cause::LostCause;
use super::quantiles::{Quantiles, TimerError};

/// Counts by label, such as errors by class.
///
/// ```
/// use hello_measure::Record;
///
/// let mut record = Record::new();
/// record.error("denied", 2);
/// let errors = record.summary(std::time::Duration::ZERO).errors;
/// assert_eq!(errors, [("denied", 2)].into());
/// ```
pub type ByLabel = BTreeMap<&'static str, u64>;

/// The summary of a [`Record`](super::Record): the numbers of every output, under these names.
///
/// A part of a run includes the replies to, and losses of, earlier requests.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Record;
///
/// let mut record = Record::new();
/// record.sent(3, Duration::ZERO);
/// record.not_sent("late", 1);
/// let summary = record.summary(Duration::from_secs(2));
/// assert_eq!((summary.due(), summary.in_flight), (4, 3));
/// assert_eq!(summary.per_second(summary.sent), Some(1.5));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Summary {
    /// Requests sent.
    pub sent: u64,
    /// Requests answered before their timeout, with every byte correct.
    pub answered: u64,
    /// Requests not answered before their timeout.
    pub lost: u64,
    /// Requests neither answered nor lost yet.
    pub in_flight: u64,
    /// The share of the answered or lost requests that were lost, from 0 to 1; `None` if there are
    /// none.
    pub loss: Option<f64>,
    /// First replies to lost requests.
    pub late: u64,
    /// Requests answered after one that was sent later (RFC 4737); a subset of the answered.
    pub reordered: u64,
    /// Second and further replies to requests.
    pub duplicate: u64,
    /// Datagrams that are not valid replies.
    pub corrupt: u64,
    /// Replies to requests that this run did not send.
    pub unsolicited: u64,
    /// Replies to requests older than the ledger's window.
    pub out_of_window: u64,
    /// The causes of the lost requests, the most frequent first. A part of a run may have another number
    /// of them, because an error may change the cause of an earlier loss.
    pub lost_causes: Vec<LostCause>,
    /// Errors reported by the system or the network, by class or by kind of cause.
    pub errors: ByLabel,
    /// The errors from the network that quote no request of this run, or too little of it.
    pub unattributed: u64,
    /// Requests that were due but not sent, by reason.
    pub not_sent: ByLabel,
    /// Round-trip times of the answered requests.
    pub rtt_ms: Option<Quantiles>,
    /// The lateness of the sent requests.
    pub timer_error_ms: Option<TimerError>,
    /// The time that this summary covers, in seconds.
    pub duration_s: f64,
}

impl Summary {
    /// Returns the number of errors.
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Returns the number of requests that were due but not sent.
    pub fn not_sent_total(&self) -> u64 {
        self.not_sent.values().sum()
    }

    /// Returns the number of requests that were due.
    pub fn due(&self) -> u64 {
        self.sent + self.not_sent_total()
    }

    /// Returns the number of requests that were answered or lost.
    pub fn settled(&self) -> u64 {
        self.answered + self.lost
    }

    /// Returns the loss if every request in flight is lost, from 0 to 1: the largest that this run can
    /// still have. `None` if nothing is answered, lost or in flight.
    ///
    /// ```
    /// use hello_measure::Summary;
    ///
    /// let summary =
    ///     Summary { sent: 10, answered: 6, in_flight: 4, loss: Some(0.0), ..Summary::default() };
    /// assert_eq!((summary.loss, summary.worst_case_loss()), (Some(0.0), Some(0.4)));
    /// ```
    pub fn worst_case_loss(&self) -> Option<f64> {
        share(self.lost + self.in_flight, self.settled() + self.in_flight)
    }

    /// Returns the share of the due requests that were not answered, from 0 to 1: the lost ones and
    /// those that were not sent. Requests in flight are excluded. `None` if there is none.
    ///
    /// This is the value for a threshold: a link that is down loses no request, but answers none.
    ///
    /// ```
    /// use hello_measure::Summary;
    ///
    /// let not_sent = [("network-unreachable", 20)].into();
    /// let summary = Summary { sent: 10, answered: 10, not_sent, ..Summary::default() };
    /// assert_eq!(summary.unanswered_ratio(), Some(20.0 / 30.0));
    /// ```
    pub fn unanswered_ratio(&self) -> Option<f64> {
        let not_sent = self.not_sent_total();
        share(self.lost + not_sent, self.settled() + not_sent)
    }

    /// Converts a count to a rate per second; `None` if the summary covers no time.
    pub fn per_second(&self, count: u64) -> Option<f64> {
        (self.duration_s > 0.0).then(|| count as f64 / self.duration_s)
    }

    /// Returns why there was no answer, once a request was lost or something was received or reported;
    /// `None` if a request was answered, or if none was sent or lost.
    pub fn no_answer(&self) -> Option<NoAnswer> {
        // A part may have only the losses of earlier requests.
        if self.answered > 0 || self.sent + self.lost == 0 {
            None
        } else if self.errors.contains_key(REFUSED) {
            Some(NoAnswer::Refused)
        } else if self.late + self.out_of_window > 0 {
            Some(NoAnswer::Late)
        } else if self.corrupt + self.unsolicited > 0 {
            Some(NoAnswer::Unrelated)
        } else if !self.errors.is_empty() {
            Some(NoAnswer::Errors)
        } else {
            (self.lost > 0).then_some(NoAnswer::Silent)
        }
    }
}

/// Returns a part's share of the whole; `None` if there is no whole.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The class of the error that reports a port without a server.
pub const REFUSED: &str = CauseKind::Refused.label();

/// The reason why there was no answer, with the most specific one first.
///
/// ```
/// use hello_measure::{NoAnswer, REFUSED, Summary};
///
/// let mut summary = Summary { sent: 1, lost: 1, ..Summary::default() };
/// assert_eq!(summary.no_answer(), Some(NoAnswer::Silent));
/// summary.errors.insert(REFUSED, 1);
/// assert_eq!(summary.no_answer(), Some(NoAnswer::Refused));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The network reported that no server is listening on the port.
    Refused,
    /// Replies arrived after their timeout.
    Late,
    /// Only datagrams that are not replies to these requests arrived.
    Unrelated,
    /// The system or the network reported other errors.
    Errors,
    /// No reply and no error.
    Silent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_in_flight_and_not_sent_have_their_own_shares() {
        let none = Summary::default();
        assert_eq!((none.worst_case_loss(), none.unanswered_ratio()), (None, None));
        let in_flight = Summary { in_flight: 3, ..none.clone() };
        assert_eq!((in_flight.worst_case_loss(), in_flight.unanswered_ratio()), (Some(1.0), None));
        let not_sent = [("late", 1), ("denied", 2)].into();
        let not_sent = Summary { not_sent, ..none };
        assert_eq!((not_sent.worst_case_loss(), not_sent.unanswered_ratio()), (None, Some(1.0)));
        let all = Summary { answered: 12, lost: 1, in_flight: 7, ..not_sent };
        assert_eq!(
            (all.worst_case_loss(), all.unanswered_ratio()),
            (Some(8.0 / 20.0), Some(4.0 / 16.0))
        );
    }

    #[test]
    fn no_answer_is_missing_without_a_request() {
        let stray = Summary { unsolicited: 1, ..Summary::default() };
        assert_eq!(stray.no_answer(), None);
        for requested in [Summary { sent: 1, ..stray.clone() }, Summary { lost: 1, ..stray }] {
            assert_eq!(requested.no_answer(), Some(NoAnswer::Unrelated));
        }
    }

    #[test]
    fn refusal_is_named_before_the_first_request_is_lost() {
        let errors = [(REFUSED, 1)].into();
        let refused = Summary { sent: 1, errors, ..Summary::default() };
        assert_eq!(refused.no_answer(), Some(NoAnswer::Refused));
    }

    #[test]
    fn most_specific_reason_explains_a_missing_answer() {
        let mut summary = Summary { answered: 1, ..Summary::default() };
        assert_eq!(summary.no_answer(), None);
        summary.answered = 0;
        assert_eq!(summary.no_answer(), None, "nothing was sent");
        summary.sent = 1;
        assert_eq!(summary.no_answer(), None, "it may still be answered");
        summary.lost = 1;
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
