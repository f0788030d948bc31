//! JSON output of `hello-load`: one object per line, as in `docs/hello-load.schema.json`. Readers
//! must ignore unknown fields.

use std::net::SocketAddr;

use hello_measure::Interval;
use hello_net::{LoadPlan, ZonedAddr};
use serde::Serialize;

use crate::args::first_reply::Tried;
use crate::load::plan::Plan;
use crate::load::summary::Summary;
use crate::load::throughput::Throughput;
use crate::output::json::{SCHEMA_VERSION, as_text, to_line};

/// Returns the first line: the target and the plan, or the common plan of several trials.
pub fn header(
    target: &str,
    address: SocketAddr,
    tried: &[Tried],
    plan: &LoadPlan,
    trials: bool,
) -> String {
    let plan = if trials { Plan::of_trials(plan) } else { plan.into() };
    to_line(&Line::Start {
        schema_version: SCHEMA_VERSION,
        target,
        address: address.into(),
        tried,
        plan,
    })
}

/// Returns the statistics of a part of a run.
pub fn interval(interval: &Interval) -> String {
    to_line(&Line::Interval(interval))
}

/// Returns the summary of one of several trials.
pub fn trial(summary: &Summary) -> String {
    to_line(&Line::Trial(summary))
}

/// Returns the summary of the only run.
pub fn summary(summary: &Summary) -> String {
    to_line(&Line::Summary(summary))
}

/// Returns the result of a search.
pub fn throughput(throughput: &Throughput) -> String {
    to_line(&Line::Throughput(throughput))
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Start {
        schema_version: u32,
        target: &'a str,
        #[serde(serialize_with = "as_text")]
        address: ZonedAddr,
        tried: &'a [Tried],
        plan: Plan,
    },
    Interval(&'a Interval),
    Trial(&'a Summary),
    Summary(&'a Summary),
    Throughput(&'a Throughput),
}
