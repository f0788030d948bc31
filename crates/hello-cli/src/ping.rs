//! What `hello-ping` prints, all of it from one stream of events.
//!
//! [`Recorder`](recorder::Recorder) adds the events of a target up, and [`Summary`](summary::Summary) is
//! what it comes to; every form of output has one of them, or an event, for its argument.

pub mod args;
#[cfg(test)]
mod fixtures;
pub mod output;
pub mod recorder;
pub mod report;
pub mod session;
pub mod summary;
pub mod thresholds;
pub mod totals;

use std::net::SocketAddr;

/// Whom the probes go to, and how they look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As the user calls it, `HOST:PORT`.
    pub name: String,
    /// What that is.
    pub address: SocketAddr,
    /// The length of the names sent, in bytes.
    pub name_len: usize,
    /// From how many source ports.
    pub flows: usize,
}
