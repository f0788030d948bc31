//! JSON output of `hello-ping`: one object per line, as in `docs/hello-ping.schema.json`. Readers
//! must ignore unknown fields.

pub mod metrics;
pub mod mtu;
pub mod paths;

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use hello_measure::{Cause, ReplyKind, millis};
use hello_net::{ErrorClass, ProbeEvent, ProbeEventKind, ZonedAddr};
use serde::Serialize;

use crate::args::first_reply::Tried;
use crate::args::packet::PacketPlan;
use crate::args::peer::PeerArg;
use crate::output::json::{Datagram, Origin, as_text, to_line_at, to_timed_line};
use crate::output::wall_clock::WallClock;
use crate::ping::Target;
use crate::ping::args::Unreachable;
use crate::ping::plan::Plan;
use crate::ping::summary::Summary;

/// Returns the first line, about the run and the target.
pub fn header(origin: &Origin, plan: &Plan, target: &Target) -> String {
    let Plan { thresholds, .. } = plan;
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    to_timed_line(&Line::Start(&Start {
        origin,
        target: &target.name,
        address: target.address,
        tried: &target.tried,
        name_bytes: target.name_len,
        flows: target.flows,
        run_id: target.run_id,
        local: target.local.iter().copied().map(|local| LocalAddr(ZonedAddr(local))).collect(),
        interval_s: plan.interval.as_secs_f64(),
        count: plan.count.map(NonZeroU64::get),
        duration_s: seconds(plan.duration),
        deadline_s: seconds(plan.deadline),
        timeout_s: plan.timeout.as_secs_f64(),
        every_s: seconds(plan.every),
        source: plan.source.as_deref(),
        peer: plan.peer,
        packet: plan.packet.into(),
        trace: plan.trace,
        trace_on_loss: plan.trace_on_loss,
        max_loss: thresholds.max_loss,
        max_p99_ms: thresholds.max_p99.map(millis),
        max_jitter_ms: thresholds.max_jitter.map(millis),
        max_outage_ms: thresholds.max_outage.map(millis),
    }))
}

/// Returns the line of a target that is not probed.
pub fn unreachable(unreachable: &Unreachable) -> String {
    let Unreachable { target, error } = unreachable;
    to_timed_line(&Line::Unreachable { target, error })
}

/// Returns the line of an event at this time of day. A sent probe has none: its reply or its loss has
/// one.
pub fn event(target: &Target, event: &ProbeEvent<'_>, time: WallClock) -> Option<String> {
    let what = match event.kind {
        ProbeEventKind::Sent { .. } => return None,
        ProbeEventKind::Received { reply, datagram, ttl, tos, .. } => match reply {
            ReplyKind::Answered { seq, rtt, reordered } => {
                let (rtt_ms, bytes) = (millis(rtt), datagram.len());
                EventKind::Reply { seq, ttl, tos, rtt_ms, reordered, bytes }
            }
            ReplyKind::Late { seq, rtt } => EventKind::Late { seq, ttl, tos, rtt_ms: millis(rtt) },
            ReplyKind::Duplicate { seq } => EventKind::Duplicate { seq },
            ReplyKind::OutOfWindow { seq } => EventKind::OutOfWindow { seq },
            ReplyKind::Corrupt => EventKind::Corrupt(datagram.into()),
            ReplyKind::Unsolicited => EventKind::Unsolicited(datagram.into()),
        },
        ProbeEventKind::Lost { seq, sent, cause, .. } => {
            EventKind::Lost { seq, sent_s: sent.as_secs_f64(), cause }
        }
        ProbeEventKind::NetworkError { cause, attribution } => EventKind::Error {
            class: cause.kind.label(),
            count: 1,
            seq: attribution.seq(),
            reporter: cause.reporter,
            mtu: cause.mtu(),
        },
        ProbeEventKind::SocketError(error) => EventKind::error(error.class, 1),
        ProbeEventKind::Dropped { count } => EventKind::error(ErrorClass::NoBuffers, count),
        ProbeEventKind::Traced(path) => return Some(paths::path(target, path, event.at, time)),
        ProbeEventKind::NotSent(why) => EventKind::NotSent { reason: why.label() },
        _ => return None,
    };
    let at_s = event.at.as_secs_f64();
    Some(to_line_at(time, &Event { target: &target.name, flow: event.flow, at_s, what }))
}

