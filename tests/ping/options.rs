//! The effect of each option.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::{CLOSED_PORT, ping, start_ping, summary, wait_for};
use crate::support::{self, Finished, count, have_ipv6, json, peer, receive, server};

fn address(peer: &UdpSocket) -> String {
    peer.local_addr().expect("bound").to_string()
}

/// Answers this many requests, and returns their names and sources.
fn answer(peer: &UdpSocket, requests: usize) -> Vec<(Vec<u8>, std::net::SocketAddr)> {
    let requests = (0..requests).map(|_| {
        let (name, source) = receive(peer);
        let reply = [b"Hello, ", &name[..], b"!"].concat();
        peer.send_to(&reply, source).expect("sent");
        (name, source)
    });
    requests.collect()
}

#[test]
fn count_probes_are_sent_one_interval_apart() {
    let (server, address) = server(&["--bind", "127.0.0.1:0"]);
    let arguments = ["-c", "5", "-i", "0.05", "-W", "20s", "--json", &address.to_string()];
    let Finished { out, err, status } = ping(&arguments);
    assert_eq!((&*err, status), ("", Some(0)));
    let summary = summary(&out);
    assert_eq!((&summary["sent"], &summary["answered"]), (&5.into(), &5.into()));
    let replies = Vec::from_iter(out.lines().map(json).filter(|line| line["event"] == "reply"));
    assert_eq!(replies.len(), 5, "{out}");
    for reply in replies {
        let due = (reply["seq"].as_f64().expect("a number") - 1.0) * 0.05;
        assert!(reply["at_s"].as_f64().expect("a number") >= due, "{reply}");
    }
    assert_eq!(support::summary(server)["answered"], 5);
}

#[test]
fn size_option_sets_the_name_length_up_to_the_maximum() {
    for (size, len) in [("8", 8), ("16", 16), ("1234", 1234), ("65499", 65_499)] {
        let peer = peer();
        let mut ping = start_ping(&["-c", "1", "-s", size, "-W", "20s", &address(&peer)]);
        assert!(ping.line().ends_with(&format!(" {len}({}) bytes of data.", len + 28)));
        assert_eq!(answer(&peer, 1)[0].0.len(), len);
        assert!(ping.line().starts_with(&format!("{} bytes from ", len + 8)));
        assert_eq!(ping.finish().1, Some(0));
    }
}

#[test]
fn deadline_ends_a_run_with_probes_in_flight() {
    let silent = peer();
    let arguments = ["-w", "0.3", "-i", "10ms", "-W", "20s", "--json", &address(&silent)];
    let Finished { out, err, status } = ping(&arguments);
    assert_eq!((&*err, status), ("", Some(1)));
    let summary = summary(&out);
    assert!(count(&summary["in_flight"]) > 0, "{summary}");
    assert_eq!(summary["in_flight"], summary["sent"]);
    assert_eq!((&summary["lost"], &summary["loss"]), (&0.into(), &Value::Null));
    assert!(summary["duration_s"].as_f64() >= Some(0.3), "{summary}");
}

#[test]
fn probe_is_lost_after_its_timeout_and_its_reply_late() {
    let peer = peer();
    let mut ping = start_ping(&["-W", "20ms", "-i", "50ms", "--json", &address(&peer)]);
    wait_for(&mut ping, "lost");
    answer(&peer, 1);
    let late = wait_for(&mut ping, "late");
    assert!(late["rtt_ms"].as_f64() >= Some(20.0), "{late}");
    ping.signal(Signal::INT);
    let (lines, status) = ping.finish();
    assert_eq!(status, Some(1), "a late reply is not an answer");
    assert_eq!(summary(lines.last().expect("a summary"))["late"], 1);
}

#[test]
fn duration_ends_sending_but_not_waiting() {
    for (duration, count, probes) in
        [("0.2", None, 4), ("210ms", None, 5), ("0.2", Some("3"), 3), ("10s", Some("2"), 2)]
    {
        let peer = peer();
        let to = address(&peer);
        let mut arguments = vec!["--duration", duration, "-i", "50ms", "-W", "20s", "--json", &to];
        arguments.extend(count.map(|count| ["-c", count]).iter().flatten());
        let ping = start_ping(&arguments);
        // Answers none before all have been sent.
        let requests = Vec::from_iter((0..probes).map(|_| receive(&peer)));
        for (name, source) in &requests {
            let reply = [b"Hello, ", &name[..], b"!"].concat();
            peer.send_to(&reply, source).expect("sent");
        }
        let (lines, status) = ping.finish();
        let summary = summary(lines.last().expect("a summary"));
        assert_eq!(status, Some(0));
        assert_eq!(summary["sent"], probes, "{summary}");
        assert_eq!(summary["answered"], probes, "{summary}");
    }
}

