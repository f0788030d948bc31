//! The output of `hello-ping`, read by the parsers of others.

use std::fs;
use std::io::Write;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use anstream::adapter::strip_str;
use hello_cli::args::peer::PeerArg;
use hello_cli::output::Format;
use hello_cli::output::export::{Export, NO_TOTALS};
use hello_cli::output::json::Origin;
use hello_cli::output::layout::Layout;
use hello_cli::output::wall_clock::WallClock;
use hello_cli::ping::Target;
use hello_cli::ping::output::json::paths;
use hello_cli::ping::plan::Plan;
use hello_cli::ping::report::{Report, Style};
use hello_cli::ping::summary::Summary;
use hello_cli::ping::thresholds::Thresholds;
use hello_cli::ping::totals::Totals;
use hello_cli::ping::traced::Traced;
use hello_measure::{
    Cause, CauseKind, Clock, Clocks, Hop, HopRouter, Path as TracedPath, PathEnd, ReplyKind,
};
use hello_net::{ErrorClass, NotSent, PacketOptions, ProbeEvent, ProbeEventKind, ZonedAddr};
use regex::Regex;
use serde_json::Value;

use crate::support::{have, json};

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/hello-ping.schema.json");

/// Five probes with every possible event: 3 answered, 1 lost, 1 in flight. The route changes once.
fn eventful() -> Vec<ProbeEventKind<'static>> {
    let datagram = b"Hello, vu8AAAABvu8AAAAB!";
    let clocks = Clocks { sent: Clock::Process, received: Clock::Kernel };
    let received = |reply| {
        let ttl = if matches!(reply, ReplyKind::Answered { seq: 0, .. }) { 64 } else { 57 };
        ProbeEventKind::Received { reply, datagram, ttl: Some(ttl), tos: Some(0x8a), clocks }
    };
    let answered = |seq, micros| {
        let (rtt, reordered) = (Duration::from_micros(micros), seq == 1);
        received(ReplyKind::Answered { seq, rtt, reordered })
    };
    let mut events = Vec::from(
        [0, 1, 2, 3, 4].map(|seq| ProbeEventKind::Sent { seq, late: Duration::from_micros(50) }),
    );
    events.extend([
        answered(0, 41),
        answered(2, 61),
        answered(1, 54),
        ProbeEventKind::Lost { seq: 3, sent: Duration::from_secs(3), cause: Cause::SILENT },
        received(ReplyKind::Late { seq: 3, rtt: Duration::from_millis(1500) }),
        received(ReplyKind::Duplicate { seq: 0 }),
        received(ReplyKind::OutOfWindow { seq: 0 }),
        received(ReplyKind::Unsolicited),
        ProbeEventKind::Received {
            reply: ReplyKind::Corrupt,
            datagram: b"\xff",
            ttl: None,
            tos: None,
            clocks,
        },
        ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into()),
        ProbeEventKind::NotSent(NotSent::Late),
    ]);
    events
}

const SECOND: Duration = Duration::from_secs(1);

const TEXT: Style =
    Style { format: Format::Text, quiet: false, timestamps: false, layout: Layout::PLAIN };

fn target(name: &str, address: &str) -> Target {
    let address = ZonedAddr(address.parse().expect("an address"));
    let (name, started_at) = (name.into(), WallClock(UNIX_EPOCH));
    let (tried, ports) = (vec![], vec![]);
    let (local, run_id) = (vec![([192, 0, 2, 7], 50_000).into()], 7);
    Target {
        name,
        address,
        tried,
        peer: PeerArg::Hello,
        name_len: 16,
        flows: 1,
        ports,
        local,
        run_id,
        timeout: SECOND,
        started_at,
    }
}

