use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::distribution::Distribution;
use super::ledger::{Counts, ReplyKind};
use super::quantiles::{Quantiles, TimerError};
use super::run_length::RunLength;
use super::summary::Summary;

/// Counts by their label, such as errors by their class.
pub type ByLabel = BTreeMap<&'static str, u64>;

/// What happened to the requests of a run or of a part of it, in constant memory.
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
    /// How many were sent and not settled before this part. A reply may be recorded before the
    /// request that it answers, by another thread.
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

    /// Records that `count` requests were sent, each this much later than it was due.
    pub fn sent(&mut self, count: u32, late: Duration) {
        self.counts.sent += u64::from(count);
        self.lateness.record(late, count.into());
    }

    /// Records that `count` requests that were due were not sent, for a reason.
    pub fn not_sent(&mut self, reason: &'static str, count: u64) {
        *self.not_sent.entry(reason).or_default() += count;
    }

    /// Records a datagram that was received, by what it is.
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

    /// Records the reply to a request in time.
    pub fn answered(&mut self, rtt: Duration, reordered: bool) {
        self.counts.answered += 1;
        self.counts.reordered += u64::from(reordered);
        self.rtt.record(rtt, 1);
    }

    /// Records that a request was not answered before its timeout.
    pub fn lost(&mut self) {
        self.counts.lost += 1;
    }

    /// Records `count` errors of a class.
    pub fn error(&mut self, class: &'static str, count: u64) {
        *self.errors.entry(class).or_default() += count;
    }

    /// Adds what another record has: of another thread, or of the part that followed this one.
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

    /// Returns the record of the part that follows this one and starts at `now`. Requests in flight
    /// stay in flight.
    #[must_use]
    pub fn next_part(&self, now: Duration) -> Self {
        Self { carried: self.balance(), since: now, ..Self::new() }
    }

    /// Returns how much of everything was recorded.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns how many requests are neither answered nor lost.
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

/// How many significant digits the percentiles have.
const DIGITS: u8 = 3;
