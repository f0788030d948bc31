//! JSON output of `hello-ping --mtu`.

use std::net::IpAddr;

use hello_measure::{Cause, MtuLimit, millis};
use hello_net::{MtuEvent, MtuEventKind, ZonedAddr};
use serde::Serialize;

use crate::args::first_reply::Tried;
use crate::args::peer::PeerArg;
use crate::output::json::{Origin, as_text, to_timed_line};
use crate::ping::path_mtu::{MtuTarget, PathMtu};

/// Returns the first line, about the search and its target.
pub fn start(origin: &Origin, target: &MtuTarget, source: Option<&str>) -> String {
    let MtuTarget { name, address, tried, plan, peer, timeout } = target;
    to_timed_line(&Line::Start {
        origin,
        target: name,
        address: *address,
        tried,
        min_bytes: plan.min,
        max_bytes: plan.max,
        link_mtu: plan.link_mtu,
        tries: plan.tries.get(),
        timeout_s: timeout.as_secs_f64(),
        source,
        peer: (*peer).into(),
    })
}

/// Returns the line of an event. A sent probe has none: what becomes of it has one.
pub fn event(target: &MtuTarget, event: &MtuEvent) -> Option<String> {
    let mut probe = Probe {
        target: &target.name,
        at_s: event.at.as_secs_f64(),
        bytes: event.size,
        name_bytes: target.plan.name_len(event.size),
        result: "answered",
        rtt_ms: None,
        cut_to_bytes: None,
        reporter: None,
        mtu: None,
    };
    match event.kind {
        MtuEventKind::Answered { rtt } => probe.rtt_ms = Some(millis(rtt)),
        MtuEventKind::Cut { name_len, rtt } => {
            probe.rtt_ms = Some(millis(rtt));
            (probe.result, probe.cut_to_bytes) = ("cut", Some(name_len));
        }
        MtuEventKind::TooLongForLink => probe.result = "too-long",
        MtuEventKind::NotSent(error) => probe.result = error.class.label(),
        MtuEventKind::NetworkError(cause) => {
            (probe.result, probe.reporter) = (cause.kind.label(), cause.reporter);
            probe.mtu = cause.mtu();
        }
        MtuEventKind::Lost { cause: Cause::SILENT } => probe.result = "lost",
        MtuEventKind::Lost { cause } => {
            (probe.result, probe.reporter) = (cause.kind.label(), cause.reporter);
        }
        _ => return None,
    }
    Some(to_timed_line(&Line::Probe(probe)))
}

/// Returns the result of a search.
pub fn result(found: &PathMtu) -> String {
    let PathMtu { target, outcome, .. } = found;
    let (cause, reporter) = match outcome.limit {
        MtuLimit::NoReply { cause } => (Some(cause.kind.label()), cause.reporter),
        MtuLimit::Router { reporter } => (None, reporter),
        _ => (None, None),
    };
    to_timed_line(&Line::Result {
        target: &target.name,
        address: target.address,
        passed_bytes: outcome.passed,
        passed_name_bytes: outcome.passed.map(|passed| target.plan.name_len(passed)),
        reply_bytes: found.reply(),
        limit: outcome.limit.label(),
        cause,
        reporter,
        reported_mtu: outcome.reported.map(|reported| reported.mtu),
        reported_by: outcome.reported.and_then(|reported| reported.reporter),
        cut_to_bytes: outcome.cut_to,
        suspected_name_limit: outcome.suspected_name_limit(&target.plan),
        passing_probes: outcome.passing_probes,
        passing_lost: outcome.passing_lost,
        sent: found.sent,
        lost: found.lost,
        duration_s: found.elapsed.as_secs_f64(),
    })
}