/// Returns the output for some events, without colours.
fn printed(format: Format, events: &[ProbeEventKind<'_>]) -> String {
    let target = target("127.0.0.1:9999", "127.0.0.1:9999");
    printed_for(Style { format, ..TEXT }, target, events)
}

fn printed_for(style: Style, target: Target, events: &[ProbeEventKind<'_>]) -> String {
    let plan = Plan {
        interval: SECOND,
        count: NonZeroU64::new(5),
        duration: None,
        deadline: Some(9 * SECOND),
        timeout: SECOND,
        every: None,
        peer: PeerArg::Hello,
        source: None,
        packet: PacketOptions { ttl: 99.try_into().ok(), ..PacketOptions::default() },
        trace: false,
        trace_on_loss: None,
        thresholds: Thresholds { max_loss: Some(0.5), ..Thresholds::default() },
    };
    let mut totals = Totals::new(style, [target.clone()]);
    let mut report = Report::new(style, [target]);
    let mut lines = totals.headers(&Origin::now("hello-ping"), &plan);
    for (second, kind) in (0..).zip(events) {
        let event = ProbeEvent::new(Duration::from_secs(second), 0, *kind);
        lines.extend(report.event(0, &event));
    }
    let now = Duration::from_millis(4005);
    totals.append(&report.take_parts(now));
    if style.format == Format::Json {
        lines.extend(totals.interval(now));
    }
    lines.extend(totals.finish(&plan, now));
    strip_str(&(lines.join("\n") + "\n")).to_string()
}

/// Replies and a duplicate, with a probe in flight and one not sent. Like ping, jc has no columns for more.
fn plain() -> Vec<ProbeEventKind<'static>> {
    let mut events = eventful();
    events.retain(|event| match event {
        ProbeEventKind::Received { reply, .. } => {
            matches!(reply, ReplyKind::Answered { .. } | ReplyKind::Duplicate { .. })
        }
        ProbeEventKind::Sent { .. } | ProbeEventKind::Lost { .. } | ProbeEventKind::NotSent(_) => {
            true
        }
        _ => false,
    });
    events
}

#[test]
fn regexes_for_pings_summary_match_hello_pings() {
    let text = printed(Format::Text, &eventful());
    // What ping does not have stands before its lines.
    let details = "\n  ttl 57 (2), 64 (1): 1 route change, last at 6.0 s\n  marks of replies: af41/ect0 (3)\n";
    assert!(text.contains(details), "{text}");
    for (who, expression, expected) in [
        // pingparsing 1.4, LinuxPingParser; its grammar is equivalent to these.
        ("pingparsing", r"--- (.*) ping statistics ---", &["127.0.0.1:9999"][..]),
        ("pingparsing", r"(?m)^(\d+)\s*packets transmitted,\s*(\d+)\s*received,", &["5", "3"]),
        ("pingparsing", r"\+(\d+)\s*duplicates,", &["1"]),
        (
            "pingparsing",
            r"(?m)^rtt min/avg/max/mdev =\s*([0-9.]+)/([0-9.]+)/([0-9.]+)/([0-9.]+)\s*ms",
            &["0.041", "0.052", "0.061", "0.008"],
        ),
        (
            "nodewatcher",
            r"rtt min/avg/max/mdev = (.+?)/(.+?)/(.+?)/(.+?) ms",
            &["0.041", "0.052", "0.061", "0.008"],
        ),
        ("many a script", r"([\d.]+)% packet loss", &["25"]),
        ("many a script", r"time=([\d.]+) ms", &["0.041"]),
    ] {
        let expression = Regex::new(expression).expect("an expression");
        let found = expression.captures(&text).unwrap_or_else(|| panic!("{who}: {text}"));
        let groups = Vec::from_iter(found.iter().skip(1).flatten().map(|group| group.as_str()));
        assert_eq!(groups, expected, "{who}");
    }
    // Some parsers read the round-trip times from the last line, whichever it is.
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("rtt min/avg/max/mdev = "), "{text}");
}

