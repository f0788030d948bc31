//! The options of a search or a sweep.

use std::num::{NonZeroU32, NonZeroU64};

use hello_measure::SearchPlan;
use hello_net::LoadPlan;

use super::values::{LoadRange, at_least_one, parse_loads};
use crate::args::number;

/// The options of a search or a sweep.
#[derive(Debug, clap::Args)]
pub(super) struct SearchArgs {
    /// Search for the highest rate with a loss of at most --tolerance
    ///
    /// This is the throughput of RFC 2544 section 26.1. The rate is doubled until a trial fails,
    /// and then bisected.
    #[arg(long, conflicts_with_all = NO_SEARCH)]
    find_max: bool,

    /// Allow PERCENT loss in each trial of --find-max
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "0",
        value_parser = number::percent,
        requires = "find_max",
        conflicts_with_all = NO_SEARCH,
    )]
    tolerance: f64,

    /// Try each rate of --find-max up to COUNT times; more than half must pass
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "3",
        value_parser = number::positive::<NonZeroU32>,
        requires = "find_max",
        conflicts_with_all = NO_SEARCH,
    )]
    trials: NonZeroU32,

    /// Stop --find-max when pass and fail are within PERCENT of each other
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "2",
        value_parser = number::percent,
        requires = "find_max",
        conflicts_with_all = NO_SEARCH,
    )]
    resolution: f64,

    /// Try no rate above RATE in --find-max
    #[arg(
        long,
        value_name = "RATE",
        default_value = "100M",
        value_parser = number::rate::<NonZeroU64>(1..=LoadPlan::MAX_RATE),
        requires = "find_max",
        conflicts_with_all = NO_SEARCH,
    )]
    max_rate: NonZeroU64,

    /// Measure latency and loss at --steps rates in this range
    #[arg(
        long,
        value_name = "RATE..RATE",
        value_parser = parse_loads,
        conflicts_with_all = NO_SWEEP,
    )]
    sweep: Option<LoadRange>,

    /// Measure COUNT evenly spaced rates in --sweep
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "10",
        value_parser = number::count::<u32>(2..=1000),
        requires = "sweep",
        conflicts_with_all = NO_SWEEP,
    )]
    steps: u32,
}

/// The kind of measurement.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// One run.
    Single,
    /// A search, and the share of lost requests that a trial may have.
    FindMax(SearchPlan, f64),
    /// A run for each of these loads, in requests per second.
    Sweep(Vec<NonZeroU64>),
}

impl SearchArgs {
    /// Returns the kind of measurement. A search starts at `start`, and tries no load below `min`.
    pub(super) fn mode(&self, start: NonZeroU64, min: NonZeroU64) -> Mode {
        if self.find_max {
            let Self { max_rate: max, trials, resolution, tolerance, .. } = *self;
            return Mode::FindMax(SearchPlan { start, min, max, trials, resolution }, tolerance);
        }
        let Some((from, to)) = self.sweep else { return Mode::Single };
        let last = u128::from(self.steps - 1);
        let step = |step: u128| {
            let (from, to) = (u128::from(from.get()), u128::from(to.get()));
            let load = from + (to - from) * step / last;
            u64::try_from(load).map_or(NonZeroU64::MAX, at_least_one)
        };
        let mut loads = Vec::from_iter((0..=last).map(step));
        // A narrow range has fewer whole numbers than steps.
        loads.dedup();
        Mode::Sweep(loads)
    }
}

/// The options that exclude --find-max. Its own options name them, too: clap waives a requirement
/// whose option conflicts with another one.
const NO_SEARCH: [&str; 3] = ["outstanding", "count", "sweep"];

/// The options that exclude --sweep.
const NO_SWEEP: [&str; 4] = ["rate", "outstanding", "count", "find_max"];
