use std::borrow::Cow;
use std::time::Duration;

use super::distribution::Distribution;
use super::ledger::{Counts, ReplyKind};
use super::quantiles::{Quantiles, TimerError};
use super::run_length::RunLength;
use super::summary::{ByLabel, Summary};

/// The counts and times of a run or a part of it, in constant memory.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{Record, ReplyKind};
///
/// let mut record = Record::new(); record.sent(2, Duration::from_micros(50));
/// record.received(ReplyKind::Answered { seq: 0, rtt: Duration::from_millis(3), reordered: false
/// }); record.lost();
///
/// let summary = record.summary(Duration::from_secs(2));
/// assert_eq!((summary.sent, summary.answered, summary.lost), (2, 1, 1));
/// assert_eq!((summary.loss, summary.in_flight), (Some(0.5), 0));
/// assert_eq!(summary.rtt_ms.map(|rtt| rtt.p50), Some(3.0));
/// ```
#[derive(Clone, Debug)]
pub struct Record {
    counts: Counts,
    /// The requests in flight at the start of this part. It may be negative, because another thread
    /// may record a reply before its request.
    carried: i64,
    errors: ByLabel,
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
        let counts = &mut self.counts;
        match reply {
            ReplyKind::Answered { rtt, reordered, .. } => self.answered(rtt, reordered),
            ReplyKind::Late { .. } => counts.late += 1,
            ReplyKind::Duplicate { .. } => counts.duplicate += 1,
            ReplyKind::OutOfWindow { .. } => counts.out_of_window += 1,
            ReplyKind::Corrupt => counts.corrupt += 1,
            ReplyKind::Unsolicited => counts.unsolicited += 1,
        }
    }

    /// Records a reply that arrived in time.
    pub fn answered(&mut self, rtt: Duration, reordered: bool) {
        self.counts.answered += 1;
        self.counts.reordered += u64::from(reordered);
        self.rtt.record(rtt, 1);
    }

    /// Records the loss of a request.
    pub fn lost(&mut self) {
        self.counts.lost += 1;
    }

    /// Records `count` errors of a class.
    pub fn error(&mut self, class: &'static str, count: u64) {
        *self.errors.entry(class).or_default() += count;
    }

    /// Adds the record of another thread, or of the next part.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.rtt.merge(&other.rtt);
        self.lateness.merge(&other.lateness);
        for (labels, other) in
            [(&mut self.errors, &other.errors), (&mut self.not_sent, &other.not_sent)]
        {
            for (label, count) in other {
                *labels.entry(label).or_default() += count;
            }
        }
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
            errors: self.errors.clone(),
            not_sent: self.not_sent.clone(),
            rtt_ms: Quantiles::from_distribution(&self.rtt.distribution()),
            timer_error_ms: TimerError::from_distribution(&self.lateness.distribution()),
            duration_s: now.saturating_sub(self.since).as_secs_f64(),
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
