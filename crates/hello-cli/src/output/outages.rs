//! Outages in words.

use std::fmt::Write as _;

use hello_measure::Outage;

use super::format::count;

/// Describes an outage: `14 probes in 1.400 s at 12.300 s`. One of several flows is named.
pub fn describe(outage: &Outage, flows: usize) -> String {
    let probes = count(outage.probes, "probe");
    let mut text = format!("{probes} in {:.3} s at {:.3} s", outage.duration_s, outage.start_s);
    if flows > 1 {
        let flow = outage.flow.map_or("all flows".into(), |flow| format!("flow {flow}"));
        let _ = write!(text, " in {flow}");
    }
    if outage.ongoing {
        text += " (ongoing)";
    }
    text
}
