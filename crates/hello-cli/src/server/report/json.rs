//! The JSON lines of `hello-server`.

use std::collections::BTreeMap;

use hello_net::{DriverCounters, ServerCounters, ZonedAddr};
use serde::Serialize;

use super::{Rates, by_class, refusals, xdp};
use crate::output::json::{JsonName, Origin, as_text};
use crate::server::rate_limit::LimitReport;

/// A JSON line, by its event.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Line<'a> {
    Listening {
        #[serde(flatten)]
        origin: &'a Origin,
        #[serde(serialize_with = "as_text")]
        address: ZonedAddr,
        plan: &'a Plan,
        receive_buffer: usize,
        /// Whether it is smaller than requested.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        receive_buffer_short: bool,
        send_buffer: usize,
        /// Whether it is smaller than requested.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        send_buffer_short: bool,
        /// `null` if none is in force.
        limit: Option<LimitReport>,
    },
    Metrics {
        #[serde(serialize_with = "as_text")]
        address: ZonedAddr,
    },
    Xdp {
        interface: &'a str,
        state: &'static str,
        /// Only if it is attached.
        #[serde(skip_serializing_if = "Option::is_none")]
        mode: Option<&'static str>,
        /// Only if it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
        services: usize,
        veth: bool,
    },
    Datagram {
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
        #[serde(serialize_with = "as_text")]
        source: ZonedAddr,
        #[serde(serialize_with = "as_text")]
        local: ZonedAddr,
        #[serde(flatten)]
        name: JsonName<'a>,
        /// Whether the name is longer than this.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        truncated: bool,
        /// Earlier send failures of the same kind that had no line.
        #[serde(skip_serializing_if = "is_zero")]
        suppressed: u64,
    },
    ReceiveFailed {
        reason: &'static str,
        times: u64,
    },
    Error {
        error: &'a str,
        times: u64,
    },
    Stats {
        uptime_s: f64,
        rates: &'a Rates,
        #[serde(flatten)]
        totals: Totals,
    },
    Snapshot {
        uptime_s: f64,
        #[serde(flatten)]
        totals: Totals,
    },
    Summary {
        #[serde(flatten)]
        totals: Totals,
        /// `null` if none was in force.
        limit: Option<LimitReport>,
    },
}

/// The options that the server runs with, beside the buffers and the limit.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// The longest name answered, in bytes.
    pub max_name: u64,
    /// The rules of the guard that are off.
    pub allow: Vec<&'static str>,
    /// Threads for each address.
    pub workers: u16,
    /// Whether each thread has a socket of its own.
    pub reuseport: bool,
    /// The time for which a thread busy-polls, in seconds.
    pub spin_s: f64,
    /// The I/O back end.
    pub backend: String,
    /// The interfaces in whose drivers requests are answered, too.
    pub xdp: Vec<String>,
}

/// The counts since the start.
#[derive(Serialize)]
pub(super) struct Totals {
    received: u64,
    answered: u64,
    refused: BTreeMap<&'static str, u64>,
    over_limit_answered: u64,
    send_failed: BTreeMap<&'static str, u64>,
    receive_errors: BTreeMap<&'static str, u64>,
    /// `null` if the system does not report it.
    dropped: Option<u64>,
    /// The part of the above that happened in drivers, and what these passed to the kernel. `null`
    /// without XDP.
    driver: Option<DriverTotals>,
}

/// The counts of drivers since the start.
#[derive(Serialize)]
struct DriverTotals {
    answered_ipv4: u64,
    answered_ipv6: u64,
    over_limit: u64,
    over_limit_answered: u64,
    passed: BTreeMap<&'static str, u64>,
}

impl From<&ServerCounters> for Totals {
    fn from(counters: &ServerCounters) -> Self {
        Self {
            received: counters.received(),
            answered: counters.answered(),
            refused: refusals(counters).into(),
            over_limit_answered: counters.over_limit_answered(),
            send_failed: by_class(counters, ServerCounters::send_failed).into(),
            receive_errors: by_class(counters, ServerCounters::receive_errors).into(),
            dropped: counters.dropped(),
            driver: counters.driver().map(DriverTotals::from),
        }
    }
}

impl From<&DriverCounters> for DriverTotals {
    fn from(counters: &DriverCounters) -> Self {
        Self {
            answered_ipv4: counters.answered_ipv4(),
            answered_ipv6: counters.answered_ipv6(),
            over_limit: counters.over_limit(),
            over_limit_answered: counters.over_limit_answered(),
            passed: xdp::passed(counters).into(),
        }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
