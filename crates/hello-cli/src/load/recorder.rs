//! The record of a generator thread's events.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use hello_measure::{
    Counts, Distribution, Quantiles, Record, ReplyKind, RunLength, Timeline, Trend,
};
use hello_net::{GeneratorUsage, LoadEvent, LoadEventKind, LoadPlan, Pacing};

use super::diagnosis::{MIN_DURATION_S, generator_limits};
use super::plan::Plan;
use super::rate_limit::suspected_limit;
use super::summary::{Generator, Summary};
use crate::output::wall_clock::WallClock;

/// Records the events of one thread, in constant memory.
#[derive(Clone, Debug)]
pub struct Recorder {
    record: Record,
    /// Replies that arrived at another source than the request's.
    misdirected: u64,
    /// The number of times that the send buffer was full.
    blocked: u64,
    /// The latencies, from due time to reply.
    latency: RunLength,
    timeline: Timeline,
}

impl Recorder {
    /// Records an event.
    pub fn observe(&mut self, event: &LoadEvent<'_>) {
        event.record_in(&mut self.record);
        match event.kind {
            LoadEventKind::Answered { due, .. } => {
                let latency = event.at.saturating_sub(due);
                self.latency.record(latency, 1);
                self.timeline.answered(due, latency);
            }
            LoadEventKind::Lost { due, .. } => self.timeline.lost(due),
            LoadEventKind::NotSent { due, count, .. } => self.timeline.not_sent(due, count.into()),
            LoadEventKind::Other { reply: ReplyKind::Late { rtt, .. }, .. } => {
                self.timeline.late(event.at.saturating_sub(rtt), rtt);
            }
            LoadEventKind::Misdirected => self.misdirected += 1,
            LoadEventKind::SendBufferFull(_) => self.blocked += 1,
            _ => {}
        }
    }

    /// Adds the record of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.record.merge(&other.record);
        self.misdirected += other.misdirected;
        self.blocked += other.blocked;
        self.latency.merge(&other.latency);
        self.timeline.merge(&other.timeline);
    }

    /// Returns the counts of requests and datagrams.
    pub fn counts(&self) -> Counts {
        self.record.counts()
    }

    /// Returns the latencies and losses over the run.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Returns the latencies of the answered requests, from due time to reply.
    pub fn latencies(&self) -> Cow<'_, Distribution> {
        self.latency.distribution()
    }

    /// Summarises a run that started at `started_at`.
    pub fn summary(
        &self,
        target: &str,
        address: SocketAddr,
        plan: &LoadPlan,
        usage: GeneratorUsage,
        started_at: WallClock,
    ) -> Summary {
        let mut common = self.record.summary(usage.measured);
        if !matches!(plan.pacing, Pacing::Open { .. }) {
            common.timer_error_ms = None;
        }
        let share =
            |part: Duration| common.per_second(1).map(|rate| (part.as_secs_f64() * rate).min(1.0));
        let hold = matches!(plan.pacing, Pacing::Closed { .. }).then_some(plan.timeout);
        let trend = Trend::new(&self.timeline, hold, usage.measured);
        let plan = Plan::from(plan);
        let name_bits = plan.mean_name_bits();
        let reply_bits = name_bits + 8.0 * plan.reply_overhead_bytes() as f64;
        let (sent_per_s, answered_per_s) =
            (common.per_second(common.sent), common.per_second(common.answered));
        let processor_time = usage.processor_time.as_secs_f64();
        let mut summary = Summary {
            target: target.into(),
            address: address.into(),
            plan,
            started_at,
            interrupted: false,
            sent_per_s,
            answered_per_s,
            sent_bits_per_s: sent_per_s.map(|rate| rate * name_bits),
            answered_bits_per_s: answered_per_s.map(|rate| rate * reply_bits),
            worst_case_loss: common.worst_case_loss(),
            misdirected: self.misdirected,
            latency_ms: Quantiles::from_distribution(&self.latency.distribution()),
            generator: Generator {
                busy: share(usage.busy),
                stalled: share(usage.stalled),
                blocked: self.blocked,
                processor_time_s: processor_time,
                processor_time_per_request_us: (common.sent > 0 && common.duration_s > 0.0)
                    .then(|| processor_time * 1e6 / common.sent as f64),
                dropped: usage.dropped,
                limits: Vec::new(),
            },
            common,
            suspected_limit: None,
            trend,
            verdict: None,
        };
        if !summary.is_steady() || summary.common.duration_s < MIN_DURATION_S {
            // Much of the CPU time was spent after the last request was due.
            summary.generator.processor_time_per_request_us = None;
        }
        if summary.common.duration_s < MIN_DURATION_S {
            summary.generator.busy = None;
        }
        if !summary.has_rate() {
            (summary.sent_per_s, summary.answered_per_s) = (None, None);
            (summary.sent_bits_per_s, summary.answered_bits_per_s) = (None, None);
        }
        summary.generator.limits = generator_limits(&summary);
        summary.suspected_limit = suspected_limit(&summary, &self.timeline);
        summary
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            record: Record::new(),
            misdirected: 0,
            blocked: 0,
            latency: RunLength::new(DIGITS),
            timeline: Timeline::new(),
        }
    }
}

