//! JSON output of `hello-ping`: one object per line, as in `docs/hello-ping.schema.json`. Readers
//! must ignore unknown fields.

use std::time::Duration;

use hello_measure::{ReplyKind, millis};
use hello_net::{ErrorClass, ProbeEvent, ProbeEventKind, ZonedAddr};
use serde::Serialize;

use crate::args::first_reply::Tried;
use crate::output::json::{Datagram, SCHEMA_VERSION, as_text, to_line};
use crate::ping::Target;
use crate::ping::args::Unreachable;
use crate::ping::summary::Summary;

/// Returns the first line, about the target.
pub fn header(target: &Target) -> String {
    let Target { name, address, tried, name_len, flows } = target;
    to_line(&Line::Start {
        schema_version: SCHEMA_VERSION,
        target: name,
        address: *address,
        tried,
        name_bytes: *name_len,
        flows: *flows,
    })
}

/// Returns the line of a target that is not probed.
pub fn unreachable(unreachable: &Unreachable) -> String {
    let Unreachable { target, error } = unreachable;
    to_line(&Line::Unreachable { target, error })
}

/// Returns the line of an event. A sent probe has none: its reply or its loss has one.
pub fn event(target: &Target, event: &ProbeEvent<'_>) -> Option<String> {
    let what = match event.kind {
        ProbeEventKind::Sent { .. } => return None,
        ProbeEventKind::Received { reply, datagram, .. } => match reply {
            ReplyKind::Answered { seq, rtt, reordered } => {
                EventKind::Reply { seq, rtt_ms: millis(rtt), reordered, bytes: datagram.len() }
            }
            ReplyKind::Late { seq, rtt } => EventKind::Late { seq, rtt_ms: millis(rtt) },
            ReplyKind::Duplicate { seq } => EventKind::Duplicate { seq },
            ReplyKind::OutOfWindow { seq } => EventKind::OutOfWindow { seq },
            ReplyKind::Corrupt => EventKind::Corrupt(datagram.into()),
            ReplyKind::Unsolicited => EventKind::Unsolicited(datagram.into()),
        },
        ProbeEventKind::Lost { seq, .. } => EventKind::Lost { seq },
        ProbeEventKind::SocketError(error) => {
            EventKind::Error { class: error.class.label(), count: 1 }
        }
        ProbeEventKind::Dropped { count } => {
            EventKind::Error { class: ErrorClass::NoBuffers.label(), count }
        }
        ProbeEventKind::NotSent(why) => EventKind::NotSent { reason: why.label() },
        _ => return None,
    };
    let at_s = event.at.as_secs_f64();
    Some(to_line(&Event { target: &target.name, flow: event.flow, at_s, what }))
}

/// Returns the summary of a part of the run that ended at `at`.
pub fn interval(summary: &Summary, at: Duration) -> String {
    to_line(&Line::Interval(Timed::new(summary, at)))
}

/// Returns the summary of a run that continues.
pub fn snapshot(summary: &Summary, at: Duration) -> String {
    to_line(&Line::Snapshot(Timed::new(summary, at)))
}

/// Returns the summary of the whole run.
pub fn summary(summary: &Summary, at: Duration) -> String {
    to_line(&Line::Summary(Timed::new(summary, at)))
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Start {
        schema_version: u32,
        target: &'a str,
        #[serde(serialize_with = "as_text")]
        address: ZonedAddr,
        tried: &'a [Tried],
        name_bytes: usize,
        flows: usize,
    },
    Unreachable {
        target: &'a str,
        error: &'a str,
    },
    Interval(Timed<'a>),
    Snapshot(Timed<'a>),
    Summary(Timed<'a>),
}

/// A summary, and the time since the start.
#[derive(Serialize)]
struct Timed<'a> {
    at_s: f64,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl<'a> Timed<'a> {
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
    Reply { seq: u32, rtt_ms: f64, reordered: bool, bytes: usize },
    Late { seq: u32, rtt_ms: f64 },
    Duplicate { seq: u32 },
    OutOfWindow { seq: u32 },
    Lost { seq: u32 },
    Corrupt(Unexpected<'a>),
    Unsolicited(Unexpected<'a>),
    Error { class: &'static str, count: u32 },
    NotSent { reason: &'static str },
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
    use hello_net::NotSent;

    use super::*;
    use crate::output::json::SHOWN;
    use crate::ping::fixtures::{self, lost};
    use crate::ping::recorder::Recorder;

    fn target() -> Target {
        let address = ZonedAddr(([192, 0, 2, 1], 9999).into());
        Target { name: "example.org:9999".into(), address, ..fixtures::target() }
    }

    fn line_of(kind: ProbeEventKind<'_>) -> Option<String> {
        event(&target(), &ProbeEvent::new(Duration::from_millis(1500), 0, kind))
    }

    fn received(reply: ReplyKind, datagram: &[u8]) -> Option<String> {
        line_of(ProbeEventKind::Received { reply, datagram, ttl: None })
    }

    #[test]
    fn each_event_has_a_line_with_numbers_as_numbers() {
        let rtt = Duration::from_nanos(41_007);
        let rest = r#""target":"example.org:9999","flow":0,"at_s":1.5}"#;
        for (line, expected) in [
            (
                received(ReplyKind::Answered { seq: 3, rtt, reordered: true }, &[b'x'; 24]),
                r#"{"event":"reply","seq":3,"rtt_ms":0.041007,"reordered":true,"bytes":24,"#,
            ),
            (
                received(ReplyKind::Late { seq: 3, rtt }, b""),
                r#"{"event":"late","seq":3,"rtt_ms":0.041007,"#,
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
            (line_of(lost(3)), r#"{"event":"lost","seq":3,"#),
            (
                line_of(ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into())),
                r#"{"event":"error","class":"connection-refused","count":1,"#,
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
    fn long_datagram_is_marked_as_truncated() {
        let line = |len| received(ReplyKind::Unsolicited, &[b'x'; 2000][..len]).unwrap_or_default();
        assert!(!line(SHOWN).contains("truncated"));
        let cut = format!(r#""bytes":1025,"datagram":"{}","truncated":true,"#, "x".repeat(SHOWN));
        assert!(line(SHOWN + 1).contains(&cut));
    }

    #[test]
    fn summary_without_a_reply_has_every_field() {
        let line = summary(&Recorder::new(target()).summary(Duration::ZERO), Duration::ZERO);
        let expected = r#"{"event":"summary","at_s":0.0,"target":"example.org:9999","#.to_owned()
            + r#""address":"192.0.2.1:9999","sent":0,"answered":0,"lost":0,"in_flight":0,"#
            + r#""loss":null,"late":0,"reordered":0,"duplicate":0,"corrupt":0,"unsolicited":0,"#
            + r#""out_of_window":0,"errors":{},"not_sent":{},"rtt_ms":null,"#
            + r#""timer_error_ms":null,"duration_s":0.0,"jitter_ms":null,"flows":[{"flow":0,"sent":0,"#
            + r#""answered":0,"lost":0,"loss":null,"p50_ms":null,"p99_ms":null}]}"#;
        assert_eq!(line, expected);
    }
}
