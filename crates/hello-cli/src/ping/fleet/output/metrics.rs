//! The metrics of a fleet.

use hello_net::FleetCounts;

use super::Probed;
use crate::output::prometheus::families::{Histogram, MetricFamilies};
use crate::output::prometheus::labels::Labels;
use crate::ping::fleet::roster::Member;
use crate::ping::output::metrics::{add_common, add_info};

/// What the metrics have beside those of the targets.
#[derive(Debug)]
pub(in super::super) struct Extras<'a> {
    /// Each name, whether it has an address, and its failed lookups.
    pub(in super::super) names: Vec<(&'a str, bool, u64)>,
    pub(in super::super) is_last_reload_successful: bool,
    /// In seconds since 1970.
    pub(in super::super) last_reload_success: f64,
    pub(in super::super) counts: FleetCounts,
}

/// Returns the metrics of all targets and of the fleet.
pub(in super::super) fn families(targets: &[Probed], extras: &Extras<'_>) -> MetricFamilies {
    let mut families = MetricFamilies::new("hello_ping");
    let labels = Vec::from_iter(targets.iter().map(|target| labels(&target.member)));
    let common = Vec::from_iter(labels.iter().zip(targets.iter().map(|target| &target.summary)));
    add_common(&mut families, &common);
    let rtts = labels.iter().zip(targets).map(|(labels, target)| {
        let rtt = target.record.rtt();
        let histogram = Histogram::new(rtt.cumulative(), rtt.sum().as_secs_f64(), rtt.count());
        (labels.clone(), histogram)
    });
    let help = "Round-trip times of the answered probes.";
    families.histogram("response_duration_seconds", help, rtts);
    let resolved = labels
        .iter()
        .zip(targets)
        .map(|(labels, target)| (labels.clone(), target.member.address.is_some()));
    // A name that stands for all its addresses has none of its own.
    let unresolved = extras.names.iter().filter(|(name, has_address, _)| {
        !has_address && !targets.iter().any(|target| *target.member.target == **name)
    });
    let unresolved = unresolved.map(|(name, _, _)| (Labels::new().with("target", name), false));
    let help = "Whether the target has an address.";
    families.gauge("target_resolved", help, resolved.chain(unresolved));
    let failures = extras.names.iter();
    let failures =
        failures.map(|(name, _, failures)| (Labels::new().with("target", name), *failures));
    families.counter("lookup_failures", "Failed lookups of a name.", failures);
    let alone = |value| [(Labels::new(), value)];
    families.gauge("targets", "Targets that are probed.", alone(targets.len() as u64));
    let help = "Whether the targets file was valid when it was last read.";
    families.gauge(
        "targets_last_reload_successful",
        help,
        alone(u64::from(extras.is_last_reload_successful)),
    );
    let help = "When the targets file was last read and valid, in seconds since 1970.";
    let when = [(Labels::new(), extras.last_reload_success)];
    families.gauge("targets_last_reload_success_timestamp_seconds", help, when);
    let FleetCounts { unsolicited, unattributed, receive_errors, dropped, .. } = extras.counts;
    for (name, help, value) in [
        ("strangers", "Datagrams from other addresses than the probes were sent to.", unsolicited),
        ("strangers_errors", "Errors from the network about no probe of a target.", unattributed),
        ("socket_errors", "Errors of receive calls.", receive_errors),
        ("dropped", "Datagrams that this system dropped before they were received.", dropped),
    ] {
        families.counter(name, help, alone(value));
    }
    add_info(&mut families);
    families
}

/// Returns the labels of a target: its name, and those that the file has.
fn labels(member: &Member) -> Labels {
    let mut labels = Labels::new().with("target", &member.target);
    if let Some(name) = &member.name {
        labels = labels.with("name", name);
    }
    member.labels.iter().fold(labels, |labels, (name, value)| labels.with(name.clone(), value))
}
