use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::cause::Cause;
use super::distribution::Distribution;
use super::ledger::{Attribution, Counts, Fate, ReplyKind};
use super::lost_cause::LostCause;
use super::quantiles::{Quantiles, TimerError};
use super::run_length::RunLength;
use super::summary::{ByLabel, Summary};

/// The counts and times of a run or a part of it, in constant memory.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{Cause, Record, ReplyKind};
///
/// let mut record = Record::new();
/// record.sent(2, Duration::from_micros(50));
/// let rtt = Duration::from_millis(3);
/// record.received(ReplyKind::Answered { seq: 0, rtt, reordered: false });
/// record.lost(Cause::SILENT);
///
/// let summary = record.summary(Duration::from_secs(2));
/// assert_eq!((summary.sent, summary.answered, summary.lost), (2, 1, 1));
/// assert_eq!((summary.loss, summary.in_flight), (Some(0.5), 0));
/// assert_eq!(summary.rtt_ms.map(|rtt| rtt.max), Some(3.0));
/// ```
#[derive(Clone, Debug)]
pub struct Record {
    counts: Counts,
    /// The requests in flight at the start of this part. It may be negative, because another thread
    /// may record a reply before its request.
    carried: i64,
    errors: ByLabel,
    unattributed: u64,
    /// The losses by cause. A number may be negative, because an error may change the cause of a loss
    /// in an earlier part, or that another thread has recorded.
    causes: BTreeMap<Cause, i64>,
    not_sent: ByLabel,
    rtt: RunLength,
    lateness: RunLength,
    since: Duration,
}

impl Record {
    /// Creates an empty record that starts at time 0.
    pub fn new() -> Self {
        Self {
            counts: Counts::default(),
            carried: 0,
            errors: ByLabel::new(),
            unattributed: 0,
            causes: BTreeMap::new(),
            not_sent: ByLabel::new(),
            rtt: RunLength::new(DIGITS),
            lateness: RunLength::new(DIGITS),
            since: Duration::ZERO,
        }
    }

    /// Records `count` requests that were sent `late` after their due time.
    pub fn sent(&mut self, count: u32, late: Duration) {
        self.counts.sent += u64::from(count);
        self.lateness.record(late, count.into());
    }

    /// Records `count` requests that were due but not sent, and the reason.
    pub fn not_sent(&mut self, reason: &'static str, count: u64) {
        *self.not_sent.entry(reason).or_default() += count;
    }

    /// Records a received datagram by its kind.
    pub fn received(&mut self, reply: ReplyKind) {
        match reply {
            ReplyKind::Answered { rtt, reordered, .. } => self.answered(rtt, reordered),
            other => self.counts.count_reply(other),
        }
    }

    /// Records a reply that arrived in time.
    pub fn answered(&mut self, rtt: Duration, reordered: bool) {
        self.counts.count_answer(reordered);
        self.rtt.record(rtt, 1);
    }

    /// Records the loss of a request, and its cause.
    pub fn lost(&mut self, cause: Cause) {
        self.counts.lost += 1;
        self.count_cause(cause, 1);
    }

    /// Records `count` errors of a class.
    pub fn error(&mut self, class: &'static str, count: u64) {
        *self.errors.entry(class).or_default() += count;
    }

    /// Records an error that the network reported. It becomes the cause of a loss that was recorded
    /// before.
    ///
    /// ```
    /// use hello_measure::{Attribution, Cause, CauseKind, Fate, Record};
    ///
    /// let mut record = Record::new();
    /// record.lost(Cause::SILENT);
    /// let cause = Cause { kind: CauseKind::HostUnreachable, reporter: None };
    /// let fate = Fate::Lost { before: Cause::SILENT, after: cause };
    /// record.network_error(cause, Attribution::Probe { seq: 1, fate });
    /// let summary = record.summary(std::time::Duration::ZERO);
    /// let [lost_cause] = &summary.lost_causes[..] else { panic!("one") };
    /// assert_eq!((lost_cause.cause, lost_cause.lost), (cause, 1));
    /// ```
    pub fn network_error(&mut self, cause: Cause, attribution: Attribution) {
        self.error(cause.kind.label(), 1);
        match attribution {
            Attribution::Probe { fate: Fate::Lost { before, after }, .. } => {
                self.count_cause(before, -1);
                self.count_cause(after, 1);
            }
            Attribution::Probe { .. } => {}
            Attribution::Unattributed => self.unattributed += 1,
        }
    }

    /// Adds the [next part](Self::next_part), whose requests in flight at its start are those of this
    /// record at its end.
    ///
    /// ```
    /// use std::time::Duration;
    /// use hello_measure::{Cause, Record};
    ///
    /// let mut record = Record::new();
    /// record.sent(3, Duration::ZERO);
    /// let mut later = record.next_part(Duration::from_secs(1));
    /// later.lost(Cause::SILENT);
    /// record.append(&later);
    /// assert_eq!((record.counts().lost, record.in_flight()), (1, 2));
    /// ```
    pub fn append(&mut self, later: &Self) {
        self.add(later);
    }

