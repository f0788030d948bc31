//! The plan of a run.

use std::num::NonZeroU64;
use std::time::Duration;

use hello_net::PacketOptions;

use super::thresholds::Thresholds;
use crate::args::peer::PeerArg;

/// When a run sends, when it ends, and what it checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The time from one probe to the next.
    pub interval: Duration,
    /// The number of probes to each target.
    pub count: Option<NonZeroU64>,
    /// The time for which probes are sent.
    pub duration: Option<Duration>,
    /// The time after which the run ends, even with probes in flight.
    pub deadline: Option<Duration>,
    /// The time after which an unanswered probe is lost.
    pub timeout: Duration,
    /// The time between summaries.
    pub every: Option<Duration>,
    /// The replies expected.
    pub peer: PeerArg,
    /// The source address or interface.
    pub source: Option<String>,
    /// What the IP headers of the probes have.
    pub packet: PacketOptions,
    /// Whether paths are traced instead of probed.
    pub trace: bool,
    /// The loss above which a flow is traced, from 0 to 1.
    pub trace_on_loss: Option<f64>,
    /// The thresholds of the exit status.
    pub thresholds: Thresholds,
}

impl Plan {
    /// Returns the number of probes to each target; `None` for no end.
    pub fn probes(&self) -> Option<u64> {
        let of_duration = self.duration.map(|duration| {
            let probes = duration.as_nanos().div_ceil(self.interval.as_nanos().max(1));
            u64::try_from(probes).unwrap_or(u64::MAX)
        });
        self.count.map(NonZeroU64::get).into_iter().chain(of_duration).min()
    }

    /// Whether the run ends without a signal.
    pub fn is_bounded(&self) -> bool {
        self.probes().is_some() || self.deadline.is_some()
    }

    /// Returns the time at `now` until the last probe is sent, or until the deadline; `None` if there
    /// is no end.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        let last_due = self.probes().map(|probes| {
            // The first probe is due at once.
            let intervals = u32::try_from(probes.saturating_sub(1)).unwrap_or(u32::MAX);
            self.interval.saturating_mul(intervals)
        });
        last_due.into_iter().chain(self.deadline).min().map(|end| end.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::fixtures::plan;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn earliest_end_bounds_the_run() {
        let endless = plan();
        assert_eq!((endless.probes(), endless.left(SECOND)), (None, None));
        assert!(!endless.is_bounded());
        let hundred = Plan { count: NonZeroU64::new(100), ..plan() };
        assert_eq!((hundred.probes(), hundred.left(9 * SECOND)), (Some(100), Some(90 * SECOND)));
        assert_eq!(hundred.left(100 * SECOND), Some(Duration::ZERO));
        let shorter = Plan { duration: Some(SECOND * 5 / 2), ..hundred.clone() };
        assert_eq!((shorter.probes(), shorter.left(SECOND)), (Some(3), Some(SECOND)));
        let cut = Plan { deadline: Some(10 * SECOND), ..hundred };
        assert_eq!((cut.probes(), cut.left(SECOND)), (Some(100), Some(9 * SECOND)));
        assert!(Plan { count: None, ..cut }.is_bounded());
    }
}
