//! Exit statuses of `hello-load`.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::scripted_server::Server;
use super::{CLOSED_PORT, FEW, load, start_load};
use crate::observability::fresh_path;
use crate::support::{Finished, LOAD, Process, have, json};

/// Longer than any test.
const LONG: &[&str] = &["--rate", "1000", "--duration", "1h", "--warm-up", "0"];

/// Interrupts a run, and again until it ends: at first, signals in quick succession count as one.
fn interrupt_twice(mut process: Process) -> (Vec<String>, Option<i32>) {
    process.end(|process| process.signal(Signal::INT));
    process.finish()
}

/// Ends a run with SIGINT.
fn interrupt(process: Process) -> (Vec<String>, Option<i32>) {
    process.signal(Signal::INT);
    process.finish()
}

#[test]
fn interrupt_waits_until_each_request_is_answered_or_lost() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = Server::start(|request| (request.number < 50).then(|| request.greeting()));
        let to = server.address();
        let process = start_load(&[LONG, &["-W", "1s", "--json", &to]].concat());
        server.wait_for(100);
        process.signal(signal);
        let (lines, status) = process.finish();
        let summary = json(lines.last().expect("a summary"));
        let sent = server.finish().len() as u64;
        assert!(sent >= 100);
        assert_eq!((&summary["sent"], &summary["answered"]), (&sent.into(), &50.into()));
        assert_eq!((&summary["in_flight"], &summary["lost"]), (&0.into(), &(sent - 50).into()));
        assert_eq!(status, Some(0));
    }
}

#[test]
fn second_interrupt_ends_the_wait_and_the_loss_is_a_range() {
    for is_json in [true, false] {
        let server = Server::start(|request| (request.number < 50).then(|| request.greeting()));
        let to = server.address();
        let mut arguments = [LONG, &["-W", "20s", &to]].concat();
        arguments.extend(is_json.then_some("--json"));
        let process = start_load(&arguments);
        server.wait_for(100);
        let (lines, status) = interrupt_twice(process);
        let sent = server.finish().len() as u64;
        assert_eq!(status, Some(0));
        let open = sent - 50;
        if is_json {
            let summary = json(lines.last().expect("a summary"));
            assert_eq!((&summary["sent"], &summary["answered"]), (&sent.into(), &50.into()));
            assert_eq!((&summary["in_flight"], &summary["lost"]), (&open.into(), &0.into()));
            assert_eq!((&summary["loss"], &summary["interrupted"]), (&0.0.into(), &true.into()));
            assert_eq!(summary["worst_case_loss"], open as f64 / sent as f64);
        } else {
            let known = lines.iter().find(|line| line.starts_with("loss: ")).expect("a range");
            assert!(known.starts_with("loss: 0% is known, up to "), "{known}");
            assert!(lines[2].contains(" without loss; interrupted; up to "), "{lines:?}");
        }
    }
}

#[test]
fn interrupt_without_any_answer_fails_and_reports_no_loss() {
    let server = Server::start(|_| None);
    let to = server.address();
    let process = start_load(&[LONG, &["-W", "20s", &to]].concat());
    server.wait_for(30);
    let (lines, status) = interrupt_twice(process);
    let sent = server.finish().len();
    let headline = format!(
        "{sent} requests sent, of which no end is known; interrupted; up to 100% lost if all in \
         flight are"
    );
    assert_eq!((&lines[2], status), (&headline, Some(1)));
}

#[test]
fn interrupted_warm_up_says_so_and_a_second_interrupt_ends_it_at_once() {
    // A silent server is waited for all the timeout, which is longer than any test.
    for (answers, timeout) in [(true, "20s"), (false, "1h")] {
        let server = Server::start(move |request| answers.then(|| request.greeting()));
        let to = server.address();
        let options = ["--rate", "1k", "--duration", "1h", "--warm-up", "1h", "-W", timeout];
        let process = start_load(&[&options[..], &[&to]].concat());
        server.wait_for(20);
        let (lines, status) = if answers { interrupt(process) } else { interrupt_twice(process) };
        assert_eq!(lines[2], "interrupted during the warm-up: nothing was measured");
        assert_eq!(status, Some(i32::from(!answers)));
    }
}

