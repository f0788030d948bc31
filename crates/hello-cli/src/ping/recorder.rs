//! The events of a target, added up.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use hello_measure::{Counts, Distribution, Quantiles, ReplyKind, TimerError, millis};
use hello_net::{ErrorClass, ProbeEvent, ProbeEventKind};

use super::Target;
use super::summary::{FlowSummary, Jitter, Summary};

/// What happened to the probes of a target, since the start or since a [reset](Self::reset).
///
/// It takes constant memory, however long it goes on.
#[derive(Clone, Debug)]
pub struct Recorder {
    target: Target,
    counts: Counts,
    /// Sent and not settled, whenever they were sent. An answer is told by another thread than
    /// what it answers, and may come first.
    in_flight: i64,
    errors: BTreeMap<&'static str, u64>,
    not_sent: BTreeMap<&'static str, u64>,
    rtts: Distribution,
    lateness: Distribution,
    jitter: JitterEstimator,
    flows: Vec<Flow>,
    since: Duration,
}

/// The same of one source port.
#[derive(Clone, Debug)]
struct Flow {
    sent: u64,
    answered: u64,
    lost: u64,
    rtts: Distribution,
    /// The last round-trip time.
    last: Option<Duration>,
}

/// How much round-trip times differ from those before them.
#[derive(Clone, Copy, Debug, Default)]
struct JitterEstimator {
    number: u64,
    /// In nanoseconds, as `smoothed` is.
    sum: u128,
    smoothed: f64,
}

impl Recorder {
    /// Starts at the time 0.
    pub fn new(target: Target) -> Self {
        let flow = Flow {
            sent: 0,
            answered: 0,
            lost: 0,
            rtts: Distribution::new(FLOW_DIGITS),
            last: None,
        };
        Self {
            counts: Counts::default(),
            in_flight: 0,
            errors: BTreeMap::new(),
            not_sent: BTreeMap::new(),
            rtts: Distribution::new(DIGITS),
            lateness: Distribution::new(DIGITS),
            jitter: JitterEstimator::default(),
            flows: vec![flow; target.flows],
            since: Duration::ZERO,
            target,
        }
    }

    /// Adds an event.
    pub fn handle(&mut self, event: &ProbeEvent<'_>) {
        // A flow nobody told of counts for the target all the same.
        let mut flow = self.flows.get_mut(event.flow);
        match event.kind {
            ProbeEventKind::Sent { late, .. } => {
                self.counts.sent += 1;
                self.in_flight += 1;
                self.lateness.record(late);
                if let Some(flow) = &mut flow {
                    flow.sent += 1;
                }
            }
            ProbeEventKind::NotSent(why) => *self.not_sent.entry(why.label()).or_default() += 1,
            ProbeEventKind::Received {
                arrival: ReplyKind::Answered { rtt, reordered, .. },
                ..
            } => {
                self.counts.answered += 1;
                self.counts.reordered += u64::from(reordered);
                self.in_flight -= 1;
                self.rtts.record(rtt);
                if let Some(flow) = &mut flow {
                    flow.answered += 1;
                    flow.rtts.record(rtt);
                    if let Some(last) = flow.last.replace(rtt) {
                        self.jitter.add(last.abs_diff(rtt));
                    }
                }
            }
            ProbeEventKind::Received { arrival, .. } => {
                let counts = &mut self.counts;
                *match arrival {
                    ReplyKind::Late { .. } => &mut counts.late,
                    ReplyKind::Duplicate { .. } => &mut counts.duplicate,
                    ReplyKind::OutOfWindow { .. } => &mut counts.out_of_window,
                    ReplyKind::Corrupt => &mut counts.corrupt,
                    ReplyKind::Unsolicited => &mut counts.unsolicited,
                    ReplyKind::Answered { .. } => &mut counts.answered,
                } += 1;
            }
            ProbeEventKind::Lost { .. } => {
                self.counts.lost += 1;
                self.in_flight -= 1;
                if let Some(flow) = &mut flow {
                    flow.lost += 1;
                }
            }
            ProbeEventKind::SocketError(class) => {
                *self.errors.entry(class.label()).or_default() += 1
            }
            ProbeEventKind::Dropped { count } => {
                let label = ErrorClass::NoBuffers.label();
                *self.errors.entry(label).or_default() += u64::from(count);
            }
        }
    }

    /// Starts anew at `now`. What is in flight stays so, and jitter goes on from the last reply.
    pub fn reset(&mut self, now: Duration) {
        self.counts = Counts::default();
        self.errors.clear();
        self.not_sent.clear();
        self.rtts.reset();
        self.lateness.reset();
        self.jitter =
            JitterEstimator { smoothed: self.jitter.smoothed, ..JitterEstimator::default() };
        for flow in &mut self.flows {
            (flow.sent, flow.answered, flow.lost) = (0, 0, 0);
            flow.rtts.reset();
        }
        self.since = now;
    }

    /// Returns whom it is about.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns how much there was of everything. A probe whose reply was late is counted as lost
    /// when its loss is told of, which is when no older one can be answered any more.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns how many probes are neither answered nor lost yet.
    pub fn in_flight(&self) -> u64 {
        u64::try_from(self.in_flight).unwrap_or(0)
    }

    /// Returns how the round-trip times are distributed.
    pub fn rtts(&self) -> &Distribution {
        &self.rtts
    }

    /// Sums up at `now`.
    pub fn summary(&self, now: Duration) -> Summary {
        let Counts { sent, answered, lost, .. } = self.counts;
        Summary {
            target: self.target.name.clone(),
            address: self.target.address,
            sent,
            answered,
            lost,
            in_flight: self.in_flight(),
            loss: self.counts.loss(),
            late: self.counts.late,
            reordered: self.counts.reordered,
            duplicate: self.counts.duplicate,
            corrupt: self.counts.corrupt,
            unsolicited: self.counts.unsolicited,
            out_of_window: self.counts.out_of_window,
            errors: self.errors.clone(),
            not_sent: self.not_sent.clone(),
            rtt_ms: Quantiles::from_distribution(&self.rtts),
            jitter_ms: self.jitter.jitter(),
            timer_error_ms: TimerError::from_distribution(&self.lateness),
            duration_s: now.saturating_sub(self.since).as_secs_f64(),
            flows: self.flows.iter().enumerate().map(|(flow, state)| state.summary(flow)).collect(),
        }
    }
}

/// To how many digits percentiles are kept.
const DIGITS: u8 = 3;

/// To how many those of each flow are, of which there may be many.
const FLOW_DIGITS: u8 = 2;

impl Flow {
    fn summary(&self, flow: usize) -> FlowSummary {
        let settled = self.answered + self.lost;
        FlowSummary {
            flow,
            sent: self.sent,
            answered: self.answered,
            lost: self.lost,
            loss: (settled > 0).then(|| self.lost as f64 / settled as f64),
            p50_ms: self.rtts.quantile(500).map(millis),
            p99_ms: self.rtts.quantile(990).map(millis),
        }
    }
}

impl JitterEstimator {
    fn add(&mut self, difference: Duration) {
        let nanos = difference.as_nanos();
        self.number += 1;
        self.sum += nanos;
        self.smoothed += (nanos as f64 - self.smoothed) / 16.0;
    }

    fn jitter(&self) -> Option<Jitter> {
        let millis = |nanos: f64| nanos.round() / 1e6;
        (self.number > 0).then(|| Jitter {
            mean: millis(self.sum as f64 / self.number as f64),
            rfc3550: millis(self.smoothed),
        })
    }
}
