//! Servers that answer nothing.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::scripted_server::Server;
use super::{CLOSED_PORT, lines, load, run, start_load};
use crate::support::{Finished, json, peer, server};

/// Each mode, in a run that would take longer than any test.
const ENDLESS: [&[&str]; 5] = [
    &["--rate", "500", "--duration", "1h"],
    &["--duration", "1h"],
    &["--duration", "1h", "--warm-up", "0"],
    &["--find-max", "--duration", "1h"],
    &["--sweep", "1k..2k", "--duration", "1h"],
];

/// Returns the last line of a run that ends because nothing is answered.
fn unanswered(arguments: &[&str]) -> Value {
    let (lines, status) = lines(arguments);
    assert_eq!(status, Some(1), "{lines:?}");
    let last = lines.last().expect("a result").clone();
    assert_eq!(last["conclusion"]["outcome"], "no-answer", "{last}");
    last
}

#[test]
fn closed_port_ends_the_run_and_is_named_with_what_to_do() {
    for mode in ENDLESS {
        let last = unanswered(&[mode, &[CLOSED_PORT]].concat());
        assert_eq!(last["no_answer"]["reason"], "refused");
        let headline = format!(
            "{CLOSED_PORT} refused the requests: no server is listening on that port, or a firewall rejects it. \
             Start a server with: hello-server --bind {CLOSED_PORT}"
        );
        assert_eq!(last["headline"], headline);
        let Finished { out, err, status } = load(&[mode, &[CLOSED_PORT]].concat());
        assert_eq!((&*err, status), ("", Some(1)));
        assert!(out.contains(&format!("\n\n{headline}\n")), "{out}");
        assert!(!out.contains("during the warm-up"), "{out}");
    }
}

#[test]
fn short_run_does_not_hide_a_refusal() {
    for options in [
        &["--duration", "20ms"][..],
        &["--duration", "20ms", "--warm-up", "0"],
        &["--rate", "500", "--count", "20", "-W", "50ms"],
        &["--outstanding", "4", "--count", "20", "-W", "50ms"],
        &["--find-max", "--rate", "200", "--duration", "20ms", "-W", "20ms"],
        &["--sweep", "100..200", "--duration", "20ms", "-W", "20ms"],
    ] {
        let last = unanswered(&[options, &[CLOSED_PORT]].concat());
        assert_eq!(last["no_answer"]["reason"], "refused", "{options:?}");
    }
}

#[test]
fn refused_size_ends_the_run_and_is_distinguished_from_silence() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0", "--quiet"]);
    let (to, silent) = (address.to_string(), peer());
    let silent = silent.local_addr().expect("bound").to_string();
    for mode in ENDLESS {
        let last = unanswered(&[mode, &["--size", "1400", &to]].concat());
        let headline = format!(
            "no reply from {to} to 1400-byte names within 1s, but to a 16-byte name: it refuses \
             this size; try a smaller --size"
        );
        assert_eq!(last["headline"], headline);
        assert_eq!(last["no_answer"]["reason"], "size");
        assert_eq!(last["no_answer"]["greeting_answered"], true);
        let last = unanswered(&[mode, &["--size", "1400", &silent]].concat());
        assert_eq!(last["no_answer"]["reason"], "silent");
        assert_eq!(last["no_answer"]["greeting_answered"], false);
    }
}

#[test]
fn timeout_longer_than_a_second_is_waited_for() {
    let silent = peer();
    let silent = silent.local_addr().expect("bound").to_string();
    let last = unanswered(&["--rate", "500", "--duration", "1h", "-W", "1.5", &silent]);
    assert_eq!(last["no_answer"]["waited_s"], 1.5);
    let headline = last["headline"].as_str().expect("text");
    assert!(headline.starts_with(&format!("no reply from {silent} within 1.5s, ")), "{headline}");
}

#[test]
fn run_whose_server_answers_anything_goes_on() {
    for options in [&["--rate", "500"][..], &["--outstanding", "64"]] {
        let server = Server::start(|request| (request.number == 3).then(|| request.greeting()));
        let to = server.address();
        let times = ["--duration", "1.5", "--warm-up", "0", "-W", "200ms", &to];
        let (summary, status) = run(&[options, &times].concat());
        assert_eq!((&summary["answered"], status), (&1.into(), Some(0)));
        assert_eq!(summary["duration_s"], 1.5, "{summary}");
        assert!(summary["no_answer"].is_null(), "{summary}");
    }
}

#[test]
fn echo_that_came_in_the_warm_up_only_is_not_called_silence() {
    let server = Server::start(|request| Some(request.name.clone()));
    let to = server.address();
    for mode in ENDLESS {
        let last = unanswered(&[mode, &[&to]].concat());
        assert_eq!(last["no_answer"]["reason"], "unrelated", "{mode:?}: {last}");
    }
}

#[test]
fn late_server_refuses_no_size() {
    let server = Server::start(|request| {
        thread::sleep(Duration::from_millis(100));
        Some(request.greeting())
    });
    let to = server.address();
    for size in ["16", "64"] {
        let last = unanswered(&["-c", "1", "-W", "10ms", "--size", size, &to]);
        assert_eq!(last["no_answer"]["reason"], "late", "{last}");
    }
}

#[test]
fn first_interrupt_ends_the_wait_for_the_greeting_after_the_run() {
    let server = Server::start(|_| None);
    let to = server.address();
    let options = ["-c", "1", "--outstanding", "1", "-W", "3s", "--json", &to];
    let process = start_load(&options);
    // The greeting, which is waited for as long as the request.
    server.wait_for(2);
    process.signal(Signal::INT);
    let (lines, status) = process.finish();
    let last = json(lines.last().expect("a result"));
    assert_eq!((&last["no_answer"]["reason"], status), (&"silent".into(), Some(1)), "{last}");
    assert_eq!(last["no_answer"]["greeting_answered"], Value::Null, "{last}");
    assert_eq!(server.finish()[1].name, b"hello-load check");
}
