//! What a run, or a part of it, comes to.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use hello_measure::{Quantiles, TimerError};

/// What a run, or a part of it, comes to for one target: what every form of output prints, under
/// the names it has in JSON.
///
/// Of a part, what was settled in it may have been sent before it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// As the user calls it, `HOST:PORT`.
    pub target: String,
    /// What that is.
    pub address: SocketAddr,
    /// Probes sent.
    pub sent: u64,
    /// Probes answered before their timeout.
    pub answered: u64,
    /// Probes not answered before their timeout.
    pub lost: u64,
    /// Probes neither answered nor lost yet.
    pub in_flight: u64,
    /// The share of lost in lost and answered, from 0 to 1; `None` if both are 0.
    pub loss: Option<f64>,
    /// First replies to probes that are lost.
    pub late: u64,
    /// Probes answered after one that was sent later: some of the answered.
    pub reordered: u64,
    /// Further replies to probes.
    pub duplicate: u64,
    /// Datagrams that are no replies to anything.
    pub corrupt: u64,
    /// Replies to somebody else.
    pub unsolicited: u64,
    /// Replies to probes older than what is remembered.
    pub out_of_window: u64,
    /// Errors that were reported, by their class.
    pub errors: BTreeMap<&'static str, u64>,
    /// Probes that were due and did not leave, by the reason.
    pub not_sent: BTreeMap<&'static str, u64>,
    /// Round-trip times of the answered.
    pub rtt_ms: Option<Quantiles>,
    /// How much they differ from those before them.
    pub jitter_ms: Option<Jitter>,
    /// How much later than due the probes left.
    pub timer_error_ms: Option<TimerError>,
    /// How long it took, in seconds.
    pub duration_s: f64,
    /// The same by source port, in fewer numbers.
    pub flows: Vec<FlowSummary>,
}

impl Summary {
    /// Returns how many errors were reported.
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Returns how many probes were due and did not leave.
    pub fn not_sent_total(&self) -> u64 {
        self.not_sent.values().sum()
    }
}

/// How much round-trip times differ from the ones before them, in order of arrival and within each
/// flow, in milliseconds.
///
/// A flow's own, for two flows may take two paths, and the difference of paths is no jitter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Jitter {
    /// The mean of the differences.
    pub mean: f64,
    /// The differences smoothed, as in RFC 3550 section 6.4.1: each moves it by a sixteenth of the
    /// way. It starts at 0 and tells of the last dozens of replies.
    pub rfc3550: f64,
}

/// What came of the probes of one source port.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FlowSummary {
    /// Which it is, counted from 0.
    pub flow: usize,
    /// Probes sent.
    pub sent: u64,
    /// Probes answered before their timeout.
    pub answered: u64,
    /// Probes not answered before their timeout.
    pub lost: u64,
    /// The share of lost in lost and answered, from 0 to 1; `None` if both are 0.
    pub loss: Option<f64>,
    /// The median of the round-trip times in milliseconds, or up to a hundredth more.
    pub p50_ms: Option<f64>,
    /// What 99 % of them are not longer than, or up to a hundredth more.
    pub p99_ms: Option<f64>,
}
