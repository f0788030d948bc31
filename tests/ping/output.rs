//! The output of real runs.

use std::process::{Command, Stdio};

use regex::Regex;
use rustix::process::Signal;

use super::{ping, start_ping, wait_for};
use crate::ping_output::are_valid;
use crate::support::{
    Finished, PING, count, have, peer, receive, run_at_terminal, run_at_terminal_of_width, server,
};

#[test]
fn output_has_the_format_of_ping_with_additional_lines() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let address = address.to_string();
    let Finished { out, err, status } = ping(&["-c", "2", "-i", "10ms", "-W", "20s", &address]);
    assert_eq!((&*err, status), ("", Some(0)));
    let name = regex::escape(&address);
    let expected = format!(
        r"^PING {name} \(127\.0\.0\.1\) 16\(44\) bytes of data\.
24 bytes from {name}: icmp_seq=1 ttl=64 time=\d+\.\d{{3}} ms
24 bytes from {name}: icmp_seq=2 ttl=64 time=\d+\.\d{{3}} ms

{name}
(  \S.*\n)+
--- {name} ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time \d+ms
rtt min/avg/max/mdev = \d+\.\d{{3}}/\d+\.\d{{3}}/\d+\.\d{{3}}/\d+\.\d{{3}} ms
$"
    );
    assert!(Regex::new(&expected).expect("an expression").is_match(&out), "{out}");
    assert!(!out.contains('\u{1b}') && !out.contains('\r'), "{out:?}");
}

#[test]
fn quiet_prints_only_a_header_and_a_summary() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let arguments = ["-c", "2", "-i", "10ms", "-W", "20s", "-q", &address.to_string()];
    let Finished { out, .. } = ping(&arguments);
    assert!(!out.contains("seq="), "{out}");
    assert!(out.starts_with("PING ") && out.contains("\nrtt min/avg/max/mdev = "), "{out}");
    let Finished { out, .. } = ping(&[&arguments[..], &["--json"]].concat());
    assert_eq!(out.lines().count(), 2, "{out}");
}

#[test]
fn terminal_shows_a_transient_status_line() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let mut command = Command::new(PING);
    command.args(["-i", "100ms", "-W", "20s", "-q", &address.to_string()]);
    let is_status = |seen: &str| seen.contains(" in flight, p50 ");
    let seen = run_at_terminal(command, is_status);
    let (_, after) = seen.split_once(" sent, 0% lost, ").expect("a status");
    assert!(after.contains("\r\u{1b}[2K"), "the status line is erased: {seen:?}");
    assert!(after.contains("  from ms  to ms  replies\r\n"), "{seen:?}");
}

#[test]
fn first_interrupt_shows_what_is_awaited() {
    let peer = peer();
    let mut command = Command::new(PING);
    command.args(["-i", "10ms", "-W", "2s", &peer.local_addr().expect("bound").to_string()]);
    let (seen, _) = std::thread::scope(|scope| {
        scope.spawn(|| {
            // A reply that takes long, and many probes without one.
            let (name, source) = receive(&peer);
            (0..30).for_each(|_| drop(receive(&peer)));
            peer.send_to(&[b"Hello, ", &name[..], b"!"].concat(), source).expect("sent");
        });
        run_at_terminal_of_width(80, command, |seen| seen.contains(" bytes from "))
    });
    let waiting = Regex::new(r"waiting for [1-9]\d* in flight, .*, Ctrl-C again ends at once");
    assert!(waiting.expect("an expression").is_match(&seen), "{seen:?}");
}

