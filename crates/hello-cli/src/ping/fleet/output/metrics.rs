//! The metrics of a fleet.

use std::collections::HashSet;

use hello_net::FleetCounts;

use super::Probed;
use crate::output::prometheus::families::{Histogram, MetricFamilies};
use crate::output::prometheus::labels::Labels;
use crate::ping::fleet::roster::{LookedUp, Member};
use crate::ping::output::metrics::{add_common, add_info};

/// What the metrics have beside those of the targets.
#[derive(Debug)]
pub(in super::super) struct Extras {
    pub(in super::super) names: Vec<LookedUp>,
    pub(in super::super) is_last_reload_successful: bool,
    /// In seconds since 1970.
    pub(in super::super) last_reload_success: f64,
    pub(in super::super) counts: FleetCounts,
}

/// Returns the metrics of all targets and of the fleet.
pub(in super::super) fn families(targets: &[Probed], extras: &Extras) -> MetricFamilies {
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
    // A name that stands for all its addresses is no target itself.
    let members = HashSet::<&str>::from_iter(targets.iter().map(|target| &*target.member.target));
    let unresolved =
        extras.names.iter().filter(|name| !name.is_resolved && !members.contains(&*name.name));
    let of_name = |name: &LookedUp| named(&name.name, None, &name.labels);
    let unresolved = unresolved.map(|name| (of_name(name), false));
    let help = "Whether the target has an address.";
    families.gauge("target_resolved", help, resolved.chain(unresolved));
    let failures = extras.names.iter().map(|name| (of_name(name), name.failures));
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
        ("fleet_unsolicited", "Datagrams that belong to no target.", unsolicited),
        ("fleet_unattributed", "Errors from the network that belong to no target.", unattributed),
        ("fleet_receive_errors", "Errors of receive calls.", receive_errors),
        ("fleet_dropped", "Datagrams that this system dropped before they were received.", dropped),
    ] {
        families.counter(name, help, alone(value));
    }
    add_info(&mut families);
    families
}

fn labels(member: &Member) -> Labels {
    named(&member.target, member.name.as_deref(), &member.labels)
}

/// Returns the labels of a target: its name, and those that the file has.
fn named(target: &str, name: Option<&str>, labels: &[(String, String)]) -> Labels {
    let all = Labels::new().with("target", target);
    let all = name.into_iter().fold(all, |all, name| all.with("name", name));
    labels.iter().fold(all, |all, (name, value)| all.with(name.clone(), value))
}
