//! The summary of a run under load.

use std::net::SocketAddr;

use hello_measure::{NoAnswer, Quantiles, TrialVerdict};
use serde::Serialize;

use super::plan::Plan;
use super::rate_limit::SuspectedLimit;
use super::saturation::GeneratorLimit;

/// The summary of a run, or of a trial of a search or a sweep: what every form of output prints,
/// under these names in JSON. It covers requests that were due after the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// As the user named it, `HOST:PORT`.
    pub target: String,
    /// The address that the name stands for.
    pub address: SocketAddr,
    /// What was to be offered.
    pub plan: Plan,
    /// What hello-ping and hello-load have in common.
    #[serde(flatten)]
    pub common: hello_measure::Summary,
    /// The load offered, in requests sent per second.
    pub sent_per_s: Option<f64>,
    /// Requests answered per second.
    pub answered_per_s: Option<f64>,
    /// Replies that came to another of the generator's sources than the request was sent from.
    pub misdirected: u64,
    /// Latency of the answered requests, from due time to reply.
    pub latency_ms: Option<Quantiles>,
    /// What the generator did.
    pub generator: Generator,
    /// The server's rate limit that the losses look like.
    pub suspected_limit: Option<SuspectedLimit>,
    /// The verdict on a trial of a search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<TrialVerdict>,
}

impl Summary {
    /// Returns what there was instead of an answer, once that is known: something was received, or
    /// a request was lost.
    pub fn no_answer(&self) -> Option<NoAnswer> {
        let no_answer = match self.common.no_answer() {
            Some(NoAnswer::Errors | NoAnswer::Silent) if self.misdirected > 0 => {
                Some(NoAnswer::Unrelated)
            }
            no_answer => no_answer,
        };
        no_answer.filter(|no_answer| self.common.lost > 0 || *no_answer != NoAnswer::Silent)
    }

    /// Returns whether the load had the server's pace: a closed loop sends the first requests as
    /// fast as it can, and does not count the time that the last ones take.
    pub fn is_steady(&self) -> bool {
        self.plan.outstanding.is_none_or(|max| self.common.sent >= 10 * u64::from(max))
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
