//! The summary of a run, or of a part of it.

use std::collections::BTreeMap;

use hello_measure::{ByLabel, ClockCounts, FlowSummary, Jitter, Mark, OutageSummary};
use hello_net::ZonedAddr;
use serde::Serialize;

use crate::output::escape::Escaped;
use crate::output::json::as_text;
use crate::output::wall_clock::WallClock;

/// The summary of a target: the numbers of every output format, under these names in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The name that the user gave, `HOST:PORT`.
    pub target: String,
    /// The address that the name stands for.
    #[serde(serialize_with = "as_text")]
    pub address: ZonedAddr,
    /// The time of day at the start of the run.
    pub started_at: WallClock,
    /// The fields in common with hello-load.
    #[serde(flatten)]
    pub common: hello_measure::Summary,
    /// The difference between consecutive round-trip times.
    pub jitter_ms: Option<Jitter>,
    /// The number of answers with each TTL.
    pub ttl: BTreeMap<u8, u64>,
    /// The number of answers with each DSCP.
    pub dscp: BTreeMap<u8, u64>,
    /// The number of answers with each ECN codepoint.
    pub ecn: ByLabel,
    /// The number of answers with each mark: what `dscp` and `ecn` have, combined.
    #[serde(skip)]
    pub marks: BTreeMap<Mark, u64>,
    /// The number of times that the TTL of a flow changed.
    pub route_changes: u64,
    /// When it last did, in seconds since the start of the run.
    pub last_route_change_s: Option<f64>,
    /// The clocks between which the round-trip times were measured.
    pub clocks: ClockCounts,
    /// The number of datagrams that were replies of the other kind of server.
    #[serde(skip)]
    pub of_other_peer: u64,
    /// How the losses cluster, over the whole run; `None` for a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outages: Option<OutageSummary>,
    /// The summary of each flow.
    pub flows: Vec<FlowSummary>,
}

impl Summary {
    /// Returns the name of the target, escaped for printing.
    pub(crate) fn name(&self) -> Escaped<'_> {
        Escaped(self.target.as_bytes())
    }

    /// Returns the p50, p90, p95, p99 and p99.9 of the round-trip times, each `None` if there are too
    /// few replies for it.
    pub(crate) fn percentiles(&self) -> [Option<f64>; 5] {
        let rtt = self.common.rtt_ms;
        rtt.map_or([None; 5], |rtt| [rtt.p50, rtt.p90, rtt.p95, rtt.p99, rtt.p999])
    }
}