/// Returns the summary of a part of the run that ended at `at`. The last part is shorter than the
/// others.
pub fn interval(summary: &Summary, at: Duration, is_partial: bool) -> String {
    to_timed_line(&Line::Interval { is_partial, totals: Totals::new(summary, at) })
}

/// Returns the summary of a run that continues.
pub fn snapshot(summary: &Summary, at: Duration) -> String {
    to_timed_line(&Line::Snapshot(Totals::new(summary, at)))
}

/// Returns the summary of the whole run.
pub fn summary(summary: &Summary, at: Duration) -> String {
    to_timed_line(&Line::Summary(Totals::new(summary, at)))
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Start(&'a Start<'a>),
    Unreachable {
        target: &'a str,
        error: &'a str,
    },
    Interval {
        #[serde(rename = "partial")]
        is_partial: bool,
        #[serde(flatten)]
        totals: Totals<'a>,
    },
    Snapshot(Totals<'a>),
    Summary(Totals<'a>),
}

/// The origin of a run, and the plan for a target.
#[derive(Serialize)]
struct Start<'a> {
    #[serde(flatten)]
    origin: &'a Origin,
    target: &'a str,
    #[serde(serialize_with = "as_text")]
    address: ZonedAddr,
    tried: &'a [Tried],
    name_bytes: usize,
    flows: usize,
    run_id: u16,
    local: Vec<LocalAddr>,
    interval_s: f64,
    count: Option<u64>,
    duration_s: Option<f64>,
    deadline_s: Option<f64>,
    timeout_s: f64,
    every_s: Option<f64>,
    source: Option<&'a str>,
    peer: PeerArg,
    #[serde(flatten)]
    packet: PacketPlan,
    trace: bool,
    trace_on_loss: Option<f64>,
    max_loss: Option<f64>,
    max_p99_ms: Option<f64>,
    max_jitter_ms: Option<f64>,
    max_outage_ms: Option<f64>,
}

/// An address of this machine.
#[derive(Serialize)]
struct LocalAddr(#[serde(serialize_with = "as_text")] ZonedAddr);

/// A summary, and its time since the start.
#[derive(Serialize)]
struct Totals<'a> {
    at_s: f64,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl<'a> Totals<'a> {
    fn new(summary: &'a Summary, at: Duration) -> Self {
        Self { at_s: at.as_secs_f64(), summary }
    }
}

/// An event, with its target and flow.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(flatten)]
    what: EventKind<'a>,
    target: &'a str,
    flow: usize,
    at_s: f64,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum EventKind<'a> {
    Reply {
        seq: u32,
        ttl: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tos: Option<u8>,
        rtt_ms: f64,
        reordered: bool,
        bytes: usize,
    },
    Late {
        seq: u32,
        ttl: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tos: Option<u8>,
        rtt_ms: f64,
    },
    Duplicate {
        seq: u32,
    },
    OutOfWindow {
        seq: u32,
    },
    Lost {
        seq: u32,
        sent_s: f64,
        #[serde(flatten)]
        cause: Cause,
    },
    Corrupt(Unexpected<'a>),
    Unsolicited(Unexpected<'a>),
    Error {
        class: &'static str,
        count: u32,
        seq: Option<u32>,
        reporter: Option<IpAddr>,
        mtu: Option<u32>,
    },
    NotSent {
        reason: &'static str,
    },
}

impl EventKind<'_> {
    /// Errors of the system's own, or without details.
    fn error(class: ErrorClass, count: u32) -> Self {
        Self::Error { class: class.label(), count, seq: None, reporter: None, mtu: None }
    }
}

/// A datagram that is not a reply to a probe.
#[derive(Serialize)]
struct Unexpected<'a> {
    bytes: usize,
    #[serde(flatten)]
    datagram: Datagram<'a>,
}

impl<'a> From<&'a [u8]> for Unexpected<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.len(), datagram: bytes.into() }
    }
}

