//! What `hello-ping` prints, all of it from one stream of events.
//!
//! [`Tally`](tally::Tally) adds the events of a target up, and [`Summary`](summary::Summary) is
//! what it comes to; every form of output has one of them, or an event, for its argument.

pub mod args;
pub mod json;
pub mod metrics;
pub mod plot;
pub mod report;
mod row;
#[cfg(test)]
mod sample;
pub mod session;
pub mod summary;
pub mod tally;
pub mod text;
pub mod thresholds;

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
