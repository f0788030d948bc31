//! Tools with an unread standard output.

use std::fs;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::{address, answer_one, command, reply, with_default_sighup};
use crate::observability::fresh_path;
use crate::ping_output::are_valid;
use crate::relay::Greeter;
use crate::support::{
    LOAD, PING, Process, SERVER, client, count, full_pipe, have, json, peer, read_full_pipe,
    receive,
};

const UNREAD_OUTPUT: &str =
    "cannot write to standard output: the reader has not read for 3 seconds\n";

/// Starts a tool with a blocked output and waits until it works. Returns it with the guard that
/// keeps its output open.
fn start_working(tool: &str, number: u8) -> (Process, impl Send + use<>) {
    let (reader, writer) = full_pipe();
    if tool == SERVER {
        // The tool cannot print its address, so the address must be known beforehand.
        let address = format!("127.78.1.{number}:9999");
        let mut command = with_default_sighup(SERVER);
        let server = Process::start_printing_to(command.args(["--bind", &address]), writer);
        // More than one attempt, because the server may not be ready yet.
        let attempts = ["--timeout", "1s", "--attempts", "9", "Tracy"];
        let greeted = client(&[&["--server", &address], &attempts[..]].concat());
        assert_eq!(greeted.out, "Hello, Tracy!\n");
        return (server, (reader, None));
    }
    let peer = peer();
    let mut command = command(tool, address(&peer));
    let process = Process::start_printing_to(command.stderr(Stdio::null()), writer);
    answer_one(&peer);
    (process, (reader, Some(peer)))
}

/// Returns whether a run has written its export, and now waits only for its reader.
fn is_written(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.ends_with('\n'))
}

/// Runs a check for each tool and signal in parallel.
fn for_each(check: impl Fn(&'static str, Signal, u8) + Sync) {
    let check = &check;
    thread::scope(|scope| {
        let mut number = 0;
        for tool in [PING, LOAD, SERVER] {
            for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
                number += 1;
                scope.spawn(move || check(tool, signal, number));
            }
        }
    });
}

#[test]
fn signal_ends_every_tool_with_unread_output() {
    for_each(|tool, signal, number| {
        let (mut process, _open) = start_working(tool, number);
        process.signal(signal);
        let status = process.end(|_| ());
        let expected = if tool == SERVER { 0 } else { 2 };
        assert_eq!(status.code(), Some(expected), "{tool} {signal:?}: {status}");
    });
}

#[test]
fn second_signal_ends_every_tool_with_unread_output_by_its_default_action() {
    for_each(|tool, signal, number| {
        let (mut process, _open) = start_working(tool, 100 + number);
        // The first few signals count as one, as timeout(1) sends them.
        let status = process.end(|process| process.signal(signal));
        assert_eq!(status.signal(), Some(signal.as_raw()), "{tool}: {status}");
    });
}

#[test]
fn run_with_unread_output_reports_that_and_writes_its_files() {
    for tool in [PING, LOAD] {
        let name = format!("nobody_reads_{}", tool.ends_with("load"));
        let (file, peer) = (fresh_path(&name), peer());
        let (reader, writer) = full_pipe();
        let (mut errors, stderr) = std::io::pipe().expect("a pipe");
        let mut command = command(tool, address(&peer));
        command.args(["--count", "2", "--export-json"]).arg(&file).stderr(stderr);
        let mut process = Process::start_printing_to(&mut command, writer);
        drop(command);
        for _ in 0..2 {
            let (name, client) = receive(&peer);
            reply(&peer, &name, client);
        }
        assert_eq!(process.end(|_| ()).code(), Some(2), "{tool}");
        let mut text = String::new();
        errors.read_to_string(&mut text).expect("UTF-8");
        assert!(text.ends_with(UNREAD_OUTPUT), "{tool}: {text}");
        let results = json(&fs::read_to_string(&file).expect("there"));
        assert_eq!(results["results"][0]["answered"], 2, "{tool}");
        drop(reader);
    }
}

#[test]
fn tool_waiting_for_its_reader_at_the_end_stops_at_the_first_signal() {
    for tool in [PING, LOAD] {
        let name = format!("waits_for_its_reader_{}", tool.ends_with("load"));
        let (file, peer) = (fresh_path(&name), peer());
        let (reader, writer) = full_pipe();
        let mut command = command(tool, address(&peer));
        command.args(["--count", "1", "--export-json"]).arg(&file).stderr(Stdio::null());
        let mut process = Process::start_printing_to(&mut command, writer);
        let (name, client) = receive(&peer);
        reply(&peer, &name, client);
        let mut signalled = false;
        let status = process.end(|process| {
            if !signalled && is_written(&file) {
                process.signal(Signal::TERM);
                signalled = true;
            }
        });
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{tool}: {status}");
        drop(reader);
    }
}

