//! What `hello-load` prints for programs: a JSON object a line, as `docs/hello-load.schema.json`
//! has it. Readers are to ignore what they do not know; more may come.

use std::net::SocketAddr;

use hello_measure::Interval;
use hello_net::LoadPlan;
use serde::Serialize;

use crate::load::plan::Plan;
use crate::load::summary::Summary;
use crate::load::throughput::Throughput;
use crate::output::json::{SCHEMA_VERSION, to_line};

/// Says who is asked, and how; of several trials, what is the same in all.
pub fn header(target: &str, address: SocketAddr, plan: &LoadPlan, trials: bool) -> String {
    let plan = if trials { Plan::of_trials(plan) } else { plan.into() };
    to_line(&Line::Start { schema_version: SCHEMA_VERSION, target, address, plan })
}

/// Sums a part of a run up.
pub fn interval(interval: &Interval) -> String {
    to_line(&Line::Interval(interval))
}

/// Sums up one trial of several.
pub fn trial(summary: &Summary) -> String {
    to_line(&Line::Trial(summary))
}

/// Sums up the only run there is.
pub fn summary(summary: &Summary) -> String {
    to_line(&Line::Summary(summary))
}

/// Says what a search came to.
pub fn throughput(throughput: &Throughput) -> String {
    to_line(&Line::Throughput(throughput))
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Start { schema_version: u32, target: &'a str, address: SocketAddr, plan: Plan },
    Interval(&'a Interval),
    Trial(&'a Summary),
    Summary(&'a Summary),
    Throughput(&'a Throughput),
}
