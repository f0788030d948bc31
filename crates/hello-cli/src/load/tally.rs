//! Adds up what the generator sees.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hello_net::{Effort, LoadEvent, LoadEventKind, LoadPlan, Observer, Offer};
use hello_proto::Arrival;

use super::limits::Limit;
use super::summary::{Generator, Plan, Summary};
use crate::course::Course;
use crate::distribution::Distribution;
use crate::times::{TimerError, Times};

/// Everything that is kept of what one thread sees, in constant memory.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: Counts,
    /// Since the requests were due.
    latencies: Runs,
    /// Since they left.
    rtts: Runs,
    /// How much later than due they left.
    lateness: Runs,
    errors: BTreeMap<&'static str, u64>,
    not_sent: BTreeMap<&'static str, u64>,
    course: Course,
}

/// How much there was of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests sent.
    pub sent: u64,
    /// Requests answered before their timeout.
    pub answered: u64,
    /// Requests not answered before their timeout.
    pub lost: u64,
    reordered: u64,
    late: u64,
    duplicate: u64,
    corrupt: u64,
    foreign: u64,
    forgotten: u64,
    misdirected: u64,
}

impl Counts {
    /// Returns how many requests are neither answered nor lost.
    pub fn in_flight(&self) -> u64 {
        self.sent - self.answered - self.lost
    }

    /// Adds those of another thread.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.late += other.late;
        self.duplicate += other.duplicate;
        self.corrupt += other.corrupt;
        self.foreign += other.foreign;
        self.forgotten += other.forgotten;
        self.misdirected += other.misdirected;
    }
}

impl Observer for Tally {
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
                self.course.answered(event.at, latency);
            }
            LoadEventKind::Lost { .. } => {
                counts.lost += 1;
                self.course.lost(event.at);
            }
            LoadEventKind::Other { arrival, .. } => {
                *match arrival {
                    Arrival::Answered { .. } => &mut counts.answered,
                    Arrival::Late { .. } => &mut counts.late,
                    Arrival::Duplicate { .. } => &mut counts.duplicate,
                    Arrival::Forgotten { .. } => &mut counts.forgotten,
                    Arrival::Corrupt => &mut counts.corrupt,
                    Arrival::Foreign => &mut counts.foreign,
                } += 1;
            }
            LoadEventKind::Misdirected => counts.misdirected += 1,
            LoadEventKind::Reported(class) => *self.errors.entry(class.label()).or_default() += 1,
        }
    }
}

impl Tally {
    /// Adds what another thread saw.
    pub fn merge(&mut self, mut other: Self) {
        self.counts.add(&other.counts);
        self.latencies.merge(&mut other.latencies);
        self.rtts.merge(&mut other.rtts);
        self.lateness.merge(&mut other.lateness);
        for (counts, other) in
            [(&mut self.errors, other.errors), (&mut self.not_sent, other.not_sent)]
        {
            other.into_iter().for_each(|(label, count)| *counts.entry(label).or_default() += count);
        }
        self.course.merge(&other.course);
    }

    /// Returns how much there was of everything.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns how latencies went on over the run.
    pub fn course(&self) -> &Course {
        &self.course
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
        effort: Effort,
    ) -> Summary {
        let Counts { sent, answered, lost, .. } = self.counts;
        let span = effort.span.as_secs_f64();
        let in_a_second = |count: u64| (span > 0.0).then(|| count as f64 / span);
        let is_open = matches!(plan.offer, Offer::Open { .. });
        let processor_time = effort.processor_time.as_secs_f64();
        let mut summary = Summary {
            target: target.into(),
            address,
            plan: Plan::from(plan),
            duration_s: span,
            sent,
            answered,
            lost,
            in_flight: self.counts.in_flight(),
            loss: (answered + lost > 0).then(|| lost as f64 / (answered + lost) as f64),
            sent_per_s: in_a_second(sent),
            answered_per_s: in_a_second(answered),
            late: self.counts.late,
            reordered: self.counts.reordered,
            duplicate: self.counts.duplicate,
            corrupt: self.counts.corrupt,
            foreign: self.counts.foreign,
            forgotten: self.counts.forgotten,
            misdirected: self.counts.misdirected,
            errors: self.errors.clone(),
            not_sent: self.not_sent.clone(),
            latency_ms: Times::of(self.latencies.distribution()),
            rtt_ms: Times::of(self.rtts.distribution()),
            timer_error_ms: TimerError::of(self.lateness.distribution()).filter(|_| is_open),
            generator: Generator {
                busy: (span > 0.0).then(|| (effort.busy.as_secs_f64() / span).min(1.0)),
                processor_time_s: processor_time,
                processor_time_per_request_us: (sent > 0 && span > 0.0)
                    .then(|| processor_time * 1e6 / sent as f64),
                dropped: effort.dropped,
                limits: Vec::new(),
            },
            verdict: None,
        };
        summary.generator.limits = Limit::of(&summary);
        summary
    }
}

/// A distribution to which equal durations are added at once: those of a train are.
#[derive(Clone, Debug)]
struct Runs {
    distribution: Distribution,
    /// Recorded so many times, and not added yet.
    last: (Duration, u64),
}

impl Runs {
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

impl Default for Runs {
    fn default() -> Self {
        Self { distribution: Distribution::new(DIGITS), last: (Duration::ZERO, 0) }
    }
}

/// To how many digits percentiles are kept.
const DIGITS: u8 = 3;
