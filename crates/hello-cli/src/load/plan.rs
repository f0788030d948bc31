//! The plan of a run, as the output shows it.

use std::time::Duration;

use hello_measure::{Search, SearchPlan};
use hello_net::{ArrivalProcess, LoadPlan, Pacing, Sources};
use hello_proto::OVERHEAD;
use serde::Serialize;

use super::args::UNLIMITED;
use crate::args::packet::PacketPlan;
use crate::args::peer::PeerArg;

/// The intended load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The number of outstanding requests of a closed loop.
    pub outstanding: Option<u32>,
    /// The rate of an open loop, in requests per second.
    pub rate: Option<u64>,
    /// The arrival process of an open loop.
    pub arrivals: Option<&'static str>,
    /// The kind of server.
    pub peer: PeerArg,
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
    /// What the IP headers of the messages have.
    #[serde(flatten)]
    pub packet: PacketPlan,
}

impl Plan {
    /// Returns the common plan of the trials of a search or a sweep.
    pub fn of_trials(plan: &LoadPlan) -> Self {
        Self { rate: None, ..plan.into() }
    }

    /// Returns the average length of a name in bits.
    pub fn mean_name_bits(&self) -> f64 {
        let [shortest, longest] = self.name_bytes;
        4.0 * (shortest + longest) as f64
    }

    /// Returns by how many bytes a reply is longer than its name.
    pub fn reply_overhead_bytes(&self) -> usize {
        if self.peer == PeerArg::Hello { OVERHEAD } else { 0 }
    }
}

/// Describes names by the lengths of the shortest and the longest one.
pub fn names(bytes: [usize; 2]) -> String {
    match bytes {
        [shortest, longest] if shortest == longest => format!("{longest}-byte names"),
        [shortest, longest] => format!("names of {shortest} to {longest} bytes"),
    }
}

/// The plan of a search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SearchGoal {
    /// The first load, in requests per second.
    pub start_per_s: u64,
    /// The lowest load to try, in requests per second.
    pub min_per_s: u64,
    /// The highest load to try, in requests per second.
    pub max_per_s: u64,
    /// The share of lost requests that a trial may have, from 0 to 1.
    pub tolerance: f64,
    /// The largest gap between the result and the lowest load not carried, as a share of the latter.
    pub resolution: f64,
    /// The largest number of trials of a load, beside those not offered.
    pub trials: u32,
    /// The largest number of trials of the whole search.
    pub max_trials: u64,
    /// The longest time that the search may take, in seconds.
    pub max_duration_s: f64,
}

impl SearchGoal {
    /// Describes a search by trials of this plan.
    pub fn new(search: &SearchPlan, tolerance: f64, trial: &LoadPlan) -> Self {
        let max_trials = Search::new(*search).max_trials();
        Self {
            start_per_s: search.start.max(search.min).min(search.max).into(),
            min_per_s: search.min.into(),
            max_per_s: search.max.into(),
            tolerance,
            resolution: search.resolution,
            trials: search.trials.into(),
            max_trials,
            max_duration_s: time_of_trials(trial, max_trials).as_secs_f64(),
        }
    }

    /// Returns the longest time that the search may take.
    pub fn max_time(&self) -> Duration {
        Duration::try_from_secs_f64(self.max_duration_s).unwrap_or(Duration::MAX)
    }
}

/// Returns the longest time that this number of trials may take.
pub fn time_of_trials(trial: &LoadPlan, number: u64) -> Duration {
    let each = trial.warm_up.saturating_add(trial.duration).saturating_add(trial.timeout);
    each.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
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
            peer: plan.peer.into(),
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
            packet: plan.packet.into(),
        }
    }
}