#[test]
fn jc_parses_the_summary_as_pings() {
    if !have("jc", "--version", "jc_parses_the_summary_as_pings") {
        return;
    }
    let found = read_by_jc(&printed(Format::Text, &plain()));
    for (field, expected) in [
        ("destination", "127.0.0.1:9999".into()),
        ("destination_ip", "127.0.0.1".into()),
        ("data_bytes", 16.into()),
        ("packets_transmitted", 5.into()),
        ("packets_received", 3.into()),
        ("duplicates", 1.into()),
        ("packet_loss_percent", 25.0.into()),
        ("time_ms", 4005.0.into()),
        ("round_trip_ms_min", 0.041.into()),
        ("round_trip_ms_avg", 0.052.into()),
        ("round_trip_ms_max", 0.061.into()),
        ("round_trip_ms_stddev", 0.008.into()),
    ] {
        let expected: Value = expected;
        assert_eq!(found[field], expected, "{field}: {found}");
    }
}

#[test]
fn jc_parses_every_line_about_a_probe_as_pings() {
    if !have("jc", "--version", "jc_parses_every_line_about_a_probe_as_pings") {
        return;
    }
    for (name, address, ip) in [
        ("127.0.0.1:9999", "127.0.0.1:9999", "127.0.0.1"),
        ("localhost:9999", "127.0.0.1:9999", "127.0.0.1"),
        ("[::1]:9999", "[::1]:9999", "::1"),
        ("localhost:9999", "[::1]:9999", "::1"),
    ] {
        for timestamps in [false, true] {
            let style = Style { timestamps, ..TEXT };
            let text = printed_for(style, target(name, address), &eventful());
            let found = read_by_jc(&text);
            assert_eq!(found["destination_ip"], ip, "{found}");
            assert_eq!((&found["data_bytes"], &found["packets_received"]), (&16.into(), &3.into()));
            let lines = found["responses"].as_array().expect("lines");
            let field = |name: &str| Vec::from_iter(lines.iter().map(|line| line[name].clone()));
            // Replies, a loss, a late reply, a duplicate and one out of the window. Corrupt and
            // unsolicited datagrams are no replies.
            assert_eq!(field("icmp_seq"), [0, 2, 1, 3, 3, 0, 0], "{text}{found}");
            let [reply, timeout] = ["reply", "timeout"].map(Value::from);
            let mut types = vec![reply; 7];
            types[3] = timeout;
            assert_eq!(field("type"), types, "{found}");
            let times = [0.041, 0.061, 0.054].map(Value::from);
            assert_eq!(field("time_ms")[..3], times, "{found}");
            assert_eq!(field("time_ms")[5], Value::Null, "{found}");
            let duplicate = Vec::from_iter(lines.iter().map(|line| line["duplicate"] == true));
            assert_eq!(duplicate, [false, false, false, false, false, true, false], "{found}");
            for line in lines {
                assert_eq!(line["timestamp"].is_number(), timestamps, "{found}");
                let from = &line["response_ip"];
                assert!(*from == address || line["type"] == "timeout", "{found}");
                assert!(line["bytes"] == 24 || line["type"] == "timeout", "{found}");
            }
        }
    }
}

/// Returns what jc makes of the output of ping.
fn read_by_jc(text: &str) -> Value {
    let mut command = Command::new("jc");
    command.arg("--ping").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut jc = command.spawn().expect("runs");
    jc.stdin.take().expect("piped").write_all(text.as_bytes()).expect("read");
    let output = jc.wait_with_output().expect("ends");
    json(&String::from_utf8_lossy(&output.stdout))
}

/// Returns whether all instances conform to hello-ping's schema.
pub(crate) fn are_valid(test: &str, instances: impl IntoIterator<Item = String>) -> bool {
    conform_to(Path::new(SCHEMA), test, instances)
}

