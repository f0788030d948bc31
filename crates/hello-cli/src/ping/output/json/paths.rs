//! Lines about paths.

use std::net::IpAddr;
use std::time::Duration;

use hello_measure::{Cause, Hop, HopRouter, Path, PathEnd, Suspect, millis};
use serde::Serialize;

use crate::output::json::{to_line_at, to_timed_line};
use crate::output::wall_clock::WallClock;
use crate::ping::Target;
use crate::ping::traced::Traced;

/// Returns the line of a path that was traced `at_s` seconds after the start.
pub fn path(target: &Target, path: &Path, at: Duration, time: WallClock) -> String {
    let (end, report) = match path.end {
        PathEnd::Reached { greeted: true } => ("greeted", None),
        PathEnd::Reached { greeted: false } => ("refused", None),
        PathEnd::Unreachable(cause) => ("unreachable", Some(cause)),
        PathEnd::Silent => ("silent", None),
        PathEnd::MaxHops => ("max-hops", None),
        PathEnd::NotSent => ("not-sent", None),
        _ => ("unfinished", None),
    };
    let line = Line::Path {
        target: &target.name,
        flow: path.flow,
        port: target.ports.get(path.flow).copied(),
        at_s: at.as_secs_f64(),
        end,
        report,
        hops: path.hops.iter().map(HopLine::from).collect(),
    };
    to_line_at(time, &line)
}

/// Returns the line that compares the paths of a target.
pub fn comparison(traced: &Traced) -> String {
    let routers = traced.suspects();
    to_timed_line(&Line::Suspects {
        target: &traced.target.name,
        losing: &traced.losing,
        clean: &traced.clean,
        routers: routers.iter().map(SuspectLine::from).collect(),
    })
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Path {
        target: &'a str,
        flow: usize,
        port: Option<u16>,
        at_s: f64,
        end: &'static str,
        report: Option<Cause>,
        hops: Vec<HopLine<'a>>,
    },
    Suspects {
        target: &'a str,
        losing: &'a [usize],
        clean: &'a [usize],
        routers: Vec<SuspectLine>,
    },
}

#[derive(Serialize)]
struct HopLine<'a> {
    ttl: u8,
    routers: Vec<RouterLine<'a>>,
    unanswered: u16,
}

impl<'a> From<&'a Hop> for HopLine<'a> {
    fn from(hop: &'a Hop) -> Self {
        let routers = hop.routers.iter().map(RouterLine::from).collect();
        Self { ttl: hop.ttl, routers, unanswered: hop.unanswered }
    }
}

#[derive(Serialize)]
struct RouterLine<'a> {
    address: &'a IpAddr,
    rtt_ms: Vec<f64>,
    mtu: Option<u32>,
}

impl<'a> From<&'a HopRouter> for RouterLine<'a> {
    fn from(router: &'a HopRouter) -> Self {
        let rtt_ms = router.rtts.iter().copied().map(millis).collect();
        Self { address: &router.address, rtt_ms, mtu: router.mtu }
    }
}

#[derive(Serialize)]
struct SuspectLine {
    address: IpAddr,
    ttl: u8,
    #[serde(rename = "certain")]
    is_certain: bool,
}

impl From<&Suspect> for SuspectLine {
    fn from(&Suspect { address, ttl, is_certain }: &Suspect) -> Self {
        Self { address, ttl, is_certain }
    }
}

#[cfg(test)]
mod tests {
    use hello_measure::CauseKind;

    use super::*;
    use crate::output::fixtures::untimed;
    use crate::ping::fixtures::{self, GREETED, started_at, target, traced};

    fn line(flow: usize, routers: &[u8], end: PathEnd) -> String {
        let traced = fixtures::path(flow, routers, end);
        path(&target(), &traced, Duration::from_millis(1500), started_at())
    }

    #[test]
    fn path_has_every_hop_with_its_routers() {
        let expected =
            r#"{"event":"path","target":"192.0.2.1:9999","flow":2,"port":40002,"at_s":1.5,"#
                .to_owned()
                + r#""end":"greeted","report":null,"hops":["#
                + r#"{"ttl":1,"routers":[{"address":"10.80.1.2","rtt_ms":[1.0],"mtu":null}],"unanswered":0},"#
                + r#"{"ttl":2,"routers":[],"unanswered":3},"#
                + r#"{"ttl":3,"routers":[{"address":"192.0.2.1","rtt_ms":[3.0],"mtu":null}],"unanswered":0}],"#
                + r#""time":"2024-11-26T19:40:00.000000Z"}"#;
        assert_eq!(line(2, &[1, 0], GREETED), expected);
    }

    #[test]
    fn each_end_has_a_name_and_a_report_has_its_cause() {
        let kind = CauseKind::TooBig { mtu: Some(1400) };
        let cause = Cause { kind, reporter: Some([10, 80, 1, 2].into()) };
        let reported = r#"{"cause":"too-big","reporter":"10.80.1.2","mtu":1400}"#;
        for (end, name, report) in [
            (PathEnd::Reached { greeted: false }, "refused", "null"),
            (PathEnd::Unreachable(cause), "unreachable", reported),
            (
                PathEnd::Unreachable(Cause { kind: CauseKind::Prohibited, reporter: None }),
                "unreachable",
                r#"{"cause":"prohibited","reporter":null,"mtu":null}"#,
            ),
            (PathEnd::Silent, "silent", "null"),
            (PathEnd::MaxHops, "max-hops", "null"),
            (PathEnd::NotSent, "not-sent", "null"),
            (PathEnd::Unfinished, "unfinished", "null"),
        ] {
            let line = line(0, &[1], end);
            assert!(line.contains(&format!(r#""end":"{name}","report":{report},"#)), "{line}");
        }
    }

    #[test]
    fn comparison_has_the_routers_that_only_losing_flows_share() {
        let paths = vec![fixtures::path(0, &[1, 2], GREETED), fixtures::path(1, &[1, 3], GREETED)];
        let expected = r#"{"event":"suspects","target":"192.0.2.1:9999","losing":[1],"clean":[0],"#
            .to_owned()
            + r#""routers":[{"address":"10.80.3.2","ttl":2,"certain":true}]}"#;
        assert_eq!(untimed(&comparison(&traced(paths, &[1]))), expected);
    }
}
