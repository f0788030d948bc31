use std::collections::BTreeMap;
use std::time::Duration;

use super::cause::Cause;
use super::histogram::Histogram;
use super::ledger::{Attribution, Counts, Fate, ReplyKind};
use super::lost_cause::LostCause;
use super::quantiles::Quantiles;
use super::summary::{ByLabel, Summary};

/// The counts and times of one target among thousands, in about a kibibyte.
///
/// It counts what a [`Record`](super::Record) counts, but has a [`Histogram`] in place of percentiles.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{Cause, CompactRecord, Reachability, ReplyKind};
///
/// let mut record = CompactRecord::new();
/// record.sent();
/// let rtt = Duration::from_millis(3);
/// record.received(ReplyKind::Answered { seq: 1, rtt, reordered: false });
/// assert_eq!(record.reachability(), Reachability::Answering);
/// for _ in 0..2 {
///     record.sent();
///     record.lost(Cause::SILENT);
/// }
/// assert_eq!(record.reachability(), Reachability::Unreachable);
/// assert_eq!((record.counts().lost, record.rtt().max()), (2, Some(rtt)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct CompactRecord {
    counts: Counts,
    rtt: Histogram,
    causes: BTreeMap<Cause, i64>,
    errors: ByLabel,
    unattributed: u64,
    not_sent: ByLabel,
    reachability: Reachability,
    /// The probes in a row that were lost or not sent.
    failures: u32,
    last_cause: Option<Cause>,
}

impl CompactRecord {
    /// Creates an empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records a probe that was sent.
    pub fn sent(&mut self) {
        self.counts.sent += 1;
    }

    /// Records `count` probes that were due but not sent, and the reason.
    pub fn not_sent(&mut self, reason: &'static str, count: u64) {
        self.missed(reason, count);
        self.fail(count, None);
    }

    /// Records `count` probes that were due but not sent for a reason that says nothing about the target,
    /// such as a process that was suspended.
    pub fn missed(&mut self, reason: &'static str, count: u64) {
        *self.not_sent.entry(reason).or_default() += count;
    }

    /// Records a received datagram by its kind.
    pub fn received(&mut self, reply: ReplyKind) {
        self.counts.count_reply(reply);
        if let ReplyKind::Answered { rtt, .. } = reply {
            self.rtt.record(rtt);
            (self.failures, self.last_cause) = (0, None);
            self.reachability = Reachability::Answering;
        }
    }

    /// Records the loss of a probe, and its cause.
    pub fn lost(&mut self, cause: Cause) {
        self.counts.lost += 1;
        self.count_cause(cause, 1);
        self.fail(1, Some(cause));
    }

    /// Records `count` errors of a class.
    pub fn error(&mut self, class: &'static str, count: u64) {
        *self.errors.entry(class).or_default() += count;
    }

    /// Records an error that the network reported. It becomes the cause of a loss that was recorded
    /// before.
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

    /// Returns the counts of probes and datagrams.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the round-trip times.
    pub fn rtt(&self) -> &Histogram {
        &self.rtt
    }

    /// Lists the causes of the losses, the most frequent first.
    pub fn lost_causes(&self) -> Vec<LostCause> {
        LostCause::list(&self.causes)
    }

    /// Returns the errors that the system or the network reported, by class or by kind of cause.
    pub fn errors(&self) -> &ByLabel {
        &self.errors
    }

    /// Returns the number of errors from the network that quote no probe of this target, or too little
    /// of it.
    pub fn unattributed(&self) -> u64 {
        self.unattributed
    }

    /// Returns the probes that were due but not sent, by reason.
    pub fn not_sent_by_reason(&self) -> &ByLabel {
        &self.not_sent
    }

    /// Returns the number of probes that were due but not sent.
    pub fn not_sent_total(&self) -> u64 {
        self.not_sent.values().sum()
    }

    /// Summarises the record, which covers `span`. Percentiles and the timer's error are unknown.
    ///
    /// ```
    /// use std::time::Duration;
    /// use hello_measure::{CompactRecord, ReplyKind};
    ///
    /// let mut record = CompactRecord::new();
    /// record.sent();
    /// let rtt = Duration::from_millis(3);
    /// record.received(ReplyKind::Answered { seq: 1, rtt, reordered: false });
    /// let summary = record.summary(Duration::from_secs(1));
    /// let rtt = summary.rtt_ms.ok_or("a reply")?;
    /// assert_eq!((summary.loss, rtt.mean, rtt.p99), (Some(0.0), 3.0, None));
    /// # Ok::<(), &str>(())
    /// ```
    pub fn summary(&self, span: Duration) -> Summary {
        let Counts {
            sent,
            answered,
            lost,
            late,
            reordered,
            duplicate,
            corrupt,
            unsolicited,
            out_of_window,
        } = self.counts;
        Summary {
            sent,
            answered,
            lost,
            in_flight: self.counts.in_flight(),
            loss: self.counts.loss(),
            late,
            reordered,
            duplicate,
            corrupt,
            unsolicited,
            out_of_window,
            lost_causes: self.lost_causes(),
            errors: self.errors.clone(),
            unattributed: self.unattributed,
            not_sent: self.not_sent.clone(),
            rtt_ms: Quantiles::without_percentiles(&self.rtt),
            timer_error_ms: None,
            duration_s: span.as_secs_f64(),
        }
    }

