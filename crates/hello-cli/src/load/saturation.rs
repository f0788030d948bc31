//! Whether what was measured is the server's doing or the generator's own.

use std::fmt;

use serde::Serialize;

use crate::output::percent::percent;

/// Why the generator, and not the server, may be what a run shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "limit", rename_all = "kebab-case")]
pub enum GeneratorLimit {
    /// So many requests were due and did not leave, since it was too late for them.
    Late {
        /// How many.
        requests: u64,
    },
    /// So many did not leave, since as many were in flight as it can remember.
    TooManyInFlight {
        /// How many.
        requests: u64,
    },
    /// So many did not leave, since the system did not take them.
    NotTaken {
        /// How many.
        requests: u64,
    },
    /// So often the system had no room for what was to be sent, and it had to wait.
    NoRoomToSend {
        /// How often.
        times: u64,
    },
    /// For that share of the time a closed loop had too few requests outstanding: so many were sent
    /// since the oldest of them that it could not remember more.
    Stalled {
        /// The share of the time, from 0 to 1.
        share: f64,
    },
    /// So many datagrams found no room in its receive buffers: a loss of its own.
    Dropped {
        /// How many.
        datagrams: u64,
    },
    /// It had something to do for nearly all of the time.
    Busy {
        /// The share of the time, from 0 to 1.
        share: f64,
    },
    /// Requests left so late that the latencies are its timer's more than the server's.
    Timer {
        /// What 99 % of them were not later than, in milliseconds.
        p99_ms: f64,
    },
}

impl GeneratorLimit {
    /// Says it in a word or two.
    pub fn brief(&self) -> String {
        match self {
            Self::Late { requests } => format!("{requests} too late"),
            Self::TooManyInFlight { requests } => format!("{requests} too many in flight"),
            Self::NotTaken { requests } => format!("{requests} not taken"),
            Self::NoRoomToSend { times } => format!("no room to send {times} times"),
            Self::Stalled { share } => format!("stalled {}%", tenths(*share)),
            Self::Dropped { datagrams } => format!("{datagrams} dropped"),
            Self::Busy { share } => format!("busy {}%", tenths(*share)),
            Self::Timer { p99_ms } => format!("timer p99 {p99_ms:.3} ms"),
        }
    }
}

/// Says it as the rest of a sentence that begins with "the generator".
impl fmt::Display for GeneratorLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { requests } => {
                write!(f, "was too late for {requests} requests, which it did not send")
            }
            Self::TooManyInFlight { requests } => {
                write!(
                    f,
                    "did not send {requests} requests, for it could not remember more in flight"
                )
            }
            Self::NotTaken { requests } => {
                write!(f, "could not send {requests} requests, which the system did not take")
            }
            Self::NoRoomToSend { times } => {
                write!(f, "had to wait {times} times until the system had room for what it sends")
            }
            Self::Stalled { share } => write!(
                f,
                "waited for {}% of the time for lost requests to time out: try a shorter --timeout",
                tenths(*share)
            ),
            Self::Dropped { datagrams } => {
                write!(f, "had no room for {datagrams} datagrams in its own receive buffer")
            }
            Self::Busy { share } => {
                let share = tenths(*share);
                write!(f, "was busy for {share}% of the time: try --train, or more --threads")
            }
            Self::Timer { p99_ms } => {
                write!(f, "sent one request in a hundred more than {p99_ms:.3} ms late")
            }
        }
    }
}

/// Puts a share into percent with one digit behind the point at the most.
pub fn tenths(share: f64) -> String {
    percent((share * 1000.0).round() / 1000.0)
}