#[test]
fn interrupted_search_reports_the_load_carried_before() {
    // The interrupted trial has a higher load than the one before.
    for (before, carried) in [(0, 0), (10, 1)] {
        let server = Server::greeter();
        let to = server.address();
        let search = ["--find-max", "--rate", "10", "--trials", "1", "--duration", "1"];
        let process = start_load(
            &[&search[..], &["--warm-up", "0", "--tolerance", "100", "--json", &to]].concat(),
        );
        server.wait_for(before + 1);
        let (lines, status) = interrupt(process);
        let lines = Vec::from_iter(lines.iter().map(|line| json(line)));
        let throughput = lines.last().expect("a result");
        assert_eq!(
            (&throughput["event"], &throughput["bound"]),
            (&"throughput".into(), &"interrupted".into())
        );
        let trials = lines.iter().filter(|line| line["event"] == "trial");
        let verdicts = Vec::from_iter(trials.map(|line| line["verdict"].as_str()));
        // The interrupted trial has none.
        let expected = [vec![Some("carried"); carried], vec![None]].concat();
        assert_eq!(verdicts, expected, "{lines:?}");
        let found = if carried > 0 { 10.into() } else { Value::Null };
        let expected = (&found, Some(i32::from(carried == 0)));
        assert_eq!((&throughput["throughput_per_s"], status), expected);
    }
}

#[test]
fn interrupted_search_prints_that_it_was_interrupted() {
    let server = Server::start(|_| None);
    let to = server.address();
    let process = start_load(&["--find-max", "--duration", "1h", "--warm-up", "0", &to]);
    server.wait_for(20);
    let (lines, status) = interrupt(process);
    let end = [
        "",
        "interrupted before any rate had a verdict",
        "interrupted before a load failed; at most 3 trials of 1h per load",
    ];
    assert!(lines.ends_with(&end.map(str::to_owned)), "{lines:?}");
    assert!(lines[1].starts_with("search from 10,000/s to at most 100,000,000/s, "), "{lines:?}");
    let cut_off = lines[2].strip_prefix("   10,000/s ").expect("the first trial");
    assert!(cut_off.contains(" lost  interrupted"), "{cut_off}");
    assert_eq!((lines.len(), status), (6, Some(1)));
}

#[test]
fn interrupted_sweep_prints_the_interrupted_load_and_no_further_one() {
    let file = fresh_path("interrupted_sweep_prints_the_interrupted_load_and_no_further_one");
    let path = file.to_str().expect("UTF-8");
    for is_text in [true, false] {
        let server = Server::greeter();
        let to = server.address();
        let sweep = ["--sweep", "1000..3000", "--steps", "3", "--duration", "1h", "--warm-up", "0"];
        let mut arguments = [&sweep[..], &["-W", "20s", "--export-json", path, &to]].concat();
        arguments.extend((!is_text).then_some("--json"));
        let process = start_load(&arguments);
        server.wait_for(50);
        let (lines, status) = interrupt(process);
        let sent = server.finish().len();
        assert_eq!(status, Some(0));
        let results = &json(&fs::read_to_string(&file).expect("there"))["results"];
        assert_eq!((&results[0]["sent"], results[1].is_null()), (&sent.into(), true));
        assert_eq!((&results[0]["answered"], &results[0]["lost"]), (&sent.into(), &0.into()));
        if is_text {
            let table = lines.iter().skip_while(|line| !line.starts_with("load/s "));
            let rows = Vec::from_iter(table.skip(1).map(|row| row.trim_start()));
            assert!(rows[0].starts_with("1,000 "), "{lines:?}");
            assert_eq!(rows.len(), 1);
            let headline = "interrupted before the first rate was finished".to_owned();
            assert!(lines.contains(&headline), "{lines:?}");
        } else {
            let trial = json(&lines[1]);
            assert_eq!((&trial["event"], &trial["sent"]), (&"trial".into(), &sent.into()));
            let swept = json(&lines[2]);
            assert_eq!((&swept["event"], &swept["interrupted"]), (&"sweep".into(), &true.into()));
            assert_eq!((&swept["loads"], &swept["measured"]), (&3.into(), &1.into()));
            assert_eq!(lines.len(), 3);
        }
    }
}

#[test]
fn search_whose_reader_leaves_has_its_verdict() {
    let file = fresh_path("search_whose_reader_leaves_has_its_verdict");
    let path = file.to_str().expect("UTF-8");
    let server = Server::greeter();
    let to = server.address();
    let search = ["--find-max", "--rate", "10", "--max-rate", "10", "--tolerance", "100"];
    let trials = ["--duration", "200ms", "--warm-up", "0", "--export-json", path, &to];
    let mut process = start_load(&[&search[..], &trials].concat());
    process.line();
    process.close_output();
    assert_eq!(process.exit_status(), Some(0));
    let export = json(&fs::read_to_string(&file).expect("there"));
    assert_eq!((&export["bound"], &export["throughput_per_s"]), (&"max-rate".into(), &10.into()));
}

