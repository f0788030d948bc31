//! The result of a search for the highest load.

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
    /// What bounds the throughput: `server` (loss), `generator` (it could not offer more),
    /// `max-rate` (higher loads were not tried), `silence` (the first trial had no reply),
    /// `interrupted` (the search did not end).
    pub bound: &'static str,
    /// The share of lost requests that a trial may have, from 0 to 1.
    pub tolerance: f64,
    /// The largest gap between the two loads, as a share of the higher one.
    pub resolution: f64,
    /// The largest number of trials of a load.
    pub trials: u32,
    /// The time in which requests are due in each trial, in seconds.
    pub trial_s: f64,
}

/// The end of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchEnd {
    /// It found the throughput.
    Found,
    /// The first trial had no reply.
    Silent,
    /// It was interrupted.
    Open,
}

impl Throughput {
    /// Returns whether the server's loss bounds the throughput, which is otherwise at least that.
    pub fn is_exact(&self) -> bool {
        self.bound == "server"
    }

    /// Creates the result of a search, which may not have ended.
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
