//! The results of a search for the highest load, and of a sweep.

use std::time::Duration;

use hello_measure::{Bound, SearchOutcome};
use serde::Serialize;

/// The result of a search for the highest load carried: the throughput of RFC 1242 section 3.17,
/// with a tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Throughput {
    /// The highest load carried, in requests per second; `None` if there is none.
    pub throughput_per_s: Option<u64>,
    /// The lowest load not carried, in requests per second; `None` if there is none.
    pub not_carried_per_s: Option<u64>,
    /// What bounds the throughput.
    pub bound: SearchBound,
    /// The share of lost requests that a trial may have, from 0 to 1.
    pub tolerance: f64,
    /// The largest gap between the two loads, as a share of the higher one.
    pub resolution: f64,
    /// The largest number of trials of a load.
    pub trials: u32,
    /// The time in which requests are due in each trial, in seconds.
    pub trial_s: f64,
}

/// What bounds a throughput.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchBound {
    /// The server lost too much of a higher load.
    Server,
    /// The generator could not offer a higher load.
    Generator,
    /// Higher loads were not tried.
    MaxRate,
    /// The first trial had no reply, or no server was listening any more.
    Silence,
    /// The search did not end.
    Interrupted,
}

/// The end of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchEnd {
    /// It found the throughput.
    Found,
    /// The first trial had no reply, or no server was listening any more.
    Silent,
    /// It was interrupted.
    Open,
}

impl Throughput {
    /// Returns the words before the throughput, which is exact if the server's loss bounds it.
    pub fn at_least(&self) -> &'static str {
        if self.bound == SearchBound::Server { "" } else { "at least " }
    }

    /// Creates the result of a search, which may not have ended.
    pub fn new(
        outcome: SearchOutcome,
        end: SearchEnd,
        (tolerance, resolution, trials): (f64, f64, u32),
        trial: Duration,
    ) -> Self {
        let bound = match (end, outcome.bound) {
            (SearchEnd::Silent, _) => SearchBound::Silence,
            (SearchEnd::Open, _) => SearchBound::Interrupted,
            (SearchEnd::Found, Bound::Lost(_)) => SearchBound::Server,
            (SearchEnd::Found, Bound::NotOffered(_)) => SearchBound::Generator,
            (SearchEnd::Found, Bound::Max | Bound::Open) => SearchBound::MaxRate,
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

/// The result of a sweep, beside that of each load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sweep {
    /// The number of loads in the plan.
    pub loads: usize,
    /// The number of loads that were measured, even if the last one was interrupted.
    pub measured: usize,
    /// Whether the sweep was interrupted.
    pub interrupted: bool,
}
