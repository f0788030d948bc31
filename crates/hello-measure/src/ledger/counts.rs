use super::ReplyKind;
use crate::summary::share;

/// The number of probes and datagrams of each kind.
///
/// Each probe sent is answered, lost or [in flight](Self::in_flight). Each datagram received is an
/// answer, late, duplicate, out of window, corrupt or unsolicited; see [`ReplyKind`].
///
/// ```
/// use hello_measure::Counts;
///
/// let mut counts = Counts::default();
/// (counts.sent, counts.answered, counts.lost) = (10, 6, 2);
/// assert_eq!((counts.in_flight(), counts.loss()), (2, Some(0.25)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Probes sent.
    pub sent: u64,
    /// Probes answered before their timeout.
    pub answered: u64,
    /// Probes not answered before their timeout.
    pub lost: u64,
    /// Probes answered after one that was sent later; a subset of the answered.
    pub reordered: u64,
    /// First replies to lost probes.
    pub late: u64,
    /// Second and further replies to probes.
    pub duplicate: u64,
    /// Replies to probes older than the window.
    pub out_of_window: u64,
    /// Datagrams that are not valid replies.
    pub corrupt: u64,
    /// Replies to requests that this run did not send.
    pub unsolicited: u64,
}

impl Counts {
    /// Adds the counts of another ledger.
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

    /// Counts a received datagram by its kind.
    pub(crate) fn count_reply(&mut self, reply: ReplyKind) {
        match reply {
            ReplyKind::Answered { reordered, .. } => self.count_answer(reordered),
            ReplyKind::Late { .. } => self.late += 1,
            ReplyKind::Duplicate { .. } => self.duplicate += 1,
            ReplyKind::OutOfWindow { .. } => self.out_of_window += 1,
            ReplyKind::Corrupt => self.corrupt += 1,
            ReplyKind::Unsolicited => self.unsolicited += 1,
        }
    }

    /// Counts a reply that arrived in time.
    pub(crate) fn count_answer(&mut self, reordered: bool) {
        self.answered += 1;
        self.reordered += u64::from(reordered);
    }

    /// Returns the number of probes neither answered nor lost yet.
    ///
    /// It is 0 if more were answered or lost than sent, as in a part of a run that began with probes
    /// in flight; [`Record::in_flight`](crate::Record::in_flight) includes those.
    pub const fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.settled())
    }

    /// Returns the share of the answered or lost probes that are lost, from 0 to 1; `None` if there
    /// are none. Probes in flight are excluded.
    pub fn loss(&self) -> Option<f64> {
        share(self.lost, self.settled())
    }

    /// Returns the number of probes that were answered or lost.
    pub const fn settled(&self) -> u64 {
        self.answered + self.lost
    }
}
