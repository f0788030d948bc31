//! The result of a search for the highest load.

use std::time::Duration;

use hello_measure::{Bound, SearchOutcome};
use serde::Serialize;

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
