//! Adds up what the generator sees.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hello_measure::{Counts, Distribution, Quantiles, ReplyKind, Timeline, TimerError};
use hello_net::{GeneratorUsage, LoadEvent, LoadEventKind, LoadPlan, Observer, Pacing};

use super::rate_limit::SuspectedLimit;
use super::saturation::GeneratorLimit;
use super::summary::{Generator, Plan, Summary};

/// Everything that is kept of what one thread sees, in constant memory.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    counts: Counts,
    /// Replies to our requests at another of our sources.
    misdirected: u64,
    /// How often the system had no room for what was to be sent.
    blocked: u64,
    /// Since the requests were due.
    latencies: RunLength,
    /// Since they left.
    rtts: RunLength,
    /// How much later than due they left.
    lateness: RunLength,
    errors: BTreeMap<&'static str, u64>,
    not_sent: BTreeMap<&'static str, u64>,
    timeline: Timeline,
}

impl Observer for Recorder {
    fn observe(&mut self, event: &LoadEvent<'_>) {
        let counts = &mut self.counts;
        match event.kind {
            LoadEventKind::Sent { due, count } => {
                counts.sent += u64::from(count);
                self.lateness.record(event.at.saturating_sub(due), count.into());
            }
            LoadEventKind::NotSent { count, reason, .. } => {
                *self.not_sent.entry(reason.label()).or_default() += u64::from(count);
            }
            LoadEventKind::Answered { due, rtt, reordered } => {
                counts.answered += 1;
                counts.reordered += u64::from(reordered);
                let latency = event.at.saturating_sub(due);
                self.latencies.record(latency, 1);
                self.rtts.record(rtt, 1);
                self.timeline.answered(event.at, latency);
            }
            LoadEventKind::Lost { .. } => {
                counts.lost += 1;
                self.timeline.lost(event.at);
            }
            LoadEventKind::Other { arrival, .. } => {
                *match arrival {
                    ReplyKind::Answered { .. } => &mut counts.answered,
                    ReplyKind::Late { .. } => &mut counts.late,
                    ReplyKind::Duplicate { .. } => &mut counts.duplicate,
                    ReplyKind::OutOfWindow { .. } => &mut counts.out_of_window,
                    ReplyKind::Corrupt => &mut counts.corrupt,
                    ReplyKind::Unsolicited => &mut counts.unsolicited,
                } += 1;
            }
            LoadEventKind::Misdirected => self.misdirected += 1,
            LoadEventKind::SocketError(class) => {
                *self.errors.entry(class.label()).or_default() += 1
            }
            LoadEventKind::SendBufferFull(_) => self.blocked += 1,
        }
    }
}

impl Recorder {
    /// Adds what another thread saw.
    pub fn merge(&mut self, mut other: Self) {
        add(&mut self.counts, &other.counts);
        self.misdirected += other.misdirected;
        self.blocked += other.blocked;
        self.latencies.merge(&mut other.latencies);
        self.rtts.merge(&mut other.rtts);
        self.lateness.merge(&mut other.lateness);
        for (counts, other) in
            [(&mut self.errors, other.errors), (&mut self.not_sent, other.not_sent)]
        {
            other.into_iter().for_each(|(label, count)| *counts.entry(label).or_default() += count);
        }
        self.timeline.merge(&other.timeline);
    }

    /// Returns how many requests and datagrams there were of each kind.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns how latencies went on over the run.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Returns how long the answered took since they were due.
    pub fn latencies(&mut self) -> &Distribution {
        self.latencies.distribution()
    }

