//! The JSON line about metrics over HTTP.

use std::net::SocketAddr;

use hello_net::ZonedAddr;
use serde::Serialize;

use crate::output::json::{as_text, to_timed_line};

/// Returns the line for the address where metrics are served.
pub fn serving(address: SocketAddr) -> String {
    to_timed_line(&Line::Metrics { address: ZonedAddr(address) })
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line {
    Metrics {
        #[serde(serialize_with = "as_text")]
        address: ZonedAddr,
    },
}