#[cfg(test)]
mod tests {
    use hello_measure::{Attribution, CauseKind, Fate};
    use hello_net::NotSent;

    use super::*;
    use crate::output::fixtures::untimed;
    use crate::output::json::{SCHEMA_VERSION, SHOWN};
    use crate::ping::fixtures::{self, KERNEL, lost, plan, started_at};
    use crate::ping::recorder::Recorder;
    use crate::ping::thresholds::Thresholds;

    fn target() -> Target {
        Target { name: "example.org:9999".into(), ..fixtures::target() }
    }

    fn line_of(kind: ProbeEventKind<'_>) -> Option<String> {
        event(&target(), &ProbeEvent::new(Duration::from_millis(1500), 0, kind), started_at())
    }

    fn received(reply: ReplyKind, datagram: &[u8]) -> Option<String> {
        line_of(ProbeEventKind::Received {
            reply,
            datagram,
            ttl: Some(64),
            tos: Some(184),
            clocks: KERNEL,
        })
    }

    #[test]
    fn each_event_has_a_line_with_numbers_as_numbers() {
        let rtt = Duration::from_nanos(41_007);
        let (kind, reporter) = (CauseKind::TooBig { mtu: Some(1400) }, Some([10, 80, 2, 2].into()));
        let too_big = Cause { kind, reporter };
        let attribution = Attribution::Probe { seq: 17, fate: Fate::InFlight { is_first: true } };
        let rest = r#""target":"example.org:9999","flow":0,"at_s":1.5,"time":"2024-11-26T19:40:00.000000Z"}"#;
        for (line, expected) in [
            (
                received(ReplyKind::Answered { seq: 3, rtt, reordered: true }, &[b'x'; 24]),
                r#"{"event":"reply","seq":3,"ttl":64,"tos":184,"rtt_ms":0.041007,"reordered":true,"bytes":24,"#,
            ),
            (
                received(ReplyKind::Late { seq: 3, rtt }, b""),
                r#"{"event":"late","seq":3,"ttl":64,"tos":184,"rtt_ms":0.041007,"#,
            ),
            (received(ReplyKind::Duplicate { seq: 3 }, b""), r#"{"event":"duplicate","seq":3,"#),
            (
                received(ReplyKind::OutOfWindow { seq: 3 }, b""),
                r#"{"event":"out-of-window","seq":3,"#,
            ),
            (
                received(ReplyKind::Corrupt, b"\xff"),
                r#"{"event":"corrupt","bytes":1,"datagram":null,"datagram_hex":"ff","#,
            ),
            (
                received(ReplyKind::Unsolicited, b"Hello, \x1b!"),
                r#"{"event":"unsolicited","bytes":9,"datagram":"Hello, \u001b!","#,
            ),
            (
                line_of(lost(3)),
                r#"{"event":"lost","seq":3,"sent_s":0.0,"cause":"silent","reporter":null,"mtu":null,"#,
            ),
            (
                line_of(ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into())),
                r#"{"event":"error","class":"refused","count":1,"seq":null,"reporter":null,"mtu":null,"#,
            ),
            (
                line_of(ProbeEventKind::NetworkError { cause: too_big, attribution }),
                r#"{"event":"error","class":"too-big","count":1,"seq":17,"reporter":"10.80.2.2","mtu":1400,"#,
            ),
            (
                line_of(ProbeEventKind::NotSent(NotSent::Late)),
                r#"{"event":"not-sent","reason":"late","#,
            ),
        ] {
            assert_eq!(line, Some(format!("{expected}{rest}")));
        }
        assert_eq!(line_of(ProbeEventKind::Sent { seq: 0, late: rtt }), None);
    }

