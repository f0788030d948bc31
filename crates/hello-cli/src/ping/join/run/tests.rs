use hello_measure::{CaptureSpan, CapturedDatagram, Doubt, Place};

use super::*;
use crate::process::exit::error_chain;

const START: &str = r#"{"event":"start","schema_version":1,"tool":"hello-ping","target":"a:9","address":"[fe80::1%eth0]:9","name_bytes":16,"flows":1,"run_id":7,"local":["[fe80::2%eth0]:5"],"timeout_s":1.0,"peer":"hello"}"#;
const REPLY: &str = r#"{"event":"reply","seq":1,"rtt_ms":20.5,"target":"a:9","flow":0,"at_s":1.25,"time":"2024-11-26T19:40:01.250000Z"}"#;
const LOST: &str = r#"{"event":"lost","seq":2,"sent_s":2.0,"target":"a:9","flow":0,"at_s":3.0,"time":"2024-11-26T19:40:03.000000Z"}"#;
const SUMMARY: &str = r#"{"event":"summary","target":"a:9","sent":2,"lost":1}"#;

fn runs(lines: &[&str]) -> Result<Vec<TargetRun>, RunError> {
    read((lines.join("\n") + "\n").as_bytes())
}

#[test]
fn run_has_its_probes_with_the_times_at_which_they_were_sent() {
    let late = REPLY.replace("reply", "late").replace("\"seq\":1", "\"seq\":2");
    let late = late.replace("1.25", "2.0205");
    let summary = SUMMARY.replace(
        "\"lost\":1",
        r#""lost":1,"lost_causes":[{"cause":"too-big","reporter":"10.80.2.2","mtu":1400,"lost":1}]"#,
    );
    let runs = runs(&[START, REPLY, LOST, &late, "", &summary]).expect("a run");
    let [run] = &runs[..] else { panic!("{runs:?}") };
    assert_eq!((&*run.target, run.sent, run.join.probes()), ("a:9", Some(2), 2));
    assert_eq!(run.lost, Some(1));
    assert_eq!((&*run.causes[0].cause, run.causes[0].lost), ("too-big", 1));
    assert_eq!(run.epoch, Some(Duration::from_secs(1_732_650_000)));
    let joined = run.join.clone().finish(&CaptureSpan::default());
    assert_eq!((joined.summary.answered, joined.summary.late.total()), (1, 1));
    assert_eq!(joined.verdicts[0].sent, Duration::from_secs(2));
}

#[test]
fn lost_probe_with_a_reply_in_the_capture_may_be_late_if_lines_are_suppressed() {
    let name = hello_proto::Token { run_id: 7, seq: 2 };
    let mut bytes = [0; 16];
    name.encode(&mut bytes).expect("room");
    let reply = hello_proto::Request::new(&bytes).expect("short").reply().parts().concat();
    let [source, destination] =
        ["[fe80::1]:9", "[fe80::2]:5"].map(|address| address.parse().expect("an address"));
    let place = |lines: &[&str]| {
        let mut run = runs(lines).expect("a run").remove(0);
        assert!(run.join.handle_datagram(&CapturedDatagram {
            at: Duration::from_secs(1000),
            source,
            destination,
            payload: &reply,
            len: reply.len(),
            is_fragment: false,
            ttl: Some(64),
            is_outgoing: None,
        }));
        run.join.finish(&CaptureSpan::default()).verdicts[0].place
    };
    let suppressed = r#"{"event":"suppressed","lines":1,"time":"2024-11-26T19:40:04.000000Z"}"#;
    assert_eq!(place(&[START, LOST]), Place::Back);
    assert_eq!(place(&[START, LOST, suppressed]), Place::Unknown(Doubt::LinesSuppressed));
    let next = START.replace("a:9", "b:9");
    assert_eq!(place(&[START, LOST, &next]), Place::Back);
}

#[test]
fn every_target_and_every_run_of_a_file_has_its_own_probes() {
    let other = |line: &str| line.replace("a:9", "b:9");
    let runs = runs(&[START, &other(START), REPLY, &other(LOST), LOST, START, REPLY]);
    let probes = Vec::from_iter(runs.expect("runs").iter().map(|run| run.join.probes()));
    assert_eq!(probes, [2, 1, 1]);
}

#[test]
fn routers_that_only_losing_flows_share_are_those_of_their_target() {
    let suspects = |target: &str| {
        r#"{"event":"suspects","target":"TARGET","losing":[0],"clean":[],"routers":[{"address":"10.0.0.1","ttl":2,"certain":false}]}"#
            .replace("TARGET", target)
    };
    let start = START.replace("}", r#","trace_on_loss":0.05}"#);
    let runs = runs(&[&start, REPLY, &suspects("b:9"), &suspects("a:9")]).expect("a run");
    let suspicion = runs[0].suspicion.as_ref().expect("a comparison");
    let expected = Suspect { address: [10, 0, 0, 1].into(), ttl: 2, is_certain: false };
    assert_eq!((&*suspicion.losing, suspicion.routers()), (&[0][..], vec![expected]));
    assert_eq!(suspicion.threshold, 0.05);
}

#[test]
fn last_line_that_was_not_finished_is_left_out() {
    let text = [START, REPLY, &LOST[..40]].join("\n");
    assert_eq!(read(text.as_bytes()).expect("a run")[0].join.probes(), 1);
}

#[test]
fn what_cannot_be_joined_is_a_clear_error() {
    let without = |field: &str| START.replace(field, "\"other\"");
    for (lines, error) in [
        (vec![""], "it has no start of a run: record it with hello-ping --json"),
        (vec![START, SUMMARY], "it has no line about a probe to a:9: record it without --quiet"),
        (vec![REPLY], "it has no start of a run: record it with hello-ping --json"),
        (
            vec!["PING a"],
            "line 1 is not one of hello-ping --json: expected value at line 1 column 1",
        ),
        (vec![&without("\"run_id\"")], "it has no run_id: a newer hello-ping records it"),
        (vec![&without("\"timeout_s\"")], "line 1 has an impossible timeout_s"),
        (
            vec![&START.replace("hello-ping", "hello-\\u001bload")],
            "it is the output of hello-\\u{1b}load, not of hello-ping",
        ),
        (
            vec![&START.replace("version\":1", "version\":2")],
            "it has version 2 of the JSON schema, not 1",
        ),
        (vec![START, &REPLY.replace("20.5", "-1")], "line 2 has an impossible rtt_ms"),
        (vec![START, &REPLY.replace("\"flow\":0", "\"flow\":1")], "line 2 has an impossible flow"),
        (vec![START, &LOST.replace("2.0", "1e300")], "line 2 has an impossible sent_s"),
        (vec![START, &LOST.replace("2024", "x")], "line 2 has an impossible time"),
    ] {
        let found = runs(&lines).expect_err("no run");
        assert_eq!(error_chain(&found), error);
    }
}

#[test]
fn endless_line_is_an_error_and_not_held_in_memory() {
    let error = read(io::BufReader::new(io::repeat(b'x'))).expect_err("endless");
    assert!(matches!(error, RunError::TooLong { line: 1 }), "{error}");
}