    /// Returns whether the target answers.
    pub fn reachability(&self) -> Reachability {
        self.reachability
    }

    /// Returns the cause of the latest loss, if no probe was answered or not sent since.
    pub fn last_cause(&self) -> Option<Cause> {
        self.last_cause
    }

    fn fail(&mut self, count: u64, cause: Option<Cause>) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(count);
        self.last_cause = cause;
        if self.failures >= Reachability::FAILURES {
            self.reachability = Reachability::Unreachable;
        }
    }

    /// Adds to the losses of a cause, or to those of its kind if there are many causes.
    fn count_cause(&mut self, cause: Cause, lost: i64) {
        let is_known = self.causes.contains_key(&cause);
        let has_room = lost > 0 && self.causes.len() < MAX_CAUSES;
        let key = if is_known || has_room { cause } else { cause.without_details() };
        let entry = self.causes.entry(key).or_default();
        *entry += lost;
        if *entry <= 0 {
            self.causes.remove(&key);
        }
    }
}

/// Whether a target answers.
///
/// ```
/// use hello_measure::{CompactRecord, Reachability};
///
/// let mut record = CompactRecord::new();
/// assert_eq!(record.reachability(), Reachability::Unknown);
/// record.not_sent("unresolved", 2);
/// assert_eq!(record.reachability(), Reachability::Unreachable);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reachability {
    /// Too few probes were answered or lost.
    #[default]
    Unknown,
    /// A probe was answered, and fewer than [`FAILURES`](Self::FAILURES) failed since.
    Answering,
    /// As many probes in a row as [`FAILURES`](Self::FAILURES) were lost or not sent.
    Unreachable,
}

impl Reachability {
    /// The probes in a row whose loss makes a target unreachable: the shortest outage.
    pub const FAILURES: u32 = 2;

    /// Returns the name that outputs use, in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Answering => "answering",
            Self::Unreachable => "unreachable",
        }
    }
}

/// The most causes that are told apart. A forger of errors can name any number of reporters.
const MAX_CAUSES: usize = 24;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::cause::CauseKind;

    const ANSWER: ReplyKind =
        ReplyKind::Answered { seq: 1, rtt: Duration::from_millis(1), reordered: false };

    fn refused(host: u8) -> Cause {
        Cause { kind: CauseKind::Refused, reporter: Some([192, 0, 2, host].into()) }
    }

    #[test]
    fn record_is_small() {
        assert!(size_of::<CompactRecord>() <= 512, "{}", size_of::<CompactRecord>());
    }

    #[test]
    fn target_is_unreachable_after_two_failures_in_a_row_and_answers_after_one_reply() {
        use Reachability::{Answering, Unknown, Unreachable};
        let mut record = CompactRecord::new();
        let mut states = vec![];
        for step in "la.ll.lna.nl.a.lal".chars() {
            match step {
                'l' => record.lost(refused(1)),
                'n' => record.not_sent("late", 1),
                'a' => record.received(ANSWER),
                _ => states.push(record.reachability()),
            }
        }
        states.push(record.reachability());
        assert_eq!(states, [Answering, Unreachable, Answering, Unreachable, Answering, Answering]);
        assert_eq!(record.last_cause(), Some(refused(1)));
        record.not_sent("late", 1);
        assert_eq!(record.last_cause(), None, "nothing was reported about that one");
        assert_eq!(CompactRecord::new().reachability(), Unknown);
    }

    #[test]
    fn late_error_replaces_the_cause_of_a_loss() {
        let mut record = CompactRecord::new();
        record.lost(Cause::SILENT);
        let fate = Fate::Lost { before: Cause::SILENT, after: refused(1) };
        record.network_error(refused(1), Attribution::Probe { seq: 1, fate });
        record.network_error(refused(2), Attribution::Unattributed);
        assert_eq!(record.lost_causes(), [LostCause { cause: refused(1), lost: 1 }]);
        assert_eq!((record.errors(), record.unattributed()), (&[("refused", 2)].into(), 1));
    }

    proptest! {
        #![proptest_config(crate::proptest_config())]

        #[test]
        fn causes_add_up_to_the_losses_and_are_few(hosts in vec(any::<u8>(), 0..200)) {
            let mut record = CompactRecord::new();
            for (number, host) in hosts.iter().enumerate() {
                record.lost(refused(*host));
                if number % 3 == 0 {
                    let fate = Fate::Lost { before: refused(*host), after: refused(host ^ 1) };
                    record.network_error(refused(host ^ 1), Attribution::Probe { seq: 1, fate });
                }
            }
            let causes = record.lost_causes();
            prop_assert_eq!(causes.iter().map(|one| one.lost).sum::<u64>(), record.counts().lost);
            prop_assert!(causes.len() <= MAX_CAUSES + 1, "{}", causes.len());
        }
    }
}