#[test]
fn address_family_option_is_exclusive() {
    let peer = peer();
    let port = peer.local_addr().expect("bound").port();
    let ping = start_ping(&["-4", "-c", "1", "-W", "20s", &format!("localhost:{port}")]);
    answer(&peer, 1);
    let (lines, status) = ping.finish();
    assert_eq!(status, Some(0));
    assert!(lines[0].starts_with(&format!("PING localhost:{port} (127.0.0.1) ")), "{lines:?}");
}

#[test]
fn ipv6_target_has_the_header_of_ping() {
    if !have_ipv6("ipv6_target_has_the_header_of_ping") {
        return;
    }
    let (_server, address) = server(&["--bind", "[::1]:0"]);
    let address = address.to_string();
    let Finished { out, status, .. } = ping(&["-6", "-c", "1", "-W", "20s", &address]);
    let header = format!("PING {address}(::1) 16 data bytes\n24 bytes from {address}: icmp_seq=");
    assert!(out.starts_with(&header), "{out}");
    assert_eq!(status, Some(0));
}

#[test]
fn interface_option_sets_the_source_address_or_interface() {
    for (interface, source) in [("127.0.0.2", "127.0.0.2"), ("lo", "127.0.0.1")] {
        let peer = peer();
        let ping = start_ping(&["-I", interface, "-c", "1", "-W", "20s", &address(&peer)]);
        assert_eq!(answer(&peer, 1)[0].1.ip().to_string(), source, "{interface}");
        assert_eq!(ping.finish().1, Some(0));
    }
}

#[test]
fn flows_are_source_ports_that_alternate() {
    let peer = peer();
    let to = address(&peer);
    let ping = start_ping(&["--flows", "3", "-c", "9", "-i", "10ms", "-W", "20s", &to]);
    let mut ports = BTreeMap::new();
    for (_, source) in answer(&peer, 9) {
        *ports.entry(source.port()).or_insert(0) += 1;
    }
    assert_eq!(Vec::from_iter(ports.into_values()), [3, 3, 3]);
    let (lines, status) = ping.finish();
    assert_eq!(status, Some(0));
    for flow in 0..3 {
        let mark = format!(" ms flow={flow}");
        assert_eq!(lines.iter().filter(|line| line.contains(&mark)).count(), 3, "{lines:?}");
        let row = |line: &&String| {
            line.split_whitespace().take(4).eq([&*flow.to_string(), "3", "3", "0"])
        };
        assert_eq!(lines.iter().filter(row).count(), 1, "{lines:?}");
    }
}

#[test]
fn several_targets_give_a_comparison_in_text_and_summaries_in_json() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let address = address.to_string();
    let arguments = ["-c", "3", "-i", "10ms", "-W", "0.5", "-q", &address, CLOSED_PORT];
    let Finished { out, err, status } = ping(&arguments);
    assert_eq!((&*err, status), ("", Some(1)), "one server never answered");
    let (_, table) = out.split_once("\n\ntarget ").expect("a table");
    let rows = Vec::from_iter(
        table
            .lines()
            .skip(1)
            .take(2)
            .map(|row| Vec::from_iter(row.split_whitespace().take(2).map(str::to_owned))),
    );
    assert_eq!(rows, [[&*address, "3"], [CLOSED_PORT, "3"]]);
    assert!(out.contains("  no reply: refused (no server on that port, or a firewall)\n"), "{out}");
    let Finished { out, .. } = ping(&[&arguments[..], &["--json"]].concat());
    let lines = Vec::from_iter(out.lines().map(json));
    let events = Vec::from_iter(lines.iter().map(|line| line["event"].as_str()));
    let expected = ["start", "start", "summary", "summary"].map(Some);
    assert_eq!(events, expected);
    assert_eq!((&lines[2]["target"], &lines[3]["target"]), (&address.into(), &CLOSED_PORT.into()));
    assert_eq!(lines[3]["answered"], 0);
    assert!(count(&lines[3]["errors"]["refused"]) > 0, "{out}");
}

#[test]
fn intervals_sum_to_the_total() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let options = ["-c", "30", "-i", "10ms", "-W", "20s", "--every", "100ms", "-q", "--json"];
    let Finished { out, status, .. } = ping(&[&options[..], &[&address.to_string()]].concat());
    assert_eq!(status, Some(0));
    let lines = Vec::from_iter(out.lines().map(json));
    let parts = Vec::from_iter(lines.iter().filter(|line| line["event"] == "interval"));
    assert!(parts.len() >= 3, "{out}");
    for (index, part) in parts.iter().enumerate() {
        let is_last = index == parts.len() - 1;
        let is_partial = is_last && part["duration_s"].as_f64() < Some(0.1);
        assert_eq!(part["partial"], is_partial, "{part}");
    }
    let whole = summary(&out);
    for name in ["sent", "answered", "lost"] {
        let sum: u64 = parts.iter().map(|part| count(&part[name])).sum();
        assert_eq!(sum, count(&whole[name]), "{name}: {out}");
    }
}

