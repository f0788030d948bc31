use std::time::Duration;

use super::distribution::Distribution;
use super::jitter::{Jitter, JitterEstimator};
use super::ledger::Counts;
use super::quantiles::millis;
use super::route_changes::{Route, RouteChanges};

/// The counts and round-trip times of each flow, and the jitter and the route changes within flows.
///
/// Flows may take different paths, so only replies of the same flow are compared.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Flows;
///
/// let mut flows = Flows::new(2);
/// for _ in 0..3 {
///     flows.sent(0);
///     flows.answered(0, Duration::from_millis(10));
///     flows.sent(1);
///     flows.answered(1, Duration::from_millis(90));
/// }
/// assert_eq!(flows.jitter().map(|jitter| jitter.mean), Some(0.0));
/// let p50: Vec<_> = flows.summaries().map(|flow| flow.p50_ms).collect();
/// assert_eq!(p50, [Some(10.0), Some(90.0)]);
/// ```
#[derive(Clone, Debug)]
pub struct Flows {
    flows: Vec<Flow>,
    jitter: JitterEstimator,
    route_changes: RouteChanges,
}

#[derive(Clone, Debug)]
struct Flow {
    counts: Counts,
    rtt: Distribution,
    /// The last round-trip time.
    last: Option<Duration>,
    route: Route,
}

impl Flow {
    fn new() -> Self {
        Self {
            counts: Counts::default(),
            rtt: Distribution::new(DIGITS),
            last: None,
            route: Route::default(),
        }
    }
}

impl Flows {
    /// Creates a number of flows.
    pub fn new(flows: usize) -> Self {
        Self {
            flows: vec![Flow::new(); flows],
            jitter: JitterEstimator::default(),
            route_changes: RouteChanges::default(),
        }
    }

    /// Records a probe of a flow. Flows are numbered from 0; unknown ones are ignored.
    pub fn sent(&mut self, flow: usize) {
        if let Some(flow) = self.flows.get_mut(flow) {
            flow.counts.sent += 1;
        }
    }

    /// Records the reply to a probe of a flow.
    pub fn answered(&mut self, flow: usize, rtt: Duration) {
        if let Some(flow) = self.flows.get_mut(flow) {
            flow.counts.answered += 1;
            flow.rtt.record(rtt);
            if let Some(last) = flow.last.replace(rtt) {
                self.jitter.record(last.abs_diff(rtt));
            }
        }
    }

    /// Records the TTL of the reply to a probe of a flow, which arrived at `at`. An unknown TTL is
    /// compared with no other.
    pub fn reply_ttl(&mut self, flow: usize, at: Duration, seq: u32, ttl: Option<u8>) {
        if let (Some(flow), Some(ttl)) = (self.flows.get_mut(flow), ttl)
            && flow.route.changed(seq, ttl)
        {
            self.route_changes.record(at);
        }
    }

    /// Records the loss of a probe of a flow.
    pub fn lost(&mut self, flow: usize) {
        if let Some(flow) = self.flows.get_mut(flow) {
            flow.counts.lost += 1;
        }
    }

    /// Returns the flows of the next part. Jitter and route changes continue from the last replies.
    #[must_use]
    pub fn next_part(&self) -> Self {
        let next =
            |flow: &Flow| Flow { last: flow.last, route: flow.route.next_part(), ..Flow::new() };
        Self {
            flows: self.flows.iter().map(next).collect(),
            jitter: self.jitter.next_part(),
            route_changes: RouteChanges::default(),
        }
    }

    /// Adds the part that followed this one.
    ///
    /// # Panics
    ///
    /// If it has another number of flows, and so is not the [next part](Self::next_part).
    pub fn append(&mut self, later: &Self) {
        assert_eq!(self.flows.len(), later.flows.len(), "the next part has the same flows");
        self.jitter.append(&later.jitter);
        self.route_changes.append(&later.route_changes);
        for (flow, later) in self.flows.iter_mut().zip(&later.flows) {
            flow.counts.merge(&later.counts);
            flow.rtt.merge(&later.rtt);
            flow.last = later.last.or(flow.last);
            flow.route.append(later.route);
        }
    }

    /// Returns the jitter within flows; `None` if no flow has two replies.
    pub fn jitter(&self) -> Option<Jitter> {
        self.jitter.jitter()
    }

    /// Returns the route changes within flows.
    pub fn route_changes(&self) -> RouteChanges {
        self.route_changes
    }

    /// Yields a summary of each flow.
    pub fn summaries(&self) -> impl Iterator<Item = FlowSummary> + '_ {
        self.flows.iter().enumerate().map(|(number, flow)| {
            let counts = flow.counts;
            FlowSummary {
                flow: number,
                sent: counts.sent,
                answered: counts.answered,
                lost: counts.lost,
                loss: counts.loss(),
                p50_ms: flow.rtt.supported_quantile(500).map(millis),
                p99_ms: flow.rtt.supported_quantile(990).map(millis),
                ttl: flow.route.ttl(),
            }
        })
    }
}

/// The summary of one flow.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Flows;
///
/// let mut flows = Flows::new(1);
/// flows.answered(0, Duration::from_millis(10));
/// flows.lost(0);
/// let summary = flows.summaries().next().ok_or("no flow")?;
/// assert_eq!((summary.loss, summary.p50_ms), (Some(0.5), None));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FlowSummary {
    /// The number of the flow, from 0.
    pub flow: usize,
    /// Probes sent.
    pub sent: u64,
    /// Probes answered before their timeout.
    pub answered: u64,
    /// Probes not answered before their timeout.
    pub lost: u64,
    /// The share of the answered or lost probes that were lost, from 0 to 1; `None` if there are
    /// none.
    pub loss: Option<f64>,
    /// The median of the round-trip times in milliseconds, to two digits; `None` for
    /// fewer than 2.
    pub p50_ms: Option<f64>,
    /// The 99th percentile of the round-trip times in milliseconds, to two digits; `None` for
    /// fewer than 100.
    pub p99_ms: Option<f64>,
    /// The TTL of the reply to the newest answered probe; `None` if it is unknown.
    pub ttl: Option<u8>,
}

/// The number of significant digits of the percentiles; few, because there may be many flows.
const DIGITS: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
    fn percentiles_of_a_flow_need_samples() {
        let mut flows = Flows::new(1);
        for answered in 1..=100 {
            flows.answered(0, Duration::from_millis(10));
            let flow = flows.summaries().next().expect("one");
            let known = (flow.p50_ms.is_some(), flow.p99_ms.is_some());
            assert_eq!(known, (answered >= 2, answered >= 100), "{answered}");
        }
    }

    #[test]
    #[should_panic(expected = "the next part has the same flows")]
    fn part_with_another_number_of_flows_is_not_appended() {
        Flows::new(1).append(&Flows::new(2));
    }
}