#[test]
fn closed_output_does_not_change_the_verdict() {
    for (options, expected) in [
        (&["--rate", "1k"][..], 0),
        (&["--rate", "1k", "--json"], 0),
        (&["--sweep", "1k..2k"], 0),
        // No load has a verdict.
        (&["--find-max", "--json"], 1),
    ] {
        let server = Server::greeter();
        let to = server.address();
        let mut process = start_load(&[options, &["--duration", "1h", &to]].concat());
        process.line();
        process.close_output();
        server.wait_for(20);
        process.signal(Signal::INT);
        assert_eq!(process.exit_status(), Some(expected), "{options:?}");
    }
    // Nor does it hide that nothing answers.
    let mut process = start_load(&["--duration", "1h", CLOSED_PORT]);
    process.line();
    process.close_output();
    assert_eq!(process.exit_status(), Some(1));
    // No output at all is no failure either.
    let server = Server::greeter();
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" >&-", LOAD]).args(FEW).arg(server.address());
    let Finished { err, status, .. } = command.output().expect("runs").into();
    assert_eq!((&*err, status), ("", Some(0)));
    assert_eq!(server.finish().len(), 20);
}

#[test]
fn full_output_device_exits_with_2() {
    let full = fs::File::create("/dev/full").expect("Linux provides it");
    let mut command = Command::new(LOAD);
    command.args(["--count", "1", "-W", "50ms", CLOSED_PORT]).stdout(full);
    let Finished { err, status, .. } = command.output().expect("runs").into();
    assert_eq!(status, Some(2));
    let start = "hello-load: cannot write to standard output: No space left on device";
    assert!(err.starts_with(start), "{err}");
}

#[test]
fn other_machines_are_not_contacted_without_remote() {
    let test = "other_machines_are_not_contacted_without_remote";
    let Finished { out, err, status } = load(&["192.0.2.1"]);
    assert_eq!((&*out, status), ("", Some(2)));
    let start = "hello-load: 192.0.2.1:9999 is not a loopback address. ";
    assert!(err.starts_with(start) && err.contains(": add --remote if "), "{err}");
    if !have("strace", "-V", test) {
        return;
    }
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=network", "-e", "signal=none"]);
    let traced: Finished = command.args([LOAD, "192.0.2.1"]).output().expect("runs").into();
    assert_eq!(traced.status, Some(2));
    // Sending over a network needs a socket.
    assert!(!traced.err.contains("AF_INET"), "{}", traced.err);
}

#[test]
fn invalid_command_line_suggests_a_correction() {
    for (arguments, advice) in [
        ("--rate 0", "must be between 1 and 1,000,000,000"),
        ("--rate fast", "try 500, 10k or 1.5M"),
        ("--size 7", "must be between 8 and 65,499"),
        ("--size 20..16", "the first length must not be greater than the second"),
        ("--size long", "try 1200, 4M or 4MiB"),
        ("--train 65", "must be between 1 and 64"),
        ("--train 64 --size 1200", "a message holds up to 54"),
        ("--sweep 10", "try 10k..200k"),
        ("--sweep 2k..1k", "the first rate must be lower than the second"),
        ("--sweep 1..9 --steps 1", "must be between 2 and 1,000"),
        ("--sources many", "try 256, 10k or 1e6"),
        (
            "--sources-by addresses ::1",
            "cannot send to [::1]:9999 from addresses of 127.0.0.0/8: use ports",
        ),
        ("--sources-by addresses --sources 20M", "127.0.0.0/8 has 16777214 addresses to send from"),
        ("--threads 2 --sources 1", "2 threads: each needs a source"),
        ("--threads 2 --outstanding 1", "must be at least --train times --threads (2)"),
        ("--poisson", "--poisson requires --rate, --sweep or --find-max"),
        ("--rate 5 --outstanding 5", "'--rate <RATE>' cannot be used with '--outstanding <COUNT>'"),
        ("--find-max --count 5", "'--find-max' cannot be used with '--count <COUNT>'"),
        ("--find-max --sweep 1..2", "'--find-max' cannot be used with '--sweep <RATE..RATE>'"),
        ("--tolerance 1", "--find-max"),
        ("--find-max --tolerance 101", "must be between 0 and 100"),
        ("--find-max --resolution x", "try 1 or 0.5"),
        ("--timeout 0", "must be longer than 0"),
        ("--warm-up x", "try 0.5, 500ms or 1m30s"),
        ("-4 -6", "'--ipv4' cannot be used with '--ipv6'"),
        ("-4 ::1", "[::1]:9999 has no IPv4 address: try without -4"),
        ("127.0.0.1:0", "port 0 is not a valid destination"),
    ] {
        let Finished { err, status, .. } = load(&Vec::from_iter(arguments.split(' ')));
        assert_eq!(status, Some(2), "{arguments}");
        assert!(err.contains(advice), "{arguments}: {err}");
    }
}
