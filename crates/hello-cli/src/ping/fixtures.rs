//! Events for tests.

use std::time::{Duration, UNIX_EPOCH};

use hello_measure::{
    Cause, Clock, Clocks, Hop, HopRouter, MtuLimit, MtuPlan, Path, PathEnd, ReplyKind,
};
use hello_net::{PacketOptions, ProbeEvent, ProbeEventKind, ZonedAddr};
use hello_proto::Peer;

use super::Target;
use super::path_mtu::{MtuTarget, PathMtu};
use super::plan::Plan;
use super::recorder::Recorder;
use super::report::Style;
use super::thresholds::Thresholds;
use super::traced::{Fault, Traced};
use crate::args::peer::PeerArg;
use crate::output::Format;
use crate::output::layout::Layout;
use crate::output::wall_clock::WallClock;

const SECOND: Duration = Duration::from_secs(1);

/// 2024-11-26T19:40:00Z
pub(super) fn started_at() -> WallClock {
    WallClock(UNIX_EPOCH + Duration::from_secs(1_732_650_000))
}

pub(super) fn target() -> Target {
    let address = ZonedAddr(([192, 0, 2, 1], 9999).into());
    let (name, started_at) = ("192.0.2.1:9999".into(), started_at());
    let (tried, ports) = (vec![], vec![40_000, 40_001, 40_002]);
    let local = vec![([192, 0, 2, 7], 50_000).into()];
    Target {
        name,
        address,
        tried,
        peer: PeerArg::Hello,
        name_len: 16,
        flows: 1,
        ports,
        local,
        run_id: 7,
        timeout: SECOND,
        started_at,
    }
}

/// A run without end.
pub(super) fn plan() -> Plan {
    Plan {
        interval: SECOND,
        count: None,
        duration: None,
        deadline: None,
        timeout: SECOND,
        every: None,
        peer: PeerArg::Hello,
        source: None,
        packet: PacketOptions::default(),
        trace: false,
        trace_on_loss: None,
        thresholds: Thresholds::default(),
    }
}

/// Text for a pipe.
pub(super) const TEXT: Style =
    Style { format: Format::Text, quiet: false, timestamps: false, layout: Layout::PLAIN };

/// Records events of the first flow, one per second.
pub(super) fn events<'a>(
    recorder: &mut Recorder,
    kinds: impl IntoIterator<Item = ProbeEventKind<'a>>,
) {
    for (second, kind) in (1..).zip(kinds) {
        recorder.observe(&ProbeEvent::new(Duration::from_secs(second), 0, kind));
    }
}

pub(super) fn sent(seq: u32) -> ProbeEventKind<'static> {
    ProbeEventKind::Sent { seq, late: Duration::from_micros(50) }
}

pub(super) fn answered(rtt: Duration) -> ProbeEventKind<'static> {
    received(ReplyKind::Answered { seq: 1, rtt, reordered: false })
}

pub(super) fn lost(seq: u32) -> ProbeEventKind<'static> {
    ProbeEventKind::Lost { seq, sent: Duration::ZERO, cause: Cause::SILENT }
}

pub(super) fn received(reply: ReplyKind) -> ProbeEventKind<'static> {
    ProbeEventKind::Received {
        reply,
        datagram: b"Hello, AAAAAAAAAAAAAAAA!",
        ttl: Some(64),
        tos: Some(0),
        clocks: KERNEL,
    }
}

pub(super) const KERNEL: Clocks = Clocks { sent: Clock::Kernel, received: Clock::Kernel };

/// A path through routers of 10.80.0.0/16, each a millisecond farther than the last; 0 is a silent hop.
pub(super) fn path(flow: usize, routers: &[u8], end: PathEnd) -> Path {
    let server = matches!(end, PathEnd::Reached { .. }).then_some(Some([192, 0, 2, 1]));
    let routers = routers.iter().map(|router| (*router > 0).then_some([10, 80, *router, 2]));
    let hop = |(ttl, address): (u8, Option<[u8; 4]>)| {
        let rtts = vec![Duration::from_millis(ttl.into())];
        let router = |address: [u8; 4]| HopRouter { rtts, ..HopRouter::new(address.into()) };
        let unanswered = if address.is_some() { 0 } else { 3 };
        Hop { ttl, routers: address.map(router).into_iter().collect(), unanswered }
    };
    Path { flow, hops: (1..).zip(routers.chain(server)).map(hop).collect(), end }
}

pub(super) const GREETED: PathEnd = PathEnd::Reached { greeted: true };

/// Traces whose losing flows are given, and all others are clean.
pub(super) fn traced(paths: Vec<Path>, losing: &[usize]) -> Traced {
    let target = Target { flows: paths.len(), ..target() };
    let clean = paths.iter().map(|path| path.flow).filter(|flow| !losing.contains(flow)).collect();
    let (losing, has_other_peer) = (losing.to_vec(), false);
    Traced { target, paths, fault: Fault::Loss(0.0), losing, clean, has_other_peer }
}

/// The target of a search over a link with an MTU of 1500.
pub(super) fn mtu_target() -> MtuTarget {
    let Target { name, address, tried, timeout, .. } = target();
    let plan = MtuPlan { link_mtu: Some(1500), ..MtuPlan::ipv4() };
    MtuTarget { name, address, tried, plan, peer: Peer::Hello, timeout }
}

/// The result of a search of 9 probes, all replies to which were complete.
pub(super) fn mtu_found(passed: Option<u32>, limit: MtuLimit) -> PathMtu {
    let mut found = PathMtu::new(mtu_target());
    (found.outcome.passed, found.outcome.answered, found.outcome.limit) = (passed, passed, limit);
    (found.sent, found.lost, found.elapsed) = (9, 3, Duration::from_millis(1500));
    found
}
