//! The limits of the load generator.

use std::fmt;

use serde::Serialize;

use crate::output::format::{percentile, thousands};
use crate::output::percent::percent;

/// A reason why the generator, not the server, may have limited a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "limit", rename_all = "kebab-case")]
pub enum GeneratorLimit {
    /// Requests were too late, and were not sent.
    Late {
        /// The number of requests.
        requests: u64,
    },
    /// Requests were not sent, because as many were in flight as a thread can remember.
    TooManyInFlight {
        /// The number of requests.
        requests: u64,
    },
    /// The system rejected requests.
    NotTaken {
        /// The number of requests.
        requests: u64,
    },
    /// The send buffer was full.
    NoRoomToSend {
        /// The number of times.
        times: u64,
    },
    /// A closed loop had fewer requests in progress than planned: lost ones held their places until
    /// their timeouts, or a thread could remember no more requests since the oldest one.
    Stalled {
        /// The share of the time, from 0 to 1.
        share: f64,
    },
    /// Datagrams overflowed the receive buffers: a loss of the generator's own.
    Dropped {
        /// The number of datagrams.
        datagrams: u64,
    },
    /// The threads were busy for nearly all of the time.
    Busy {
        /// The share of the time, from 0 to 1.
        share: f64,
    },
    /// Requests left so late that the latencies describe the timer rather than the server.
    Timer {
        /// The 99th percentile of the lateness, in milliseconds.
        p99_ms: f64,
    },
}

impl GeneratorLimit {
    /// Returns the name of the limit in `kebab-case`.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Late { .. } => "late",
            Self::TooManyInFlight { .. } => "too-many-in-flight",
            Self::NotTaken { .. } => "not-taken",
            Self::NoRoomToSend { .. } => "no-room-to-send",
            Self::Stalled { .. } => "stalled",
            Self::Dropped { .. } => "dropped",
            Self::Busy { .. } => "busy",
            Self::Timer { .. } => "timer",
        }
    }

    /// Describes the limit in a word or two.
    pub fn brief(&self) -> String {
        match self {
            Self::Late { requests } => format!("{} too late", thousands(*requests)),
            Self::TooManyInFlight { requests } => {
                format!("{} too many in flight", thousands(*requests))
            }
            Self::NotTaken { requests } => format!("{} rejected", thousands(*requests)),
            Self::NoRoomToSend { times } => format!("send buffer full {} times", thousands(*times)),
            Self::Stalled { share } => format!("stalled {}%", tenths(*share)),
            Self::Dropped { datagrams } => format!("{} dropped", thousands(*datagrams)),
            Self::Busy { share } => format!("busy {}%", tenths(*share)),
            Self::Timer { p99_ms } => format!("timer p99 {} ms", percentile(*p99_ms)),
        }
    }
}

impl fmt::Display for GeneratorLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { requests } => {
                write!(f, "{} requests not sent: too late", thousands(*requests))
            }
            Self::TooManyInFlight { requests } => {
                write!(f, "{} requests not sent: too many in flight", thousands(*requests))
            }
            Self::NotTaken { requests } => {
                write!(f, "{} requests not sent: rejected by the system", thousands(*requests))
            }
            Self::NoRoomToSend { times } => {
                write!(f, "send buffer full {} times", thousands(*times))
            }
            Self::Stalled { share } => write!(
                f,
                "at least {}% of the time spent waiting for lost requests to time out; try a shorter --timeout",
                tenths(*share)
            ),
            Self::Dropped { datagrams } => {
                write!(f, "{} datagrams overflowed its receive buffers", thousands(*datagrams))
            }
            Self::Busy { share } => {
                write!(f, "{}% busy; try --train or more --threads", tenths(*share))
            }
            Self::Timer { p99_ms } => {
                write!(f, "1% of the requests sent more than {} ms late", percentile(*p99_ms))
            }
        }
    }
}

/// Formats a share in percent with at most one decimal.
pub fn tenths(share: f64) -> String {
    percent((share * 1000.0).round() / 1000.0)
}

/// A rate limit that explains the losses of a run: `hello-server`'s default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SuspectedLimit {
    /// Requests per second from each source network.
    pub rate: u32,
    /// The largest burst from a source network, in requests.
    pub burst: u32,
}

impl fmt::Display for SuspectedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, .. } = self;
        write!(
            f,
            "the losses look like a rate limit of {rate} requests/s per source network, \
             hello-server's default: raise it with hello-server --limit"
        )
    }
}
