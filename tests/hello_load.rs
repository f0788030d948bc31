//! `hello-load` as people and scripts use it, with its output compared with the servers' records.

mod files;
mod foreign;
mod no_contact;
mod offer;
mod output;
mod schema;
mod scripted_server;
mod search;
mod stalls;
mod status;
mod truth;

use std::process::Command;

use serde_json::Value;

use crate::support::{Finished, LOAD, Process, count, json};

/// An address with a closed port: nothing else binds this loopback address.
const CLOSED_PORT: &str = "127.78.0.3:9";

/// Arguments of a run that a server answers in milliseconds, even on a slow machine.
const FEW: [&str; 6] = ["--outstanding", "4", "--count", "20", "-W", "20s"];

/// Runs `hello-load` to its end.
fn load(arguments: &[&str]) -> Finished {
    Command::new(LOAD).args(arguments).output().expect("hello-load runs").into()
}

/// Starts `hello-load`.
fn start_load(arguments: &[&str]) -> Process {
    Process::start(Command::new(LOAD).args(arguments))
}

/// Runs `hello-load --json` to its end, and returns its lines and its status.
fn lines(arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
    let Finished { out, err, status } = load(&[arguments, &["--json"]].concat());
    assert_eq!(err, "");
    (out.lines().map(json).collect(), status)
}

/// Returns the result of a run with `--json`, and its status.
fn run(arguments: &[&str]) -> (Value, Option<i32>) {
    let (mut lines, status) = lines(arguments);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let summary = lines.pop().expect("two");
    assert_eq!((&lines[0]["event"], &summary["event"]), (&"start".into(), &"summary".into()));
    (summary, status)
}

/// Returns the number of requests that were due but not sent; a busy machine may have some.
fn not_sent(summary: &Value) -> u64 {
    summary["not_sent"].as_object().expect("counts").values().map(count).sum()
}

/// Returns the number of requests that were due.
fn due(summary: &Value) -> u64 {
    count(&summary["sent"]) + not_sent(summary)
}
