//! JSON lines of a fleet, as in `docs/hello-ping.schema.json`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hello_measure::Summary;
use hello_net::{FleetCounts, FleetEvent, FleetEventKind, ZonedAddr};
use serde::Serialize;

use super::{Plan, Probed};
use crate::args::packet::PacketPlan;
use crate::args::peer::PeerArg;
use crate::output::json::{Origin, to_timed_line};
use crate::ping::fleet::roster::{Change, Member};

/// Returns the first line.
pub(in super::super) fn header(origin: &Origin, plan: &Plan<'_>) -> String {
    let Plan { file, targets, unresolved, plan, lookup_interval, source } = *plan;
    to_timed_line(&Line::FleetStart {
        origin,
        file,
        targets,
        unresolved,
        name_bytes: plan.name_len,
        interval_s: plan.interval.as_secs_f64(),
        count: plan.count,
        duration_s: plan.duration.map(|duration| duration.as_secs_f64()),
        timeout_s: plan.timeout.as_secs_f64(),
        lookup_interval_s: lookup_interval.as_secs_f64(),
        source,
        peer: plan.peer.into(),
        packet: plan.packet.into(),
    })
}

/// Returns the line of a target that became unreachable or answers again.
pub(in super::super) fn state(member: &Member, event: &FleetEvent) -> String {
    let (state, cause) = match event.kind {
        FleetEventKind::Unreachable { cause } => ("unreachable", cause),
        _ => ("answering", None),
    };
    to_timed_line(&Line::TargetState {
        target: Target::new(member),
        at_s: event.at.as_secs_f64(),
        state,
        cause: cause.map(|cause| cause.kind.label()),
        reporter: cause.and_then(|cause| cause.reporter),
        mtu: cause.and_then(hello_measure::Cause::mtu),
    })
}

/// Returns the line about a file that was read again.
pub(in super::super) fn reload(
    file: &str,
    targets: usize,
    result: &Result<Change, String>,
) -> String {
    let Change { added, removed } = result.as_ref().copied().unwrap_or_default();
    let error = result.as_ref().err().map(|error| &**error);
    to_timed_line(&Line::Reload { file, targets, added, removed, error })
}

/// Returns the line about a lookup that changed the targets, or failed.
pub(in super::super) fn lookup(name: &str, result: &Result<Change, String>) -> String {
    let Change { added, removed } = result.as_ref().copied().unwrap_or_default();
    let error = result.as_ref().err().map(|error| &**error);
    to_timed_line(&Line::Lookup { name, added, removed, error })
}

/// Returns a line for each target of a run that continues.
pub(in super::super) fn snapshot(targets: &[Probed], at: Duration) -> Vec<String> {
    targets.iter().map(|one| to_timed_line(&Line::TargetSnapshot(Totals::new(one, at)))).collect()
}

/// Returns a line for each target of the whole run, and one about the fleet.
pub(in super::super) fn summary(
    targets: &[Probed],
    at: Duration,
    counts: FleetCounts,
) -> Vec<String> {
    let of = |one| to_timed_line(&Line::TargetSummary(Totals::new(one, at)));
    let mut lines = Vec::from_iter(targets.iter().map(of));
    let answering = targets.iter().filter(|one| one.summary.answered > 0).count();
    let FleetCounts { unsolicited, unattributed, receive_errors, dropped, .. } = counts;
    lines.push(to_timed_line(&Line::FleetSummary {
        at_s: at.as_secs_f64(),
        targets: targets.len(),
        answered: answering,
        unsolicited,
        unattributed,
        receive_errors,
        dropped,
    }));
    lines
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    FleetStart {
        #[serde(flatten)]
        origin: &'a Origin,
        file: &'a str,
        targets: usize,
        unresolved: usize,
        name_bytes: usize,
        interval_s: f64,
        count: Option<u64>,
        duration_s: Option<f64>,
        timeout_s: f64,
        lookup_interval_s: f64,
        source: Option<&'a str>,
        peer: PeerArg,
        #[serde(flatten)]
        packet: PacketPlan,
    },
    TargetState {
        #[serde(flatten)]
        target: Target<'a>,
        at_s: f64,
        state: &'static str,
        cause: Option<&'static str>,
        reporter: Option<IpAddr>,
        mtu: Option<u32>,
    },
    Reload {
        file: &'a str,
        targets: usize,
        added: usize,
        removed: usize,
        error: Option<&'a str>,
    },
    Lookup {
        name: &'a str,
        added: usize,
        removed: usize,
        error: Option<&'a str>,
    },
    TargetSnapshot(Totals<'a>),
    TargetSummary(Totals<'a>),
    FleetSummary {
        at_s: f64,
        targets: usize,
        answered: usize,
        unsolicited: u64,
        unattributed: u64,
        receive_errors: u64,
        dropped: u64,
    },
}

/// What a target is called.
#[derive(Serialize)]
struct Target<'a> {
    target: &'a str,
    name: Option<&'a str>,
    address: Option<String>,
    labels: BTreeMap<&'a str, &'a str>,
}

impl<'a> Target<'a> {
    fn new(member: &'a Member) -> Self {
        let labels = member.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        let address = member.address.map(|address: SocketAddr| ZonedAddr(address).to_string());
        Self { target: &member.target, name: member.name.as_deref(), address, labels }
    }
}

/// A target, and its summary.
#[derive(Serialize)]
struct Totals<'a> {
    #[serde(flatten)]
    target: Target<'a>,
    at_s: f64,
    state: &'static str,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl<'a> Totals<'a> {
    fn new(Probed { member, record, summary }: &'a Probed, at: Duration) -> Self {
        let (target, state) = (Target::new(member), record.reachability().label());
        Self { target, at_s: at.as_secs_f64(), state, summary }
    }
}