    /// Sums a run up.
    pub fn summary(
        &mut self,
        target: &str,
        address: SocketAddr,
        plan: &LoadPlan,
        usage: GeneratorUsage,
    ) -> Summary {
        let Counts { sent, answered, lost, .. } = self.counts;
        let span = usage.measured.as_secs_f64();
        let in_a_second = |count: u64| (span > 0.0).then(|| count as f64 / span);
        let share = |part: Duration| (span > 0.0).then(|| (part.as_secs_f64() / span).min(1.0));
        let is_open = matches!(plan.offer, Pacing::Open { .. });
        let processor_time = usage.processor_time.as_secs_f64();
        let mut summary = Summary {
            target: target.into(),
            address,
            plan: Plan::from(plan),
            duration_s: span,
            sent,
            answered,
            lost,
            in_flight: self.counts.in_flight(),
            loss: self.counts.loss(),
            sent_per_s: in_a_second(sent),
            answered_per_s: in_a_second(answered),
            late: self.counts.late,
            reordered: self.counts.reordered,
            duplicate: self.counts.duplicate,
            corrupt: self.counts.corrupt,
            unsolicited: self.counts.unsolicited,
            out_of_window: self.counts.out_of_window,
            misdirected: self.misdirected,
            errors: self.errors.clone(),
            not_sent: self.not_sent.clone(),
            latency_ms: Quantiles::from_distribution(self.latencies.distribution()),
            rtt_ms: Quantiles::from_distribution(self.rtts.distribution()),
            timer_error_ms: TimerError::from_distribution(self.lateness.distribution())
                .filter(|_| is_open),
            generator: Generator {
                busy: share(usage.busy),
                stalled: share(usage.stalled),
                blocked: self.blocked,
                processor_time_s: processor_time,
                processor_time_per_request_us: (sent > 0 && span > 0.0)
                    .then(|| processor_time * 1e6 / sent as f64),
                dropped: usage.dropped,
                limits: Vec::new(),
            },
            suspected_limit: None,
            verdict: None,
        };
        if !summary.is_steady() {
            // Much of it is spent after the last request was due.
            summary.generator.processor_time_per_request_us = None;
        }
        summary.generator.limits = GeneratorLimit::of(&summary);
        summary.suspected_limit = SuspectedLimit::of(&summary);
        summary
    }
}

/// Adds what another thread counted.
pub fn add(counts: &mut Counts, other: &Counts) {
    counts.sent += other.sent;
    counts.answered += other.answered;
    counts.lost += other.lost;
    counts.reordered += other.reordered;
    counts.late += other.late;
    counts.duplicate += other.duplicate;
    counts.out_of_window += other.out_of_window;
    counts.corrupt += other.corrupt;
    counts.unsolicited += other.unsolicited;
}

/// A distribution to which equal durations are added at once: those of a train are.
#[derive(Clone, Debug)]
struct RunLength {
    distribution: Distribution,
    /// Recorded so many times, and not added yet.
    last: (Duration, u64),
}

impl RunLength {
    fn record(&mut self, duration: Duration, count: u64) {
        if duration == self.last.0 {
            self.last.1 += count;
        } else {
            self.flush();
            self.last = (duration, count);
        }
    }

    fn merge(&mut self, other: &mut Self) {
        self.distribution.merge(other.distribution());
    }

    fn distribution(&mut self) -> &Distribution {
        self.flush();
        &self.distribution
    }

    fn flush(&mut self) {
        let (duration, count) = &mut self.last;
        self.distribution.record_n(*duration, std::mem::take(count));
    }
}

impl Default for RunLength {
    fn default() -> Self {
        Self { distribution: Distribution::new(DIGITS), last: (Duration::ZERO, 0) }
    }
}

