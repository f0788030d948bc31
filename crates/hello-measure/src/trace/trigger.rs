/// Decides which flows lose, and when the path of one should be traced.
///
/// A flow is losing from when its loss exceeds a threshold, and from then on: the fault may be over
/// when the run is. Its loss is not judged before as many of its probes are answered or lost as make
/// one lost probe exceed no more than the threshold.
///
/// ```
/// use hello_measure::LossTrigger;
///
/// let mut trigger = LossTrigger::new(3, 0.0);
/// trigger.answered(0);
/// assert!(trigger.lost(1));
/// assert!(!trigger.lost(1), "it is traced already");
/// assert_eq!((trigger.losing(), trigger.clean()), (vec![1], vec![0]));
/// ```
#[derive(Clone, Debug)]
pub struct LossTrigger {
    threshold: f64,
    flows: Vec<Flow>,
}

#[derive(Clone, Debug, Default)]
struct Flow {
    answered: u64,
    lost: u64,
    is_losing: bool,
}

impl LossTrigger {
    /// Creates a trigger for a number of flows, none of which has lost anything. The threshold is a
    /// share, from 0 to 1.
    pub fn new(flows: usize, threshold: f64) -> Self {
        Self { threshold, flows: vec![Flow::default(); flows] }
    }

    /// Records the answer to a probe of a flow. Flows are numbered from 0; unknown ones are ignored.
    pub fn answered(&mut self, flow: usize) {
        if let Some(flow) = self.flows.get_mut(flow) {
            flow.answered += 1;
        }
    }

    /// Records the loss of a probe of a flow. Returns `true` once for each flow: when its loss first
    /// exceeds the threshold.
    pub fn lost(&mut self, flow: usize) -> bool {
        let Some(flow) = self.flows.get_mut(flow) else { return false };
        flow.lost += 1;
        let (settled, lost) = ((flow.answered + flow.lost) as f64, flow.lost as f64);
        let exceeds = settled * self.threshold >= 1.0 || self.threshold <= 0.0;
        let now = !flow.is_losing && exceeds && lost > self.threshold * settled;
        flow.is_losing |= now;
        now
    }

    /// Returns the share that the loss of a losing flow exceeded, from 0 to 1.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Returns the flows that are losing, in ascending order.
    pub fn losing(&self) -> Vec<usize> {
        self.flows_that(|flow| flow.is_losing)
    }

    /// Returns the flows with answers whose loss never exceeded the threshold and does not now, in
    /// ascending order.
    ///
    /// One with too few probes to judge it, but more loss than the threshold, is neither.
    pub fn clean(&self) -> Vec<usize> {
        let is_below =
            |flow: &Flow| flow.lost as f64 <= self.threshold * (flow.answered + flow.lost) as f64;
        self.flows_that(|flow| !flow.is_losing && flow.answered > 0 && is_below(flow))
    }

    fn flows_that(&self, are: impl Fn(&Flow) -> bool) -> Vec<usize> {
        let flows = self.flows.iter().enumerate().filter(|(_, flow)| are(flow));
        flows.map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flow_is_judged_once_it_has_enough_probes_and_triggers_once() {
        let mut trigger = LossTrigger::new(2, 0.1);
        // One of one, two of two and so on: too few to say more than 10 %.
        for lost in 1..10 {
            assert!(!trigger.lost(0), "{lost}");
        }
        assert!(trigger.lost(0));
        assert!(!trigger.lost(0));
        // One of ten is 10 %, and no more.
        (0..9).for_each(|_| trigger.answered(1));
        assert!(!trigger.lost(1));
        assert!(trigger.lost(1));
        (0..1000).for_each(|_| trigger.answered(0));
        assert_eq!((trigger.losing(), trigger.clean()), (vec![0, 1], vec![]));
    }

    #[test]
    fn flow_with_no_more_loss_than_the_threshold_is_clean() {
        let mut trigger = LossTrigger::new(4, 0.1);
        (0..9).for_each(|_| trigger.answered(0));
        assert!(!trigger.lost(0), "one of ten");
        trigger.answered(1);
        assert!(!trigger.lost(7), "no such flow");
        // One of two is too few to judge the flow, and too much to call it clean.
        trigger.answered(2);
        assert!(!trigger.lost(2));
        assert_eq!((trigger.losing(), trigger.clean()), (vec![], vec![0, 1]));
        assert_eq!(trigger.threshold(), 0.1);
    }
}