/// Returns whether a line has ping's own format, which does not depend on the width.
fn is_pings(line: &str) -> bool {
    let starts =
        ["PING ", "24 bytes from ", "no answer yet for ", "--- ", "rtt min/avg/max/mdev = "];
    starts.iter().any(|start| line.starts_with(start))
        || Regex::new(r"^\d+ packets transmitted, ").expect("an expression").is_match(line)
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let (address, silent) = (address.to_string(), peer());
    let silent = silent.local_addr().expect("bound").to_string();
    for (columns, locale) in [(40, "C"), (40, "C.UTF-8"), (60, "C"), (80, "C.UTF-8")] {
        for targets in [&[&*address][..], &[&*address, &*silent]] {
            let mut command = Command::new(PING);
            command
                .args(["-i", "20ms", "-c", "60", "-W", "50ms", "--flows", "3", "--every", "0.5"]);
            command.args(targets).env("LC_ALL", locale).env_remove("COLUMNS");
            command.stderr(Stdio::null());
            // Ends without a signal, with the status of the silent target.
            let (seen, status) = run_at_terminal_of_width(columns, command, |_| false);
            assert_eq!(status, Some(i32::from(targets.len() > 1)));
            let text = anstream::adapter::strip_str(&seen).to_string();
            for line in text.split(['\r', '\n']).filter(|line| !is_pings(line)) {
                assert!(line.chars().count() <= columns.into(), "{columns}: {line:?}\n{text}");
            }
            assert_eq!(text.contains('\u{2588}'), locale != "C", "{text}");
            assert_eq!(text.contains('#'), locale == "C", "{text}");
            assert!(text.contains(" of 60 sent, ") || targets.len() > 1, "{text}");
        }
    }
}

#[test]
fn sigquit_prints_a_snapshot_and_the_run_continues() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let mut ping = start_ping(&["-i", "10ms", "-W", "20s", "--json", &address.to_string()]);
    wait_for(&mut ping, "reply");
    ping.signal(Signal::QUIT);
    let snapshot = wait_for(&mut ping, "snapshot");
    assert!(count(&snapshot["answered"]) >= 1, "{snapshot}");
    for _ in 0..3 {
        let reply = wait_for(&mut ping, "reply");
        assert!(count(&reply["seq"]) > count(&snapshot["answered"]), "{reply}");
    }
    ping.signal(Signal::INT);
    let (lines, status) = ping.finish();
    let whole = super::summary(lines.last().expect("a summary"));
    assert!(count(&whole["answered"]) >= count(&snapshot["answered"]) + 3, "{whole}");
    assert_eq!(status, Some(0));
}

#[test]
fn datagrams_from_others_cannot_control_the_terminal() {
    let peer = peer();
    let to = peer.local_addr().expect("bound").to_string();
    for (json, expected) in [(false, r"\u{1b}[2J"), (true, r"\u001b[2J")] {
        let mut arguments = vec!["-c", "1", "-W", "20s", &to];
        arguments.extend(json.then_some("--json"));
        let mut ping = start_ping(&arguments);
        ping.line();
        let (name, source) = receive(&peer);
        peer.send_to(b"Hello, \x1b[2J!", source).expect("sent");
        let line = ping.line();
        assert!(line.contains(expected) && !line.contains('\u{1b}'), "{line:?}");
        peer.send_to(&[b"Hello, ", &name[..], b"!"].concat(), source).expect("sent");
        assert_eq!(ping.finish().1, Some(0));
    }
}

#[test]
fn every_line_of_an_eventful_run_conforms_to_the_schema() {
    let test = "every_line_of_an_eventful_run_conforms_to_the_schema";
    if !have("jsonschema", "--version", test) {
        return;
    }
    let peer = peer();
    let to = peer.local_addr().expect("bound").to_string();
    let options = ["-i", "50ms", "-W", "0.2", "--every", "0.1", "--metrics-listen", "0", "--json"];
    let mut ping = start_ping(&[&options[..], &[&to]].concat());
    let (name, source) = receive(&peer);
    let reply = [b"Hello, ", &name[..], b"!"].concat();
    for datagram in [&reply[..], &reply, b"\xff", "Hello, \u{202e}!".as_bytes()] {
        peer.send_to(datagram, source).expect("sent");
    }
    let mut lines = Vec::new();
    let events = |lines: &[String]| {
        let events = lines.iter().map(|line| crate::support::json(line)["event"].to_string());
        std::collections::BTreeSet::from_iter(events)
    };
    while !lines.iter().any(|line: &String| line.contains("\"lost\"")) || events(&lines).len() < 7 {
        lines.push(ping.line());
    }
    ping.signal(Signal::QUIT);
    while !events(&lines).contains("\"snapshot\"") {
        lines.push(ping.line());
    }
    ping.signal(Signal::INT);
    let (rest, status) = ping.finish();
    assert!(status <= Some(1), "a late reply is not an answer");
    lines.extend(rest);
    assert!(are_valid(test, lines.clone()), "{lines:?}");
}