/// Returns whether all instances conform to a schema.
pub(crate) fn conform_to(
    schema: &Path,
    test: &str,
    instances: impl IntoIterator<Item = String>,
) -> bool {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    fs::create_dir_all(&directory).expect("a directory");
    let mut command = Command::new("jsonschema");
    for (number, instance) in instances.into_iter().enumerate() {
        let file = directory.join(format!("{number}.json"));
        fs::write(&file, instance).expect("written");
        command.arg("-i").arg(file);
    }
    let output = command.arg(schema).output().expect("runs");
    output.status.success()
}

/// Returns the lines of a trace: paths with each kind of hop and end, and their comparison.
fn traced_lines() -> Vec<String> {
    let router = HopRouter {
        rtts: vec![SECOND / 1000, SECOND / 500],
        mtu: Some(1400),
        ..HopRouter::new([10, 80, 1, 2].into())
    };
    let hops = vec![
        Hop { ttl: 1, routers: vec![router, HopRouter::new([10, 80, 2, 2].into())], unanswered: 0 },
        Hop { ttl: 2, routers: vec![], unanswered: 3 },
        Hop { ttl: 3, routers: vec![HopRouter::new([127, 0, 0, 1].into())], unanswered: 0 },
    ];
    let target = Target { flows: 4, ports: vec![40_000, 40_001], ..target("a:9", "127.0.0.1:9") };
    let report = |kind, reporter| PathEnd::Unreachable(Cause { kind, reporter });
    let ends = [
        PathEnd::Reached { greeted: true },
        PathEnd::Reached { greeted: false },
        report(CauseKind::TooBig { mtu: Some(1400) }, Some([10, 80, 1, 2].into())),
        report(CauseKind::Prohibited, None),
        PathEnd::Silent,
        PathEnd::MaxHops,
        PathEnd::NotSent,
        PathEnd::Unfinished,
    ];
    let found = (0..).zip(ends).map(|(flow, end)| TracedPath { flow, hops: hops.clone(), end });
    let mut found = Vec::from_iter(found);
    // Another router for the others, so that there is a suspect.
    found[0].hops[0].routers = vec![HopRouter::new([10, 80, 3, 2].into())];
    let line = |path| paths::path(&target, path, SECOND, WallClock(UNIX_EPOCH));
    let mut lines = Vec::from_iter(found.iter().map(line));
    let traced = Traced::alone(target.clone(), found);
    assert!(!traced.suspects().is_empty());
    lines.push(paths::comparison(&traced));
    lines
}

#[test]
fn every_json_line_conforms_to_the_schema_and_a_quoted_number_does_not() {
    let test = "every_json_line_conforms_to_the_schema_and_a_quoted_number_does_not";
    if !have("jsonschema", "--version", test) {
        return;
    }
    let text = printed(Format::Json, &eventful());
    let lines = Vec::from_iter(text.lines().map(str::to_owned));
    let mut events = Vec::from_iter(lines.iter().map(|line| json(line)["event"].clone()));
    events.sort_by_key(Value::to_string);
    events.dedup();
    assert_eq!(events.len(), 12, "{events:?}");
    let nothing = printed(Format::Json, &[]);
    let lines = Vec::from_iter(lines.into_iter().chain(nothing.lines().map(str::to_owned)));
    assert!(are_valid(test, lines.clone()), "{lines:?}");
    assert!(are_valid(test, [Export::Json.text::<Summary>(&[], NO_TOTALS, &[])]));

    let paths = traced_lines();
    assert!(are_valid(test, paths.clone()), "{paths:?}");
    let unknown_end = paths[0].replace("\"greeted\"", "\"gone\"");
    assert!(!are_valid(test, [unknown_end]));

    let reply = lines.iter().find(|line| line.contains("\"reply\"")).expect("a reply");
    let quoted = reply.replace("0.041", "\"0.041\"");
    assert_ne!(&quoted, reply);
    assert!(!are_valid(test, [quoted]));
    let unknown_field = reply.replace("{", "{\"more\":1,");
    assert!(are_valid(test, [unknown_field]));
}
