//! The plan of a run, as it is printed.

use hello_net::{ArrivalProcess, LoadPlan, Pacing, Sources};
use serde::Serialize;

use super::args::UNLIMITED;

/// What was to be offered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// How many requests were to be outstanding; of a closed loop.
    pub outstanding: Option<u32>,
    /// Requests a second; of an open loop.
    pub rate: Option<u64>,
    /// How the times lie at which they are due; of an open loop.
    pub arrivals: Option<&'static str>,
    /// How many requests a message has.
    pub train: u16,
    /// From how many sources they come.
    pub sources: u32,
    /// What a source is: a port, or an address.
    pub sources_by: &'static str,
    /// How many threads send and receive.
    pub threads: u16,
    /// The length of the shortest name and of the longest, in bytes.
    pub name_bytes: [usize; 2],
    /// What was left out at the start, in seconds.
    pub warm_up_s: f64,
    /// For how long after that requests were to be due, in seconds; `None` if only `count` ends it.
    pub duration_s: Option<f64>,
    /// How many were to be due at the most.
    pub count: Option<u64>,
    /// After how long an unanswered request is lost, in seconds.
    pub timeout_s: f64,
    /// What sizes and times were drawn from.
    pub seed: u64,
}

impl Plan {
    /// Returns what is the same in all trials of a search or a sweep.
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
