//! What a run under load comes to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hello_measure::{Bound, Quantiles, SearchOutcome, TimerError, TrialVerdict};
use hello_net::{ArrivalProcess, LoadPlan, Pacing, Sources};
use serde::Serialize;

use super::args::UNLIMITED;
use super::rate_limit::SuspectedLimit;
use super::saturation::GeneratorLimit;
use crate::output::no_answer::NoAnswer;

/// What a run, or a trial of a search or a sweep, comes to: what every form of output prints, under
/// the names it has in JSON. All of it is about requests that were due after the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// As the user calls it, `HOST:PORT`.
    pub target: String,
    /// What that is.
    pub address: SocketAddr,
    /// What was to be offered.
    pub plan: Plan,
    /// For how long requests were due, in seconds.
    pub duration_s: f64,
    /// Requests sent.
    pub sent: u64,
    /// Requests answered before their timeout, right in every byte.
    pub answered: u64,
    /// Requests not answered before their timeout.
    pub lost: u64,
    /// Requests neither answered nor lost yet: the run was ended before.
    pub in_flight: u64,
    /// The share of lost in lost and answered, from 0 to 1; `None` if both are 0.
    pub loss: Option<f64>,
    /// The load offered: requests sent, for each second in which they were due.
    pub sent_per_s: Option<f64>,
    /// Requests answered, for each second in which they were due.
    pub answered_per_s: Option<f64>,
    /// First replies to requests that are lost.
    pub late: u64,
    /// Requests answered after one that the same source sent later: some of the answered.
    pub reordered: u64,
    /// Further replies to requests.
    pub duplicate: u64,
    /// Datagrams that are no replies to anything.
    pub corrupt: u64,
    /// Replies to somebody else.
    pub unsolicited: u64,
    /// Replies to requests older than what is remembered.
    pub out_of_window: u64,
    /// Replies to our requests that came to another of our sources.
    pub misdirected: u64,
    /// Errors that were reported, by their class.
    pub errors: BTreeMap<&'static str, u64>,
    /// Requests that were due and did not leave, by the reason.
    pub not_sent: BTreeMap<&'static str, u64>,
    /// How long the answered took since they were due.
    pub latency_ms: Option<Quantiles>,
    /// How long the answered took since they left.
    pub rtt_ms: Option<Quantiles>,
    /// How much later than due requests left; of an open loop.
    pub timer_error_ms: Option<TimerError>,
    /// What the generator did.
    pub generator: Generator,
    /// The server's rate limit that the losses look like.
    pub suspected_limit: Option<SuspectedLimit>,
    /// What became of a trial of a search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<TrialVerdict>,
}

impl Summary {
    /// Says why nothing was answered, if nothing was and that is known by now.
    pub fn silence(&self) -> Option<&'static str> {
        let unexpected = self.corrupt + self.unsolicited + self.misdirected;
        let instead = NoAnswer::of(&self.errors, self.late + self.out_of_window, unexpected);
        let is_known = self.lost > 0 || instead != NoAnswer::default();
        (self.answered == 0 && self.sent > 0 && is_known).then(|| instead.as_str())
    }

    /// Returns how many requests were due.
    pub fn due(&self) -> u64 {
        self.sent + self.not_sent_total()
    }

    /// Returns how many requests were due and did not leave.
    pub fn not_sent_total(&self) -> u64 {
        self.not_sent.values().sum()
    }

    /// Tells whether the load had the server's pace: a closed loop sends the first requests as fast
    /// as it can, and does not count the time that the last ones take.
    pub fn is_steady(&self) -> bool {
        self.plan.outstanding.is_none_or(|most| self.sent >= 10 * u64::from(most))
    }

    /// Returns how many errors were reported.
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }
}

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
        let (outstanding, rate, arrivals) = match plan.offer {
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

/// What the generator did, and whether it was the limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generator {
    /// The share of the time in which its threads had something to do, from 0 to 1.
    pub busy: Option<f64>,
    /// The share of the time in which a closed loop had too few requests outstanding, for it could
    /// not remember more since the oldest of them, from 0 to 1.
    pub stalled: Option<f64>,
    /// How often the system had no room for what was to be sent, and it was tried again.
    pub blocked: u64,
    /// Processor time of its threads while requests were due, the kernel's included, in seconds.
    pub processor_time_s: f64,
    /// The same for each request sent, in microseconds.
    pub processor_time_per_request_us: Option<f64>,
    /// Datagrams that its own receive buffers had no room for; `None` if the system does not say.
    pub dropped: Option<u64>,
    /// Why what was measured is its own doing, and not the server's alone.
    pub limits: Vec<GeneratorLimit>,
}

/// What a search for the highest load carried came to: throughput, as RFC 1242 section 3.17 has it,
/// but for the tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Throughput {
    /// The highest load carried, in requests a second; `None` if none was.
    pub throughput_per_s: Option<u64>,
    /// The lowest load not carried, in requests a second; `None` if none failed.
    pub not_carried_per_s: Option<u64>,
    /// What keeps it from being higher: `server` (loss), `generator` (it did not offer more),
    /// `max-rate` (more was not tried), `silence` (the first trial had no answer), `interrupted`
    /// (the search did not end).
    pub bound: &'static str,
    /// The share of lost that a trial may have, from 0 to 1.
    pub tolerance: f64,
    /// How far apart the two loads may be, as a share of the higher one.
    pub resolution: f64,
    /// How many trials a load gets.
    pub trials: u32,
    /// How long requests are due in each, in seconds.
    pub trial_s: f64,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchEnd {
    /// It is over.
    Found,
    /// There may be nobody to search for.
    Silent,
    /// It did not.
    Open,
}

impl Throughput {
    /// Tells whether the server's loss is what bounds it; else, it is at least that.
    pub fn is_exact(&self) -> bool {
        self.bound == "server"
    }

    /// Says what a search came to by now.
    pub fn new(
        outcome: SearchOutcome,
        end: SearchEnd,
        (tolerance, resolution, trials): (f64, f64, u32),
        trial: Duration,
    ) -> Self {
        let bound = match (end, outcome.bound) {
            (SearchEnd::Silent, _) => "silence",
            (SearchEnd::Open, _) => "interrupted",
            (SearchEnd::Found, Bound::Lost(_)) => "server",
            (SearchEnd::Found, Bound::NotOffered(_)) => "generator",
            (SearchEnd::Found, Bound::Max | Bound::Open) => "max-rate",
        };
        Self {
            throughput_per_s: outcome.carried.map(Into::into),
            not_carried_per_s: outcome.not_carried().map(Into::into),
            bound,
            tolerance,
            resolution,
            trials,
            trial_s: trial.as_secs_f64(),
        }
    }
}
