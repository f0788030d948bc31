//! The lines about interfaces in whose drivers requests are answered (XDP).

use hello_net::{DriverCounters, Passed, ServerCounters, XdpInterface, XdpMode, XdpState};

use super::json::Line;
use crate::output::Format;
use crate::output::format::{by_reason, count, thousands};
use crate::output::json::to_timed_line;

/// Returns the line for an interface as it is now.
pub fn interface(format: Format, interface: &XdpInterface) -> String {
    let XdpInterface { name, state, is_veth, services, .. } = interface;
    match format {
        Format::Text => format!("XDP on {name}: {}", describe(state, *services)),
        Format::Json => {
            let (state, mode, error) = match state {
                XdpState::Attached(mode) => ("attached", Some(mode.label()), None),
                XdpState::Gone => ("gone", None, None),
                XdpState::Failed(error) => ("failed", None, Some(&**error)),
                _ => ("unknown", None, None),
            };
            let (interface, services, veth) = (&**name, *services, *is_veth);
            to_timed_line(&Line::Xdp { interface, state, mode, error, services, veth })
        }
    }
}

fn describe(state: &XdpState, services: usize) -> String {
    let mode = match state {
        XdpState::Attached(XdpMode::Native) => "native mode",
        XdpState::Attached(XdpMode::Generic) => {
            "generic mode (slower: the driver has no XDP, or not with this MTU)"
        }
        XdpState::Gone => return "the interface is gone; XDP starts again when it is back".into(),
        XdpState::Failed(error) => {
            return format!(
                "cannot attach the program: {error}; the server keeps trying, and its sockets answer"
            );
        }
        _ => "unknown mode",
    };
    match services {
        0 => {
            format!(
                "{mode}, answering for no address: the interface has none that is bound (see --bind)"
            )
        }
        _ => format!("{mode}, answering for {}", count(services as u64, "address")),
    }
}

/// Returns the lines at the start, beside those of the interfaces: what is not printed, and how replies
/// are lost. There are none in JSON, which has a field for the latter.
pub fn notices(format: Format, interfaces: &[XdpInterface], quiet: bool) -> Vec<String> {
    if format == Format::Json || interfaces.is_empty() {
        return Vec::new();
    }
    let counted = "names greeted by XDP are counted, not printed".to_owned();
    let veths = interfaces.iter().filter(|interface| interface.is_veth).map(|interface| {
        format!(
            "warning: {} is one end of a veth pair, so XDP's replies are lost unless the other end has \
             an XDP program, too",
            interface.name
        )
    });
    (!quiet).then_some(counted).into_iter().chain(veths).collect()
}

/// Returns how many of the answered requests were answered in drivers, or nothing without XDP.
pub(super) fn answered(counters: &ServerCounters) -> String {
    let driver = counters.driver();
    driver.map_or_else(String::new, |driver| {
        format!(" ({} in the driver)", thousands(driver.answered()))
    })
}

/// Returns a line with the packets that drivers passed to the kernel, by reason.
pub(super) fn passed_on(counters: &ServerCounters) -> Option<String> {
    let passed = passed(counters.driver()?);
    by_reason("passed by XDP", passed.iter().map(|(label, count)| (label, count)))
}

/// Returns the number of packets that drivers passed to the kernel, by reason.
pub fn passed(counters: &DriverCounters) -> [(&'static str, u64); Passed::ALL.len()] {
    Passed::ALL.map(|why| (why.label(), counters.passed(why)))
}
