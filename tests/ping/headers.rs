//! Marks and TTLs of packets, by an independent peer that reads those of the requests and chooses those
//! of the replies.

use std::process::Command;

use serde_json::{Value, json};

use super::summary;
use crate::support::{Finished, LOAD, PING, have, have_ipv6, json as parse};

const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/packet_fields.py");

/// Runs a tool against the peer, whose replies have these TTLs and marks.
fn run(address: &str, replies: &[(u8, u8)], command: &[&str]) -> Value {
    let replies = json!(replies).to_string();
    let mut peer = Command::new("python3");
    peer.args(["-B", PEER, address, &replies]).args(command);
    let Finished { out, err, status } = peer.output().expect("runs").into();
    assert_eq!((&*err, status), ("", Some(0)));
    parse(&out)
}

/// The loopback addresses of this machine.
fn addresses(test: &str) -> Vec<&'static str> {
    if !have("python3", "--version", test) {
        return vec![];
    }
    if have_ipv6(test) { vec!["127.0.0.1", "::1"] } else { vec!["127.0.0.1"] }
}

fn text<'a>(run: &'a Value, stream: &str) -> &'a str {
    run[stream].as_str().expect("text")
}

#[test]
fn requests_of_both_tools_have_the_mark_and_the_ttl_of_the_options() {
    for address in addresses("requests_of_both_tools_have_the_mark_and_the_ttl_of_the_options") {
        for (options, fields) in [
            (&[][..], [64, 0]),
            (&["-Q", "ef", "-t", "9"], [9, 0xb8]),
            (&["--dscp", "0x0a", "--ecn", "ect0", "--ttl", "255"], [255, 0x2a]),
            (&["--ecn", "3", "-M", "do"], [64, 3]),
            (&["--dont-fragment", "-Q", "63"], [64, 0xfc]),
        ] {
            for (tool, count) in [(PING, &["-c", "3", "-i", "1ms"][..]), (LOAD, &["-c", "3"])] {
                let command = [&[tool, "-W", "20s", "--json"], count, options].concat();
                let run = run(address, &[(64, 0)], &command);
                assert_eq!((&run["err"], &run["status"]), (&"".into(), &0.into()), "{run}");
                assert_eq!(run["requests"], json!(&[fields; 3][..]), "{address} {command:?}");
            }
        }
    }
}

#[test]
fn start_lines_of_both_tools_have_the_options() {
    let options = ["-Q", "af41", "--ecn", "ect1", "-t", "9", "-M", "probe", "--json", "-c", "1"];
    for address in addresses("start_lines_of_both_tools_have_the_options") {
        let started = |tool| {
            let run = run(address, &[(64, 0)], &[&[tool, "-W", "20s"], &options[..]].concat());
            parse(text(&run, "out").lines().next().expect("a line"))
        };
        let (ping, load) = (started(PING), started(LOAD));
        for start in [&ping, &load["plan"]] {
            let found = ["dscp", "ecn", "ttl", "pmtudisc"].map(|field| start[field].clone());
            assert_eq!(found, [json!(34), json!("ect1"), json!(9), json!("probe")], "{start}");
        }
    }
}

#[test]
fn ttl_and_mark_of_each_reply_are_counted_and_each_change_of_the_ttl() {
    let replies = [(57, 0xba), (57, 0xba), (56, 0xba), (56, 0), (56, 0xbb), (57, 0xba)];
    let options = [PING, "-c", "6", "-i", "20ms", "-W", "20s", "-Q", "ef"];
    for address in addresses("ttl_and_mark_of_each_reply_are_counted_and_each_change_of_the_ttl") {
        let printed = run(address, &replies, &options);
        let out = text(&printed, "out");
        for (seq, (ttl, _)) in (1..).zip(replies) {
            assert!(out.contains(&format!(": icmp_seq={seq} ttl={ttl} time=")), "{out}");
        }
        assert!(out.contains("\n  ttl 57 (3), 56 (3): 2 route changes, last at "), "{out}");
        let marks = "\n  marks of replies: ef/ect0 (4), cs0 (1), ef/ce (1)\n";
        assert!(out.contains(marks), "{out}");

        let run = run(address, &replies, &[&options[..], &["--json"]].concat());
        let out = text(&run, "out");
        let lines = out.lines().map(parse).filter(|line| line["event"] == "reply");
        let found = lines.map(|line| (line["ttl"].clone(), line["tos"].clone()));
        let expected = replies.map(|(ttl, tos)| (json!(ttl), json!(tos)));
        assert_eq!(Vec::from_iter(found), expected, "{out}");
        let summary = summary(out);
        assert_eq!(summary["ttl"], json!({"56": 3, "57": 3}));
        assert_eq!(summary["dscp"], json!({"0": 1, "46": 5}));
        assert_eq!(summary["ecn"], json!({"not-ect": 1, "ect0": 4, "ce": 1}));
        assert_eq!(summary["route_changes"], 2);
        assert!(summary["last_route_change_s"].as_f64() >= Some(0.1), "{summary}");
    }
}

#[test]
fn flows_of_different_ttls_are_no_route_changes_and_have_a_column() {
    let replies = [(57, 0), (60, 0), (57, 0), (60, 0)];
    let options = [PING, "-c", "4", "-i", "20ms", "-W", "20s", "--flows", "2"];
    for address in addresses("flows_of_different_ttls_are_no_route_changes_and_have_a_column") {
        let run = run(address, &replies, &options);
        let out = text(&run, "out");
        assert!(out.contains("\n  ttl 60 (2), 57 (2): 0 route changes\n"), "{out}");
        let columns = |line: &str| Vec::from_iter(line.split_whitespace().map(str::to_owned));
        let table = out.lines().skip_while(|line| !line.starts_with("  flow  sent"));
        let table = Vec::from_iter(table.take(3).map(columns));
        let last = Vec::from_iter(table.iter().map(|row| row.last().map(String::as_str)));
        assert_eq!(last, [Some("ttl"), Some("57"), Some("60")], "{out}");
        assert!(!out.contains("marks of replies"), "{out}");
    }
}

#[test]
fn tos_byte_in_place_of_a_dscp_gets_a_hint_in_both_tools() {
    for tool in [PING, LOAD] {
        let output = Command::new(tool).args(["-Q", "184"]).output().expect("runs");
        let Finished { out, err, status } = output.into();
        assert_eq!((&*out, status), ("", Some(2)));
        assert!(err.contains("ping -Q, 184 is --dscp 46 (ef)"), "{err}");
    }
}
