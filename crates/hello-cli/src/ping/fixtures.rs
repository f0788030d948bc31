//! Events for tests.

use std::time::Duration;

use hello_measure::ReplyKind;
use hello_net::{ProbeEvent, ProbeEventKind, ZonedAddr};

use super::Target;
use super::recorder::Recorder;

pub(super) fn target() -> Target {
    let address = ZonedAddr(([192, 0, 2, 1], 9999).into());
    Target { name: "192.0.2.1:9999".into(), address, tried: vec![], name_len: 16, flows: 1 }
}

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
    ProbeEventKind::Lost { seq, sent: Duration::ZERO }
}

pub(super) fn received(reply: ReplyKind) -> ProbeEventKind<'static> {
    ProbeEventKind::Received { reply, datagram: b"Hello, AAAAAAAAAAAAAAAA!", ttl: Some(64) }
}