#[test]
fn blocked_output_delays_no_probe_and_is_complete_once_read() {
    const PROBES: usize = 400;
    let (peer, (reader, writer)) = (peer(), full_pipe());
    let mut command = Command::new(PING);
    command.args(["-i", "5ms", "-W", "20s", "--every", "1s", "--json"]);
    command.args(["-c", &PROBES.to_string(), &address(&peer).to_string()]);
    let mut process = Process::start_printing_to(&mut command, writer);
    for _ in 0..PROBES {
        let (name, client) = receive(&peer);
        reply(&peer, &name, client);
    }
    let text = read_full_pipe(reader);
    let lines = Vec::from_iter(text.lines().map(json));
    let events = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!((events("start"), events("reply"), events("suppressed")), (1, PROBES, 0));
    assert!(events("interval") >= 1, "{text}");
    let summary = lines.last().expect("a summary");
    assert_eq!(summary["event"], "summary");
    assert_eq!((&summary["sent"], &summary["answered"]), (&PROBES.into(), &PROBES.into()));
    assert_eq!(summary["not_sent"], serde_json::json!({}));
    assert_eq!(process.end(|_| ()).code(), Some(0));
}

#[test]
fn only_events_over_the_queue_are_suppressed_and_counted() {
    const PROBES: u64 = 6000;
    let test = "only_events_over_the_queue_are_suppressed_and_counted";
    for json_lines in [true, false] {
        let file = fresh_path(&format!("events_that_find_no_room_{json_lines}"));
        let (greeter, (reader, writer)) = (Greeter::start(), full_pipe());
        let mut command = Command::new(PING);
        command.args(["-i", "100us", "-W", "20s", "--every", "100ms", "--export-csv"]).arg(&file);
        command.args(["-c", &PROBES.to_string(), &greeter.address().to_string()]);
        command.args(json_lines.then_some("--json"));
        let mut process = Process::start_printing_to(&mut command, writer);
        while !is_written(&file) {
            assert!(!process.has_ended());
            thread::yield_now();
        }
        let text = read_full_pipe(reader);
        assert_eq!(process.end(|_| ()).code(), Some(0));
        greeter.finish();
        let notes = Vec::from_iter(text.lines().filter(|line| line.contains("suppressed")));
        if json_lines && have("jsonschema", "--version", test) {
            assert!(are_valid(test, notes.iter().map(|&note| note.to_owned())), "{notes:?}");
        }
        let (mut events, mut left_out, mut intervals) = (0, 0, 0);
        for line in text.lines() {
            if json_lines {
                let line = json(line);
                match line["event"].as_str().expect("text") {
                    "reply" | "not-sent" | "duplicate" | "lost" => events += 1,
                    "suppressed" => left_out += count(&line["lines"]),
                    "interval" => intervals += 1,
                    _ => {}
                }
            } else if let Some(note) = line.strip_suffix(" lines suppressed)") {
                left_out += note[1..].parse::<u64>().expect("a number");
            } else if line.contains("icmp_seq=") || line.starts_with("To ") {
                events += 1;
            } else if line.contains(" packets transmitted") {
                intervals += 1;
            }
        }
        assert_eq!((events + left_out, left_out > 0), (PROBES, true), "{events} {left_out}");
        assert!(intervals >= 2, "{text}");
        if json_lines {
            assert_eq!(json(text.lines().last().expect("a summary"))["event"], "summary");
        } else {
            assert!(text.contains(" ping statistics ---\n"));
        }
    }
}

#[test]
fn slow_reader_gets_the_summary() {
    let (peer, (mut reader, writer)) = (peer(), full_pipe());
    let mut command = Command::new(PING);
    command.args(["-i", "1ms", "-W", "20s", "-c", "10", "-q", &address(&peer).to_string()]);
    let mut process = Process::start_printing_to(&mut command, writer);
    for _ in 0..10 {
        let (name, client) = receive(&peer);
        reply(&peer, &name, client);
    }
    // Less than a write needs, and for longer than the tool waits for a reader that reads nothing.
    let mut few = [0; 16];
    for _ in 0..16 {
        reader.read_exact(&mut few).expect("full");
        // Waits for no event: this is the slow reading.
        thread::sleep(Duration::from_millis(250));
    }
    let text = read_full_pipe(reader);
    assert!(text.contains("\n10 packets transmitted, 10 received, "), "{text}");
    assert_eq!(process.end(|_| ()).code(), Some(0));
}

#[test]
fn export_to_a_blocked_output_does_not_keep_a_tool_from_ending() {
    for (read, expected) in [(false, 2), (true, 0)] {
        let (peer, (reader, writer)) = (peer(), full_pipe());
        let mut command = command(PING, address(&peer));
        command.args(["--export-json", "-"]).stderr(Stdio::null());
        let mut process = Process::start_printing_to(&mut command, writer);
        answer_one(&peer);
        process.signal(Signal::INT);
        if read {
            let results: Value = json(&read_full_pipe(reader));
            assert_eq!(results["results"][0]["answered"], 1);
            assert_eq!(process.end(|_| ()).code(), Some(expected));
        } else {
            assert_eq!(process.end(|_| ()).code(), Some(expected));
            drop(reader);
        }
    }
}
