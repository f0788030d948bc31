//! The line about metrics over HTTP.

use std::net::SocketAddr;

use hello_net::ZonedAddr;

use super::json::Line;
use crate::output::Format;
use crate::output::json::to_timed_line;

/// Returns the line for the address where metrics are served.
pub fn serving(format: Format, address: SocketAddr) -> String {
    let address = ZonedAddr(address);
    match format {
        Format::Text => format!("metrics at http://{address}/metrics"),
        Format::Json => to_timed_line(&Line::Metrics { address }),
    }
}