#[derive(Serialize)]
#[serde(tag = "event")]
enum Line<'a> {
    #[serde(rename = "mtu-start")]
    Start {
        #[serde(flatten)]
        origin: &'a Origin,
        target: &'a str,
        #[serde(serialize_with = "as_text")]
        address: ZonedAddr,
        tried: &'a [Tried],
        min_bytes: u32,
        max_bytes: u32,
        link_mtu: Option<u32>,
        tries: u32,
        timeout_s: f64,
        source: Option<&'a str>,
        peer: PeerArg,
    },
    #[serde(rename = "mtu-probe")]
    Probe(Probe<'a>),
    #[serde(rename = "mtu-result")]
    Result {
        target: &'a str,
        #[serde(serialize_with = "as_text")]
        address: ZonedAddr,
        passed_bytes: Option<u32>,
        passed_name_bytes: Option<u32>,
        reply_bytes: Option<u32>,
        limit: &'static str,
        cause: Option<&'static str>,
        reporter: Option<IpAddr>,
        reported_mtu: Option<u32>,
        reported_by: Option<IpAddr>,
        cut_to_bytes: Option<u32>,
        suspected_name_limit: Option<u32>,
        passing_probes: u64,
        passing_lost: u64,
        sent: u64,
        lost: u64,
        duration_s: f64,
    },
}

/// What became of a probe.
#[derive(Serialize)]
struct Probe<'a> {
    target: &'a str,
    at_s: f64,
    bytes: u32,
    name_bytes: u32,
    result: &'static str,
    rtt_ms: Option<f64>,
    cut_to_bytes: Option<u32>,
    reporter: Option<IpAddr>,
    mtu: Option<u32>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hello_measure::CauseKind;

    use super::*;
    use crate::output::fixtures::untimed;
    use crate::ping::fixtures::{mtu_found, mtu_target};

    #[test]
    fn each_event_has_its_result() {
        let reporter = Some([10, 80, 1, 2].into());
        let rtt = Duration::from_micros(412);
        let line =
            |kind| event(&mtu_target(), &MtuEvent::new(Duration::from_millis(1500), 1500, kind));
        let start = r#"{"event":"mtu-probe","target":"192.0.2.1:9999","at_s":1.5,"bytes":1500,"name_bytes":1472,"#;
        let too_big = Cause { kind: CauseKind::TooBig { mtu: Some(1400) }, reporter };
        for (kind, expected) in [
            (
                MtuEventKind::Answered { rtt },
                r#""result":"answered","rtt_ms":0.412,"cut_to_bytes":null,"reporter":null,"mtu":null}"#,
            ),
            (
                MtuEventKind::Cut { name_len: 1024, rtt },
                r#""result":"cut","rtt_ms":0.412,"cut_to_bytes":1024,"reporter":null,"mtu":null}"#,
            ),
            (
                MtuEventKind::NetworkError(too_big),
                r#""result":"too-big","rtt_ms":null,"cut_to_bytes":null,"reporter":"10.80.1.2","mtu":1400}"#,
            ),
            (
                MtuEventKind::TooLongForLink,
                r#""result":"too-long","rtt_ms":null,"cut_to_bytes":null,"reporter":null,"mtu":null}"#,
            ),
            (
                MtuEventKind::Lost { cause: Cause::SILENT },
                r#""result":"lost","rtt_ms":null,"cut_to_bytes":null,"reporter":null,"mtu":null}"#,
            ),
            (
                MtuEventKind::Lost { cause: Cause { kind: CauseKind::Refused, reporter } },
                r#""result":"refused","rtt_ms":null,"cut_to_bytes":null,"reporter":"10.80.1.2","mtu":null}"#,
            ),
        ] {
            assert_eq!(untimed(&line(kind).expect("a line")), format!("{start}{expected}"));
        }
        assert_eq!(line(MtuEventKind::Sent), None);
    }

    #[test]
    fn result_has_both_directions_and_its_limit() {
        let cause = Cause { kind: CauseKind::Silent, reporter: None };
        let mut found = mtu_found(Some(1052), MtuLimit::NoReply { cause });
        (found.outcome.passing_probes, found.outcome.passing_lost) = (5, 2);
        let line = result(&found);
        let expected =
            r#"{"event":"mtu-result","target":"192.0.2.1:9999","address":"192.0.2.1:9999","#
                .to_owned()
                + r#""passed_bytes":1052,"passed_name_bytes":1024,"reply_bytes":1060,"#
                + r#""limit":"no-reply","cause":"silent","reporter":null,"reported_mtu":null,"#
                + r#""reported_by":null,"cut_to_bytes":null,"suspected_name_limit":1024,"#
                + r#""passing_probes":5,"passing_lost":2,"sent":9,"#
                + r#""lost":3,"duration_s":1.5}"#;
        assert_eq!(untimed(&line), expected);
    }
}
