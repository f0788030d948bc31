use std::num::NonZeroU8;
use std::time::Duration;

/// How a [`PathTracer`](crate::PathTracer) asks, and when it gives up.
///
/// ```
/// use std::num::NonZeroU8;
/// use hello_measure::TracePlan;
///
/// let plan = TracePlan { max_hops: NonZeroU8::MIN, ..TracePlan::default() };
/// assert_eq!((plan.tries.get(), plan.samples.get()), (3, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracePlan {
    /// The highest hop to ask; 30 by default.
    pub max_hops: NonZeroU8,
    /// The number of consecutive silent hops that ends the trace of a flow; 5 by default, as in mtr(8).
    pub max_silent_hops: NonZeroU8,
    /// The number of unanswered probes that makes a hop silent, and of rejected ones that ends a path;
    /// 3 by default.
    pub tries: NonZeroU8,
    /// The same for a hop that answered another flow, and may only limit its rate; 12 by default. They
    /// are at least a second apart.
    pub known_hop_tries: NonZeroU8,
    /// The round-trip times to take of each hop; 1 by default. Those after the first are taken when
    /// all paths are known, and are not asked for twice.
    pub samples: NonZeroU8,
    /// The number of flows to trace at the same time; 8 by default.
    pub concurrent: NonZeroU8,
    /// The time to wait for an answer; a second by default.
    pub timeout: Duration,
    /// The shortest time between two probes, of any flows; 10 ms by default.
    pub pace: Duration,
}

impl Default for TracePlan {
    fn default() -> Self {
        const fn number(number: u8) -> NonZeroU8 {
            NonZeroU8::new(number).expect("not zero")
        }
        Self {
            max_hops: number(30),
            max_silent_hops: number(5),
            tries: number(3),
            known_hop_tries: number(12),
            samples: number(1),
            concurrent: number(8),
            timeout: Duration::from_secs(1),
            pace: Duration::from_millis(10),
        }
    }
}
