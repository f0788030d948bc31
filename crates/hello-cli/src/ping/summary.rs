//! The summary of a run, or of a part of it.

use std::net::SocketAddr;

use hello_measure::{FlowSummary, Jitter};
use serde::Serialize;

/// The summary for one target: what every form of output prints, under these names in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// As the user named it, `HOST:PORT`.
    pub target: String,
    /// The address that the name stands for.
    pub address: SocketAddr,
    /// What hello-ping and hello-load have in common.
    #[serde(flatten)]
    pub common: hello_measure::Summary,
    /// How much consecutive round-trip times differ.
    pub jitter_ms: Option<Jitter>,
    /// Each source port.
    pub flows: Vec<FlowSummary>,
}