/// The number of significant digits of the percentiles.
const DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use hello_net::{ErrorClass, NotSent};

    use super::*;
    use crate::load::fixtures::{START, USAGE, plan, recorder, summary};

    #[test]
    fn latency_counts_from_due_time_and_rtt_from_send_time() {
        let summary = summary();
        let (latency, rtt) =
            (summary.latency_ms.expect("answers"), summary.common.rtt_ms.expect("answers"));
        assert_eq!((latency.min, latency.mean, latency.max), (1.1, 2.1, 3.1));
        assert_eq!((rtt.min, rtt.mean, rtt.max), (1.0, 2.0, 3.0));
        let timer = summary.common.timer_error_ms.expect("an open loop");
        assert_eq!((timer.mean, timer.max), (0.1, 0.1));
        assert_eq!((summary.common.sent, summary.common.answered, summary.common.lost), (3, 2, 1));
        assert_eq!((summary.common.loss, summary.sent_per_s), (Some(1.0 / 3.0), Some(3.0)));
        assert_eq!(summary.generator.busy, Some(0.25));
        assert_eq!(summary.generator.processor_time_per_request_us, Some(2000.0 / 3.0));
    }

    #[test]
    fn every_event_is_counted_under_its_name() {
        let mut recorder = Recorder::default();
        let mut observe = |kind| recorder.observe(&LoadEvent::new(0, Duration::ZERO, kind));
        let rtt = Duration::ZERO;
        for (times, reply) in [
            (1, ReplyKind::Late { seq: 0, rtt }),
            (2, ReplyKind::Duplicate { seq: 0 }),
            (3, ReplyKind::OutOfWindow { seq: 0 }),
            (4, ReplyKind::Corrupt),
            (5, ReplyKind::Unsolicited),
        ] {
            (0..times).for_each(|_| observe(LoadEventKind::Other { reply, datagram: b"" }));
        }
        (0..6).for_each(|_| observe(LoadEventKind::Misdirected));
        observe(LoadEventKind::Answered { due: Duration::ZERO, rtt, reordered: true });
        for reason in [NotSent::Late, NotSent::Failed(ErrorClass::Denied.into())] {
            observe(LoadEventKind::NotSent { due: Duration::ZERO, count: 64, reason });
        }
        observe(LoadEventKind::SocketError(ErrorClass::ConnectionRefused.into()));
        (0..7).for_each(|_| observe(LoadEventKind::SendBufferFull(ErrorClass::WouldBlock.into())));
        observe(LoadEventKind::Sent { due: Duration::ZERO, count: 64 });
        let summary = recorder.summary("", ([127, 0, 0, 1], 1).into(), &plan(), USAGE, START);
        let misdirected = summary.misdirected;
        let hello_measure::Summary { late, duplicate, out_of_window, corrupt, unsolicited, .. } =
            summary.common.clone();
        assert_eq!(
            (late, duplicate, out_of_window, corrupt, unsolicited, misdirected),
            (1, 2, 3, 4, 5, 6)
        );
        assert_eq!(
            (summary.common.sent, summary.common.reordered, summary.common.in_flight),
            (64, 1, 63)
        );
        assert_eq!(summary.common.not_sent, [("late", 64), ("denied", 64)].into());
        assert_eq!(summary.common.errors, [("refused", 1)].into());
        assert_eq!(summary.generator.blocked, 7);
    }

    #[test]
    fn timeline_has_every_request_at_the_time_it_was_due() {
        let mut recorder = recorder();
        let due = Duration::from_millis(4);
        let not_sent = LoadEventKind::NotSent { due, count: 9, reason: NotSent::Late };
        let rtt = Duration::from_millis(1500);
        let late = ReplyKind::Late { seq: 0, rtt };
        let late = LoadEventKind::Other { reply: late, datagram: b"" };
        recorder.observe(&LoadEvent::new(0, Duration::from_secs(2), not_sent));
        recorder.observe(&LoadEvent::new(0, Duration::from_millis(3) + rtt, late));
        let bins = Vec::from_iter(recorder.timeline().bins().map(|(at, bin)| {
            (at.as_millis(), bin.answered, bin.lost, bin.late.is_some(), bin.not_sent)
        }));
        let expected =
            [(1, 1, 0, false, 0), (2, 1, 0, false, 0), (3, 0, 1, true, 0), (4, 0, 0, false, 9)];
        assert_eq!(bins, expected);
    }

    #[test]
    fn merged_threads_equal_one_thread() {
        let mut both = recorder();
        both.merge(&recorder());
        let mut one = recorder();
        let again = recorder();
        assert_eq!(again.counts(), one.counts());
        // The same events again, in the same recorder.
        one.merge(&Recorder::default());
        one.merge(&again);
        let summed = |recorder: &mut Recorder| {
            recorder.summary("x:1", ([127, 0, 0, 1], 1).into(), &plan(), USAGE, START)
        };
        let (both_of, one_of) = (summed(&mut both), summed(&mut one));
        assert_eq!(both_of, one_of);
        assert_eq!((both_of.common.sent, both_of.common.answered, both_of.common.lost), (6, 4, 2));
        assert_eq!(both.timeline().bins().map(|(_, period)| period.lost).sum::<u64>(), 2);
        assert_eq!(both_of.latency_ms, summary().latency_ms);
    }

    #[test]
    fn bits_are_those_of_the_payload_of_names_and_of_replies() {
        let mut plan = plan();
        plan.name_len = 16..=32;
        let of = |plan: &LoadPlan| {
            let summary = recorder().summary("", ([127, 0, 0, 1], 1).into(), plan, USAGE, START);
            (summary.sent_bits_per_s, summary.answered_bits_per_s)
        };
        // Three names of 24 bytes on average in a second, and two replies of 8 bytes more.
        assert_eq!(of(&plan), (Some(3.0 * 24.0 * 8.0), Some(2.0 * 32.0 * 8.0)));
        plan.peer = hello_proto::Peer::Echo;
        assert_eq!(of(&plan), (Some(3.0 * 24.0 * 8.0), Some(2.0 * 24.0 * 8.0)));
    }

    #[test]
    fn rates_are_unknown_for_a_run_that_is_too_short_for_them() {
        let closed = |outstanding| {
            let mut plan = plan();
            let outstanding = NonZeroU32::new(outstanding).expect("not zero");
            plan.pacing = Pacing::Closed { outstanding };
            plan
        };
        let second = Duration::from_secs(1);
        for (plan, measured, known) in [
            (plan(), Duration::from_micros(250), false),
            (plan(), Duration::from_millis(1), true),
            (closed(1), second, false),
            (closed(64), second, false),
        ] {
            let usage = GeneratorUsage { measured, ..USAGE };
            let summary = recorder().summary("", ([127, 0, 0, 1], 1).into(), &plan, usage, START);
            let rates = [
                summary.sent_per_s,
                summary.answered_per_s,
                summary.sent_bits_per_s,
                summary.answered_bits_per_s,
            ];
            assert_eq!(rates.map(|rate| rate.is_some()), [known; 4], "{summary:?}");
        }
    }

    #[test]
    fn cpu_time_per_request_is_unknown_for_a_short_closed_loop() {
        // Ten times the number of outstanding requests are enough.
        for (more, known) in [(6, false), (7, true)] {
            let mut recorder = recorder();
            let kind = LoadEventKind::Sent { due: Duration::ZERO, count: more };
            recorder.observe(&LoadEvent::new(0, Duration::ZERO, kind));
            let mut plan = plan();
            plan.pacing = Pacing::Closed { outstanding: NonZeroU32::MIN };
            let summary = recorder.summary("", ([127, 0, 0, 1], 1).into(), &plan, USAGE, START);
            let time = summary.generator.processor_time_per_request_us;
            assert_eq!(time.is_some(), known, "{summary:?}");
        }
    }

    #[test]
    fn cpu_time_per_request_and_the_busy_share_are_unknown_for_a_very_short_run() {
        // Requests that are sent late are sent after it.
        for (millis, known) in [(1, false), (99, false), (100, true)] {
            let usage = GeneratorUsage { measured: Duration::from_millis(millis), ..USAGE };
            let address = ([127, 0, 0, 1], 1).into();
            let summary = recorder().summary("", address, &plan(), usage, START);
            let time = summary.generator.processor_time_per_request_us;
            assert_eq!(time.is_some(), known, "{millis}");
            assert_eq!(summary.generator.busy.is_some(), known, "{millis}");
        }
    }

    #[test]
    fn closed_loop_has_no_timer_error() {
        let mut closed = plan();
        closed.pacing = Pacing::Closed { outstanding: NonZeroU32::MIN };
        let summary = recorder().summary("", ([127, 0, 0, 1], 1).into(), &closed, USAGE, START);
        assert_eq!(summary.common.timer_error_ms, None);
    }
}