    /// Adds the record of another thread, with its requests in flight. The sum starts when the first
    /// of the two does.
    ///
    /// ```
    /// use std::time::Duration;
    /// use hello_measure::Record;
    ///
    /// let parts = [5, 3].map(|requests| {
    ///     let mut thread = Record::new();
    ///     thread.sent(requests, Duration::ZERO);
    ///     thread.next_part(Duration::from_secs(1))
    /// });
    /// let [mut both, other] = parts;
    /// both.merge(&other);
    /// assert_eq!((both.counts().sent, both.in_flight()), (0, 8));
    /// ```
    pub fn merge(&mut self, other: &Self) {
        self.add(other);
        self.carried = self.carried.saturating_add(other.carried);
        self.since = self.since.min(other.since);
    }

    /// Returns the record of the next part, which starts at `now`. Requests in flight remain in
    /// flight.
    #[must_use]
    pub fn next_part(&self, now: Duration) -> Self {
        Self { carried: self.balance(), since: now, ..Self::new() }
    }

    /// Returns the counts.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the number of requests neither answered nor lost.
    pub fn in_flight(&self) -> u64 {
        u64::try_from(self.balance()).unwrap_or(0)
    }

    /// Returns the round-trip times.
    pub fn rtt(&self) -> Cow<'_, Distribution> {
        self.rtt.distribution()
    }

    /// Summarises the record at `now`.
    pub fn summary(&self, now: Duration) -> Summary {
        let counts = self.counts;
        Summary {
            sent: counts.sent,
            answered: counts.answered,
            lost: counts.lost,
            in_flight: self.in_flight(),
            loss: counts.loss(),
            late: counts.late,
            reordered: counts.reordered,
            duplicate: counts.duplicate,
            corrupt: counts.corrupt,
            unsolicited: counts.unsolicited,
            out_of_window: counts.out_of_window,
            lost_causes: LostCause::list(&self.causes),
            errors: self.errors.clone(),
            unattributed: self.unattributed,
            not_sent: self.not_sent.clone(),
            rtt_ms: Quantiles::from_distribution(&self.rtt.distribution()),
            timer_error_ms: TimerError::from_distribution(&self.lateness.distribution()),
            duration_s: now.saturating_sub(self.since).as_secs_f64(),
        }
    }

    /// Adds the events of another record.
    fn add(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.rtt.merge(&other.rtt);
        self.lateness.merge(&other.lateness);
        self.unattributed += other.unattributed;
        for (cause, lost) in &other.causes {
            self.count_cause(*cause, *lost);
        }
        for (labels, other) in
            [(&mut self.errors, &other.errors), (&mut self.not_sent, &other.not_sent)]
        {
            for (label, count) in other {
                *labels.entry(label).or_default() += count;
            }
        }
    }

    /// Adds to the losses with a cause, and forgets a cause without any.
    fn count_cause(&mut self, cause: Cause, lost: i64) {
        let entry = self.causes.entry(cause).or_default();
        *entry += lost;
        if *entry == 0 {
            self.causes.remove(&cause);
        }
    }

    fn balance(&self) -> i64 {
        let Counts { sent, answered, lost, .. } = self.counts;
        self.carried.saturating_add_unsigned(sent).saturating_sub_unsigned(answered + lost)
    }
}

impl Default for Record {
    fn default() -> Self {
        Self::new()
    }
}

/// The number of significant digits of the percentiles.
const DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns a part from `since` on with this number of requests in flight.
    fn part(in_flight: u32, since: Duration) -> Record {
        let mut before = Record::new();
        before.sent(in_flight, Duration::ZERO);
        before.next_part(since)
    }

    #[test]
    fn requests_in_flight_of_two_threads_are_added() {
        let (mut both, mut other) = (part(5, 2 * SECOND), part(3, SECOND));
        both.merge(&other);
        assert_eq!(both.in_flight(), 8);
        assert_eq!(both.summary(4 * SECOND).duration_s, 3.0);

        other.answered(SECOND, false);
        other.lost(Cause::SILENT);
        other.merge(&part(5, 2 * SECOND));
        assert_eq!((other.in_flight(), other.counts().in_flight()), (6, 0));
        assert_eq!(other.summary(4 * SECOND).duration_s, 3.0);
    }

    #[test]
    fn requests_in_flight_of_the_next_part_are_those_of_the_one_before() {
        let mut record = part(5, SECOND);
        record.sent(1, Duration::ZERO);
        let mut later = record.next_part(2 * SECOND);
        later.answered(SECOND, false);
        record.append(&later);
        assert_eq!((record.in_flight(), later.in_flight()), (5, 5));
        assert_eq!(record.summary(4 * SECOND).duration_s, 3.0);
    }

    #[test]
    fn reply_recorded_by_another_thread_than_its_request_is_no_longer_in_flight() {
        let (mut sender, mut receiver) = (Record::new(), Record::new());
        sender.sent(2, Duration::ZERO);
        receiver.answered(SECOND, false);
        let (mut sender, receiver) = (sender.next_part(SECOND), receiver.next_part(SECOND));
        assert_eq!(receiver.in_flight(), 0);
        sender.merge(&receiver);
        assert_eq!(sender.in_flight(), 1);
    }
}
