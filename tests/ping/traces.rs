//! `--trace` and `--trace-on-loss` over the loopback. Paths with routers have tests in `tests/paths`.

use std::net::UdpSocket;
use std::thread;

use hello_proto::Token;
use rustix::process::Signal;
use serde_json::json;

use super::{CLOSED_PORT, ping, start_ping, summary, wait_for};
use crate::support::{Finished, json, peer, receive, server};

#[test]
fn trace_of_several_targets_has_a_table_for_each_and_an_exit_status_for_all() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let address = address.to_string();
    let Finished { out, err, status } = ping(&["--trace", &address]);
    assert_eq!((&*err, status), ("", Some(0)));
    let lines = Vec::from_iter(out.lines());
    let [head, heads, hop, end] = lines[..] else { panic!("{out}") };
    assert_eq!(
        head,
        format!("TRACE {address} (127.0.0.1): 1 flow, at most 30 hops, 16-byte names")
    );
    assert_eq!(heads.split_whitespace().collect::<Vec<_>>(), ["hop", "router", "rtt", "ms"]);
    assert!(hop.starts_with("  1  127.0.0.1  "), "{out}");
    assert_eq!(end, format!("{address} replies at hop 1."));

    let Finished { out, status, .. } = ping(&["--trace", "--flows", "3", &address, CLOSED_PORT]);
    assert_eq!(status, Some(1));
    for line in [
        format!("--- {address} paths ---"),
        format!("--- {CLOSED_PORT} paths ---"),
        format!("Flows 0-2: {address} replies at hop 1."),
        "Flows 0-2: 127.78.0.1 is at hop 1, but refuses probes: no server on that port, or a firewall.".into(),
        "None of the 3 flows is answered, so no router stands out.".into(),
    ] {
        assert!(out.lines().any(|other| other == line), "{line}\n{out}");
    }
}

#[test]
fn trace_in_json_has_a_line_for_each_flow_and_the_comparison() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let plot = format!("{}/trace.svg", env!("CARGO_TARGET_TMPDIR"));
    let arguments = ["--trace", "--flows", "2", "--json", "--plot", &plot, &address.to_string()];
    let Finished { out, err, status } = ping(&arguments);
    assert_eq!((&*err, status), ("", Some(0)));
    let lines = Vec::from_iter(out.lines().map(json));
    let events = Vec::from_iter(lines.iter().map(|line| line["event"].as_str().unwrap_or("")));
    assert_eq!(events, ["start", "path", "path", "suspects"]);
    assert_eq!(lines[0]["trace"], true);
    assert_eq!((&lines[3]["losing"], &lines[3]["clean"]), (&json!([]), &json!([0, 1])));
    let picture = std::fs::read_to_string(plot).expect("drawn");
    assert!(picture.contains(">this host<") && picture.contains(">127.0.0.1<"), "{picture}");
}

#[test]
fn signal_ends_a_trace_with_what_is_known() {
    let silent = peer();
    let address = silent.local_addr().expect("bound").to_string();
    let mut tool = start_ping(&["--trace", "-W", "1h", "--json", &address]);
    receive(&silent);
    tool.signal(Signal::INT);
    assert_eq!(wait_for(&mut tool, "path")["end"], "unfinished");
    assert_eq!(tool.finish().1, Some(1));
}

/// Answers the probes of a run of two flows but those of the second, and every probe of a trace.
fn answer_first_flow(peer: &UdpSocket, probes: u32) {
    let mut run_id = None;
    let mut traced = 0;
    let mut last = 0;
    while traced < 2 || last < probes {
        let (name, source) = receive(peer);
        let token = Token::decode(&name).expect("a token");
        let is_probe = *run_id.get_or_insert(token.run_id) == token.run_id;
        if is_probe {
            last = last.max(token.seq);
        } else {
            traced += 1;
        }
        if !is_probe || token.seq % 2 == 1 {
            peer.send_to(&[b"Hello, ", &name[..], b"!"].concat(), source).expect("sent");
        }
    }
}

#[test]
fn flow_that_loses_is_traced_at_once_and_the_other_at_the_end() {
    let peer = peer();
    let address = peer.local_addr().expect("bound").to_string();
    let arguments =
        ["--trace-on-loss", "--flows", "2", "-c", "20", "-i", "50ms", "-W", "300ms", &address];
    let mut both = [false, true].map(|in_json| {
        let more: &[&str] = if in_json { &["--json"] } else { &[] };
        thread::scope(|scope| {
            scope.spawn(|| answer_first_flow(&peer, 20));
            ping(&[&arguments[..], more].concat())
        })
    });
    let Finished { out, err, status } = &mut both[0];
    assert_eq!((&**err, *status), ("", Some(0)));
    // Before the summary, whose place is the end.
    let (_, paths) = out.split_once(&format!("\n--- {address} paths ---\n")).expect("the paths");
    let (paths, _) = paths.split_once("\n--- ").expect("the summary");
    assert!(paths.contains("\nFlows 0-1: "), "{out}");
    let verdict = "\nNo router is known to be on the path of the losing flow 1 only.\n";
    assert!(paths.contains(verdict), "{out}");

    let out = &both[1].out;
    assert_eq!(summary(out)["lost"], 10);
    assert_eq!((&summary(out)["unsolicited"], &summary(out)["errors"]), (&0.into(), &json!({})));
    let lines = Vec::from_iter(out.lines().map(json));
    let position = |event: &str, flow: Option<u64>| {
        let is_it = |line: &serde_json::Value| {
            line["event"] == event && flow.is_none_or(|flow| line["flow"] == flow)
        };
        lines.iter().position(is_it).unwrap_or_else(|| panic!("{event} {flow:?}: {out}"))
    };
    let last_loss = lines.iter().rposition(|line| line["event"] == "lost").expect("a loss");
    assert!(position("lost", None) < position("path", Some(1)));
    assert!(
        position("path", Some(1)) < last_loss
            && position("path", Some(1)) < position("path", Some(0))
    );
    let comparison = &lines[position("suspects", None)];
    assert_eq!((&comparison["losing"], &comparison["clean"]), (&json!([1]), &json!([0])));
}

#[test]
fn run_without_loss_traces_nothing() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let arguments = ["--trace-on-loss=5%", "-c", "3", "-i", "1ms", "--json", &address.to_string()];
    let Finished { out, status, .. } = ping(&arguments);
    assert_eq!(status, Some(0));
    let start = json(out.lines().next().expect("a line"));
    assert_eq!((&start["trace_on_loss"], &start["trace"]), (&json!(0.05), &json!(false)));
    assert!(!out.contains("\"path\"") && !out.contains("\"suspects\""), "{out}");
}

#[test]
fn options_about_probes_conflict_with_a_trace() {
    for option in
        ["-c 5", "-i 1s", "--every 1s", "--max-loss 1", "-q", "--trace-on-loss", "-D", "-t 3"]
    {
        let arguments = [&["--trace"][..], &Vec::from_iter(option.split(' '))].concat();
        let Finished { out, err, status } = ping(&arguments);
        assert_eq!((&*out, status), ("", Some(2)), "{option}");
        assert!(err.contains("cannot be used with"), "{option}: {err}");
    }
}
