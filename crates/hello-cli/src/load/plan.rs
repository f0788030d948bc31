//! The plan of a run, as the output shows it.

use hello_net::{ArrivalProcess, LoadPlan, Pacing, Sources};
use serde::Serialize;

use super::args::UNLIMITED;

/// The intended load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The number of outstanding requests of a closed loop.
    pub outstanding: Option<u32>,
    /// The rate of an open loop, in requests per second.
    pub rate: Option<u64>,
    /// The reply process of an open loop.
    pub arrivals: Option<&'static str>,
    /// The number of requests per message.
    pub train: u16,
    /// The number of sources.
    pub sources: u32,
    /// The kind of source: ports or addresses.
    pub sources_by: &'static str,
    /// The number of threads.
    pub threads: u16,
    /// The lengths of the shortest and the longest name, in bytes.
    pub name_bytes: [usize; 2],
    /// The length of the warm-up, in seconds.
    pub warm_up_s: f64,
    /// The time after the warm-up in which requests are due, in seconds; `None` if only `count`
    /// ends it.
    pub duration_s: Option<f64>,
    /// The largest number of requests.
    pub count: Option<u64>,
    /// The time after which a request counts as lost, in seconds.
    pub timeout_s: f64,
    /// The seed of the random sizes and times.
    pub seed: u64,
}

impl Plan {
    /// Returns the common plan of the trials of a search or a sweep.
    pub fn of_trials(plan: &LoadPlan) -> Self {
        Self { rate: None, ..plan.into() }
    }
}

impl From<&LoadPlan> for Plan {
    fn from(plan: &LoadPlan) -> Self {
        let (outstanding, rate, arrivals) = match plan.pacing {
            Pacing::Closed { outstanding } => (Some(outstanding.get()), None, None),
            Pacing::Open { rate, arrivals } => {
                let arrivals = match arrivals {
                    ArrivalProcess::Constant => "constant",
                    ArrivalProcess::Poisson => "poisson",
                };
                (None, Some(rate.get()), Some(arrivals))
            }
        };
        Self {
            outstanding,
            rate,
            arrivals,
            train: plan.train.get(),
            sources: plan.sources.count(),
            sources_by: match plan.sources {
                Sources::Ports(_) => "ports",
                Sources::Addresses(_) => "addresses",
            },
            threads: plan.threads.get(),
            name_bytes: [*plan.name_len.start(), *plan.name_len.end()],
            warm_up_s: plan.warm_up.as_secs_f64(),
            duration_s: (plan.duration < UNLIMITED).then_some(plan.duration.as_secs_f64()),
            count: plan.count,
            timeout_s: plan.timeout.as_secs_f64(),
            seed: plan.seed,
        }
    }
}