    #[test]
    fn start_has_the_origin_of_the_run_and_its_whole_plan() {
        let origin = Origin {
            schema_version: SCHEMA_VERSION,
            tool: "hello-ping",
            version: "1.2.3",
            host: "here".into(),
            started_at: started_at(),
        };
        let (max_loss, max_p99, max_jitter) = (Some(0.01), Some(Duration::from_millis(5)), None);
        let plan = Plan {
            count: NonZeroU64::new(7),
            source: Some("eth0".into()),
            thresholds: Thresholds { max_loss, max_p99, max_jitter, max_outage: None },
            ..plan()
        };
        let expected =
            r#"{"event":"start","schema_version":1,"tool":"hello-ping","version":"1.2.3","#
                .to_owned()
                + r#""host":"here","started_at":"2024-11-26T19:40:00.000000Z","#
                + r#""target":"example.org:9999","address":"192.0.2.1:9999","tried":[],"name_bytes":16,"flows":1,"run_id":7,"local":["192.0.2.7:50000"],"#
                + r#""interval_s":1.0,"count":7,"duration_s":null,"deadline_s":null,"timeout_s":1.0,"#
                + r#""every_s":null,"source":"eth0","peer":"hello","#
                + r#""dscp":0,"ecn":"not-ect","ttl":null,"pmtudisc":null,"trace":false,"trace_on_loss":null,"#
                + r#""max_loss":0.01,"max_p99_ms":5.0,"#
                + r#""max_jitter_ms":null,"max_outage_ms":null}"#;
        assert_eq!(untimed(&header(&origin, &plan, &target())), expected);
    }

    #[test]
    fn shorter_last_interval_is_marked() {
        let nothing = Recorder::new(target()).summary(Duration::ZERO);
        for is_partial in [false, true] {
            let line = interval(&nothing, Duration::ZERO, is_partial);
            assert!(line.contains(&format!("\"partial\":{is_partial},")), "{line}");
        }
    }

    #[test]
    fn long_datagram_is_marked_as_truncated() {
        let line = |len| received(ReplyKind::Unsolicited, &[b'x'; 2000][..len]).unwrap_or_default();
        assert!(!line(SHOWN).contains("truncated"));
        let cut = format!(r#""bytes":1025,"datagram":"{}","truncated":true,"#, "x".repeat(SHOWN));
        assert!(line(SHOWN + 1).contains(&cut));
    }

    #[test]
    fn summary_without_a_reply_has_every_field() {
        let nothing = Recorder::new(target()).summary(Duration::ZERO);
        let line = summary(&nothing, Duration::ZERO);
        let expected = r#"{"event":"summary","at_s":0.0,"#.to_owned()
            + r#""target":"example.org:9999","#
            + r#""address":"192.0.2.1:9999","started_at":"2024-11-26T19:40:00.000000Z","sent":0,"answered":0,"lost":0,"in_flight":0,"#
            + r#""loss":null,"late":0,"reordered":0,"duplicate":0,"corrupt":0,"unsolicited":0,"#
            + r#""out_of_window":0,"lost_causes":[],"errors":{},"unattributed":0,"not_sent":{},"rtt_ms":null,"#
            + r#""timer_error_ms":null,"duration_s":0.0,"jitter_ms":null,"#
            + r#""ttl":{},"dscp":{},"ecn":{},"route_changes":0,"last_route_change_s":null,"clocks":{"sent_kernel":0,"sent_process":0,"received_kernel":0,"received_process":0},"flows":[{"flow":0,"sent":0,"#
            + r#""answered":0,"lost":0,"loss":null,"p50_ms":null,"p99_ms":null,"ttl":null}]}"#;
        assert_eq!(untimed(&line), expected);
    }
}
