//! `hello-ping` as people and scripts use it.

pub(crate) mod files;
mod fleet;
mod headers;
mod join;
mod options;
mod outages;
mod output;
mod status;
mod targets;
#[cfg(target_os = "linux")]
mod traces;

use std::process::Command;

use serde_json::Value;

use crate::support::{Finished, PING, Process, json};

/// An address with a closed port: nothing else binds this loopback address.
const CLOSED_PORT: &str = "127.78.0.1:9";

/// Runs `hello-ping` to its end.
fn ping(arguments: &[&str]) -> Finished {
    Command::new(PING).args(arguments).output().expect("hello-ping runs").into()
}

/// Starts `hello-ping`.
fn start_ping(arguments: &[&str]) -> Process {
    Process::start(Command::new(PING).args(arguments))
}

/// Returns the last line of a run with `--json`.
fn summary(out: &str) -> Value {
    let summary = json(out.lines().last().expect("a summary"));
    assert_eq!(summary["event"], "summary", "{out}");
    summary
}

/// Waits for the next JSON line of this event.
fn wait_for(process: &mut Process, event: &str) -> Value {
    loop {
        let line = process.json();
        if line["event"] == event {
            return line;
        }
    }
}
