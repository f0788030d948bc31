//! JSON output of `hello-load`: one object per line, as in `docs/hello-load.schema.json`. Readers
//! must ignore unknown fields.

use std::num::NonZeroU64;

use hello_measure::Interval;
use hello_net::{LoadPlan, ZonedAddr};
use serde::Serialize;

use crate::args::first_reply::Tried;
use crate::load::conclusion::Conclusion;
use crate::load::plan::{Plan, SearchGoal};
use crate::load::summary::Summary;
use crate::load::throughput::{Sweep, Throughput};
use crate::output::json::{Origin, as_text, to_timed_line};
use crate::output::wall_clock::WallClock;

/// The first line: who measures what, and the whole plan.
#[derive(Debug, Serialize)]
pub struct Start<'a> {
    /// The tool, the machine and the time.
    #[serde(flatten)]
    pub origin: &'a Origin,
    /// The name that the user gave.
    pub target: &'a str,
    /// The address that it stands for.
    #[serde(serialize_with = "as_text")]
    pub address: ZonedAddr,
    /// The addresses of the name that were tried before.
    pub tried: &'a [Tried],
    /// The kind of measurement: `single`, `find-max` or `sweep`.
    pub mode: &'static str,
    /// The load, or what the trials have in common.
    pub plan: Plan,
    /// The plan of a search.
    pub search: Option<SearchGoal>,
    /// The loads of a sweep, in requests per second.
    pub sweep: Option<&'a [NonZeroU64]>,
}

/// The totals of a whole run, search or sweep.
#[derive(Debug, Serialize)]
pub struct Totals<'a> {
    /// The time of day at the start.
    pub started_at: WallClock,
    /// What it says about the server.
    #[serde(flatten)]
    pub conclusion: &'a Conclusion,
    /// The result of a search.
    #[serde(flatten)]
    pub throughput: Option<&'a Throughput>,
    /// The result of a sweep.
    #[serde(flatten)]
    pub sweep: Option<&'a Sweep>,
}

/// Returns the first line.
pub fn header(start: &Start<'_>) -> String {
    to_timed_line(&Event::Start(start))
}

/// Returns the plan that a start line has.
pub fn plan(plan: &LoadPlan, trials: bool) -> Plan {
    if trials { Plan::of_trials(plan) } else { plan.into() }
}

/// Returns the statistics of a part of a run.
pub fn interval(interval: &Interval) -> String {
    to_timed_line(&Event::Interval(interval))
}

/// Returns the summary of one of several trials.
pub fn trial(summary: &Summary) -> String {
    to_timed_line(&Event::Trial(summary))
}

/// Returns the summary of the only run.
pub fn summary(conclusion: &Conclusion, summary: &Summary) -> String {
    to_timed_line(&Event::Summary { conclusion, summary })
}

/// Returns the result of a search.
pub fn throughput(totals: &Totals<'_>) -> String {
    to_timed_line(&Event::Throughput(totals))
}

/// Returns the result of a sweep.
pub fn sweep(totals: &Totals<'_>) -> String {
    to_timed_line(&Event::Sweep(totals))
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event<'a> {
    Start(&'a Start<'a>),
    Interval(&'a Interval),
    Trial(&'a Summary),
    Summary {
        #[serde(flatten)]
        conclusion: &'a Conclusion,
        #[serde(flatten)]
        summary: &'a Summary,
    },
    Throughput(&'a Totals<'a>),
    Sweep(&'a Totals<'a>),
}
