use std::net::SocketAddr;
use std::time::Duration;

use hello_measure::CauseKind;
use hello_net::UnansweredCause;

use super::*;
use crate::output::fixtures::{Broken, untimed};
use crate::output::json::SHOWN;

/// Returns what is printed to standard output and to standard error, without the time of day.
fn printed(
    format: Format,
    print: impl FnOnce(&mut Report<&mut Vec<u8>, &mut Vec<u8>>),
) -> [String; 2] {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    print(&mut Report::new(format, &mut out, &mut err));
    let [out, err] = [out, err].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    match format {
        Format::Text => [out, err],
        Format::Json => [out.lines().map(|line| untimed(line) + "\n").collect(), err],
    }
}

fn server(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

fn unanswered(servers: &[(u16, Option<ErrorClass>)]) -> Result<Greeting, Unanswered> {
    let no_reply = |&(port, problem): &(u16, Option<ErrorClass>)| NoReply {
        server: server(port),
        problem: problem.map(SocketError::from),
        cause: None,
    };
    let servers = servers.iter().map(no_reply).collect();
    let (cause, elapsed) = (UnansweredCause::AttemptsExhausted, Duration::from_millis(7012));
    Err(Unanswered { cause, attempts: 3, elapsed, servers })
}

fn greeting(rtt: Option<Duration>) -> Result<Greeting, Unanswered> {
    let elapsed = Duration::from_nanos(1_234_567);
    Ok(Greeting { server: server(9999), attempts: 1, rtt, elapsed })
}

const TRACY: &[u8] = b"Tracy";

#[test]
fn json_starts_with_the_origin_and_the_plan() {
    let (origin, servers) = (Origin::now("hello-client"), [server(1), server(2)]);
    let start = |report: &mut Report<&mut Vec<u8>, &mut Vec<u8>>| {
        report.start(&origin, &servers, Duration::from_millis(500), 3).expect("printed");
    };
    assert_eq!(printed(Format::Text, start), ["", ""]);
    let [out, _] = printed(Format::Json, start);
    let line = r#"{"event":"start","schema_version":1,"tool":"hello-client","version":""#;
    assert!(out.starts_with(line), "{out}");
    let plan = r#","servers":["192.0.2.1:1","192.0.2.1:2"],"timeout_s":0.5,"attempts":3}"#;
    assert!(out.ends_with(&format!("{plan}\n")), "{out}");
}

#[test]
fn greeting_is_printed_as_in_the_tutorial() {
    for (name, line) in [(TRACY, "Hello, Tracy!\n"), (b"\x1b[2J\xff", "Hello, \\u{1b}[2J\\xff!\n")]
    {
        let request = Request::new(name).expect("short");
        let [out, err] = printed(Format::Text, |report| {
            report.result(request, &greeting(None)).expect("printed");
        });
        assert_eq!((&*out, &*err), (line, ""));
    }
}

#[test]
fn missing_greeting_is_explained_on_standard_error() {
    let request = Request::new(TRACY).expect("short");
    let refused = Some(ErrorClass::ConnectionRefused);
    for (servers, why) in [
        (&[(1, None)][..], "no reply from 192.0.2.1:1"),
        (&[(1, refused)], "192.0.2.1:1: refused (no server on that port, or a firewall)"),
        (&[(1, Some(ErrorClass::Unreachable))], "192.0.2.1:1: unreachable"),
        (
            &[(1, None), (2, refused)],
            "no reply from 192.0.2.1:1; 192.0.2.1:2: refused (no server on that port, or a firewall)",
        ),
    ] {
        let [out, err] = printed(Format::Text, |report| {
            report.result(request, &unanswered(servers)).expect("printed");
        });
        let line = format!("hello-client: Tracy: {why} (3 attempts in 7.0 s)\n");
        assert_eq!((out, err), (String::new(), line));
    }
}

#[test]
fn server_that_reports_an_error_itself_is_named_once_in_either_notation() {
    for (server, reporter, shown) in [
        ("192.0.2.1:9", "192.0.2.1", ""),
        ("[::ffff:192.0.2.1]:9", "192.0.2.1", ""),
        ("[::ffff:192.0.2.1]:9", "192.0.2.7", ", reported by 192.0.2.7"),
    ] {
        let reporter = Some(reporter.parse().expect("an address"));
        let cause = Cause { kind: CauseKind::Refused, reporter };
        let server = ZonedAddr(server.parse().expect("an address"));
        assert_eq!(reported_by(server, Some(cause)), shown);
    }
}

#[test]
fn error_before_a_wait_is_reported_once() {
    let refused = ErrorClass::ConnectionRefused.into();
    let unreachable = ErrorClass::Unreachable.into();
    let failed =
        |port, error, waits| Progress::Failed { server: server(port), error, cause: None, waits };
    let play = |report: &mut Report<&mut Vec<u8>, &mut Vec<u8>>| {
        for progress in [
            failed(1, refused, false),
            failed(2, refused, true),
            failed(1, unreachable, true),
            failed(2, refused, true),
        ] {
            report.progress(progress).expect("printed");
        }
    };
    let [_, err] = printed(Format::Text, play);
    let expected = [
        "hello-client: 192.0.2.1:2: refused (no server on that port, or a firewall); still waiting",
        "hello-client: 192.0.2.1:1: unreachable; still waiting",
    ];
    assert_eq!(Vec::from_iter(err.lines()), expected);
    let [out, _] = printed(Format::Json, play);
    let line = |port, reason| {
        format!(r#"{{"event":"failed","server":"192.0.2.1:{port}","reason":"{reason}"}}"#)
    };
    let expected = [line(1, "refused"), line(2, "refused"), line(1, "unreachable")];
    assert_eq!(Vec::from_iter(out.lines()), expected);
}

#[test]
fn broken_standard_error_does_not_lose_a_greeting() {
    let request = Request::new(TRACY).expect("short");
    let mut out = Vec::new();
    let mut report = Report::new(Format::Text, &mut out, Broken(io::ErrorKind::StorageFull));
    report.result(request, &unanswered(&[])).expect("nothing for the output");
    report.result(request, &greeting(None)).expect("printed");
    assert_eq!(out, b"Hello, Tracy!\n");

    let error = Report::new(Format::Text, Broken(io::ErrorKind::StorageFull), &mut out)
        .result(request, &greeting(None));
    assert!(matches!(error, Err(OutputError(cause)) if cause.kind() == io::ErrorKind::StorageFull));
}

#[test]
fn first_skipped_datagram_is_shown_and_all_are_counted() {
    let request = Request::new(TRACY).expect("short");
    let skipped = |datagram| Progress::Skipped { server: server(1), datagram, error: None };
    let play = |report: &mut Report<&mut Vec<u8>, &mut Vec<u8>>| {
        for datagram in [&b"Hello, \x07!"[..], b"Hello, Mallory!"] {
            report.progress(skipped(datagram)).expect("printed");
        }
        let rtt = Some(Duration::from_nanos(123_456));
        report.result(request, &greeting(rtt)).expect("printed");
        report.result(request, &greeting(None)).expect("printed");
    };
    let [out, err] = printed(Format::Text, play);
    assert_eq!(out, "Hello, Tracy!\nHello, Tracy!\n");
    let line = "hello-client: 192.0.2.1:1: skipped \"Hello, \\u{7}!\": reply to another name\n";
    assert_eq!(err, line);

    let [out, err] = printed(Format::Json, play);
    let lines = [
        r#"{"event":"skipped","server":"192.0.2.1:1","datagram":"Hello, \u0007!","why":"reply to another name"}"#,
        r#"{"event":"greeting","server":"192.0.2.1:9999","name":"Tracy","attempts":1,"rtt_ms":0.123,"elapsed_ms":1.234,"skipped":2}"#,
        r#"{"event":"greeting","server":"192.0.2.1:9999","name":"Tracy","attempts":1,"rtt_ms":null,"elapsed_ms":1.234,"skipped":0}"#,
    ];
    assert_eq!((Vec::from_iter(out.lines()), &*err), (lines.to_vec(), ""));
}

#[test]
fn interruption_is_reported_with_what_was_left_out() {
    for (counts, rest, text, json) in [
        (
            Counts { greeted: 1, not_greeted: 0 },
            Rest { names: 2, input: false },
            "1 greeted, 2 not sent",
            r#""greeted":1,"not_greeted":0,"not_sent":2,"input_left":false"#,
        ),
        (
            Counts { greeted: 0, not_greeted: 3 },
            Rest { names: 0, input: true },
            "0 greeted, 3 not greeted, 0 not sent; standard input was not read to its end",
            r#""greeted":0,"not_greeted":3,"not_sent":0,"input_left":true"#,
        ),
    ] {
        let print = |report: &mut Report<&mut Vec<u8>, &mut Vec<u8>>| {
            report.interrupted(counts, rest).expect("printed");
        };
        let expected = format!("hello-client: interrupted: {text}\n");
        assert_eq!(printed(Format::Text, print), [String::new(), expected]);
        let expected = format!("{{\"event\":\"interrupted\",{json}}}\n");
        assert_eq!(printed(Format::Json, print), [expected, String::new()]);
    }
}

#[test]
fn long_skipped_datagram_is_truncated_in_json() {
    let datagram = &[b'x'; 65_507][..];
    let skipped = Progress::Skipped { server: server(1), datagram, error: None };
    let [out, _] = printed(Format::Json, |report| {
        report.progress(skipped).expect("printed");
    });
    let shown = "x".repeat(SHOWN);
    let truncated =
        format!(r#""datagram":"{shown}","truncated":true,"why":"reply to another name"}}"#);
    assert!(out.ends_with(&(truncated + "\n")), "{out}");
}

#[test]
fn skipped_datagrams_are_counted_without_a_greeting() {
    let request = Request::new(TRACY).expect("short");
    let progress = Progress::Skipped { server: server(1), datagram: b"Tracy", error: None };
    let [_, err] = printed(Format::Text, |report| {
        report.progress(progress).expect("printed");
        report.result(request, &unanswered(&[(1, None)])).expect("printed");
    });
    assert!(err.ends_with("(3 attempts in 7.0 s, 1 datagram skipped)\n"), "{err}");
}

#[test]
fn unanswered_name_has_a_json_line_with_a_reason_per_server() {
    let request = Request::new(b"\xff").expect("short");
    let [out, err] = printed(Format::Json, |report| {
        let servers = [(1, None), (2, Some(ErrorClass::ConnectionRefused))];
        report.result(request, &unanswered(&servers)).expect("printed");
    });
    let servers = r#"[{"server":"192.0.2.1:1","reason":"no-answer"},{"server":"192.0.2.1:2","reason":"refused"}]"#;
    let line = format!(
        r#"{{"event":"unanswered","name":null,"name_hex":"ff","servers":{servers},"attempts":3,"elapsed_ms":7012.0,"skipped":0}}"#
    );
    assert_eq!((out, err), (line + "\n", String::new()));
}