/// To how many digits percentiles are kept.
const DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use hello_net::{ErrorClass, NotSent};

    use super::*;
    use crate::load::fixtures::{USAGE, plan, recorder, summary};

    #[test]
    fn latencies_begin_when_a_request_is_due_and_rtts_when_it_leaves() {
        let summary = summary();
        let (latency, rtt) =
            (summary.latency_ms.expect("answers"), summary.rtt_ms.expect("answers"));
        assert_eq!((latency.min, latency.mean, latency.max), (1.1, 2.1, 3.1));
        assert_eq!((rtt.min, rtt.mean, rtt.max), (1.0, 2.0, 3.0));
        let timer = summary.timer_error_ms.expect("an open loop");
        assert_eq!((timer.mean, timer.max), (0.1, 0.1));
        assert_eq!((summary.sent, summary.answered, summary.lost), (3, 2, 1));
        assert_eq!((summary.loss, summary.sent_per_s), (Some(1.0 / 3.0), Some(3.0)));
        assert_eq!(summary.generator.busy, Some(0.25));
        assert_eq!(summary.generator.processor_time_per_request_us, Some(2000.0 / 3.0));
    }

    #[test]
    fn everything_is_counted_under_its_name() {
        let mut recorder = Recorder::default();
        let mut observe = |kind| recorder.observe(&LoadEvent { at: Duration::ZERO, kind });
        let rtt = Duration::ZERO;
        for (times, arrival) in [
            (1, ReplyKind::Late { seq: 0, rtt }),
            (2, ReplyKind::Duplicate { seq: 0 }),
            (3, ReplyKind::OutOfWindow { seq: 0 }),
            (4, ReplyKind::Corrupt),
            (5, ReplyKind::Unsolicited),
        ] {
            (0..times).for_each(|_| observe(LoadEventKind::Other { arrival, datagram: b"" }));
        }
        (0..6).for_each(|_| observe(LoadEventKind::Misdirected));
        observe(LoadEventKind::Answered { due: Duration::ZERO, rtt, reordered: true });
        for reason in [NotSent::Late, NotSent::Failed(ErrorClass::Denied)] {
            observe(LoadEventKind::NotSent { due: Duration::ZERO, count: 64, reason });
        }
        observe(LoadEventKind::SocketError(ErrorClass::ConnectionRefused));
        (0..7).for_each(|_| observe(LoadEventKind::SendBufferFull(ErrorClass::WouldBlock)));
        observe(LoadEventKind::Sent { due: Duration::ZERO, count: 64 });
        let summary = recorder.summary("", ([127, 0, 0, 1], 1).into(), &plan(), USAGE);
        let Summary { late, duplicate, out_of_window, corrupt, unsolicited, misdirected, .. } =
            summary;
        assert_eq!(
            (late, duplicate, out_of_window, corrupt, unsolicited, misdirected),
            (1, 2, 3, 4, 5, 6)
        );
        assert_eq!((summary.sent, summary.reordered, summary.in_flight), (64, 1, 63));
        assert_eq!(summary.not_sent, [("late", 64), ("denied", 64)].into());
        assert_eq!(summary.errors, [("connection-refused", 1)].into());
        assert_eq!(summary.generator.blocked, 7);
    }

    #[test]
    fn two_threads_come_to_what_one_would_have_seen() {
        let mut both = recorder();
        both.merge(recorder());
        let mut one = recorder();
        let again = recorder();
        assert_eq!(again.counts(), one.counts());
        // The same events again, in the same recorder.
        one.merge(Recorder::default());
        one.merge(again);
        let summed = |recorder: &mut Recorder| {
            recorder.summary("x:1", ([127, 0, 0, 1], 1).into(), &plan(), USAGE)
        };
        let (both_of, one_of) = (summed(&mut both), summed(&mut one));
        assert_eq!(both_of, one_of);
        assert_eq!((both_of.sent, both_of.answered, both_of.lost), (6, 4, 2));
        assert_eq!(both.timeline().bins().map(|(_, period)| period.lost).sum::<u64>(), 2);
        assert_eq!(both_of.latency_ms, summary().latency_ms);
    }

    #[test]
    fn of_few_requests_of_a_closed_loop_nobody_knows_what_each_took() {
        // Ten times as many as may be outstanding are enough.
        for (more, known) in [(6, false), (7, true)] {
            let mut recorder = recorder();
            let kind = LoadEventKind::Sent { due: Duration::ZERO, count: more };
            recorder.observe(&LoadEvent { at: Duration::ZERO, kind });
            let plan =
                LoadPlan { offer: Pacing::Closed { outstanding: NonZeroU32::MIN }, ..plan() };
            let summary = recorder.summary("", ([127, 0, 0, 1], 1).into(), &plan, USAGE);
            let time = summary.generator.processor_time_per_request_us;
            assert_eq!(time.is_some(), known, "{summary:?}");
        }
    }

    #[test]
    fn a_closed_loop_has_no_timer() {
        let closed = LoadPlan::default();
        let summary = recorder().summary("", ([127, 0, 0, 1], 1).into(), &closed, USAGE);
        assert_eq!(summary.timer_error_ms, None);
    }
}
