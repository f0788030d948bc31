//! The summary of a run, or of a part of it.

use std::net::SocketAddr;

use hello_measure::{FlowSummary, Jitter};
use serde::Serialize;

use crate::output::escape::Escaped;

/// The summary of a target: the numbers of every output format, under these names in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The name that the user gave, `HOST:PORT`.
    pub target: String,
    /// The address that the name stands for.
    pub address: SocketAddr,
    /// The fields in common with hello-load.
    #[serde(flatten)]
    pub common: hello_measure::Summary,
    /// The difference between consecutive round-trip times.
    pub jitter_ms: Option<Jitter>,
    /// The summary of each flow.
    pub flows: Vec<FlowSummary>,
}

impl Summary {
    /// Returns the name of the target, escaped for printing.
    pub(crate) fn name(&self) -> Escaped<'_> {
        Escaped(self.target.as_bytes())
    }
}