#[test]
fn timestamps_stand_before_lines_about_probes() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let arguments = ["-D", "-c", "2", "-i", "10ms", "-W", "20s", &address.to_string()];
    let Finished { out, status, .. } = ping(&arguments);
    assert_eq!(status, Some(0));
    let stamps = out.lines().filter_map(|line| {
        let (stamp, rest) = line.strip_prefix('[')?.split_once("] ")?;
        rest.starts_with("24 bytes from ").then(|| stamp.parse::<f64>().expect("seconds"))
    });
    let stamps = Vec::from_iter(stamps);
    assert_eq!(stamps.len(), 2, "{out}");
    assert!(out.starts_with("PING "), "{out}");
}

#[test]
fn json_start_has_the_origin_and_the_plan() {
    let peer = peer();
    let options = ["-c", "1", "-i", "10ms", "-W", "50ms", "-w", "9", "--max-p99", "1ms", "--json"];
    let Finished { out, .. } = ping(&[&options[..], &["-I", "lo", &address(&peer)]].concat());
    let lines = Vec::from_iter(out.lines().map(json));
    let start = &lines[0];
    for (field, expected) in [
        ("tool", Value::from("hello-ping")),
        ("count", 1.into()),
        ("interval_s", 0.01.into()),
        ("timeout_s", 0.05.into()),
        ("deadline_s", 9.0.into()),
        ("duration_s", Value::Null),
        ("source", "lo".into()),
        ("max_p99_ms", 1.0.into()),
        ("max_loss", Value::Null),
    ] {
        assert_eq!(start[field], expected, "{field}: {start}");
    }
    let summary = summary(&out);
    assert_eq!(summary["started_at"], start["started_at"]);
    // RFC 3339 in UTC sorts by time.
    for line in &lines[1..] {
        assert!(line["time"].as_str() >= start["started_at"].as_str(), "{line}");
    }
}

#[test]
fn interval_too_short_for_one_target_sends_nothing_to_any() {
    let peer = peer();
    let arguments = ["-i", "1ms", "-c", "1", &address(&peer), "192.0.2.1"];
    let Finished { out, err, status } = ping(&arguments);
    assert_eq!((&*out, status), ("", Some(2)));
    let expected = "hello-ping: interval 1ms is too short for 192.0.2.1:9999: use 2ms or more, or \
                    --allow-flood if its owner agrees\n";
    assert_eq!(err, expected);
    // On the loopback, every datagram sent before the end has arrived.
    peer.set_read_timeout(Some(Duration::from_millis(1))).expect("not zero");
    let error = peer.recv(&mut [0]).expect_err("nothing was sent");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn other_kind_of_server_is_suspected() {
    for (options, [start, end], hint) in [
        (&[][..], ["", ""], "if this is an echo server, add --peer echo"),
        (&["--peer", "echo"], ["Hello, ", "!"], "if this is a Hello server, omit --peer echo"),
    ] {
        let peer = peer();
        let to = address(&peer);
        let Finished { out, err, status } = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (name, source) = receive(&peer);
                let reply = [start.as_bytes(), &name[..], end.as_bytes()].concat();
                peer.send_to(&reply, source).expect("sent");
            });
            ping(&[options, &["-c", "1", "-W", "1s", &to]].concat())
        });
        assert_eq!((&*err, status), ("", Some(1)));
        let line = format!("\n  no reply: only corrupt or unrelated datagrams; {hint}\n");
        assert!(out.contains(&line), "{out}");
    }
}

#[test]
fn echo_server_is_suspected_by_traces_and_searches() {
    for (mode, start) in [("--trace", "\n"), ("--mtu", "\n  ")] {
        let peer = peer();
        let to = address(&peer);
        let Finished { out, err, status } = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (name, source) = receive(&peer);
                peer.send_to(&name, source).expect("sent");
            });
            ping(&[mode, "-W", "100ms", &to])
        });
        assert_eq!((&*err, status), ("", Some(1)));
        let line =
            format!("{start}{to} replies otherwise: if this is an echo server, add --peer echo");
        assert!(out.contains(&line), "{out}");
    }
}

#[test]
fn echo_server_is_probed_with_peer_echo() {
    let peer = peer();
    let to = address(&peer);
    let finished = std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3 {
                let (name, source) = receive(&peer);
                peer.send_to(&name, source).expect("sent");
            }
        });
        ping(&["--peer", "echo", "-c", "3", "-i", "10ms", "-W", "20s", &to])
    });
    let Finished { out, err, status } = finished;
    assert_eq!((&*err, status), ("", Some(0)));
    assert!(out.contains(&format!("\n16 bytes from {to}: ")), "{out}");
    assert!(out.contains("\n3 packets transmitted, 3 received, 0% packet loss, "), "{out}");
}
