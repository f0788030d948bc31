//! Errors of tools that run out of file descriptors.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{CLIENT, Finished, LOAD, PING, SERVER};

/// An address where no server answers.
const CLOSED_PORT: &str = "127.78.0.1:9";

/// What each tool except the client needs descriptors for.
const SIGNALS: &str = "TOOL: cannot start the thread that handles signals: Too many open files";

/// Returns a command that runs a tool with at most `descriptors` descriptors.
fn limited(descriptors: u32, tool: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {descriptors} && exec \"$@\"");
    command.args(["-c", &script, "sh", tool]).args(arguments);
    command
}

/// Runs a tool to its end, and stops it once it has printed a line.
fn run(command: &mut Command) -> Finished {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("runs");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    out.read_line(&mut line).expect("UTF-8");
    if !line.is_empty() {
        kill_process(Pid::from_child(&child), Signal::TERM).expect("our own child");
    }
    let mut finished = Finished::from(child.wait_with_output().expect("our own child"));
    finished.out = line;
    finished
}

/// Runs a tool with one more descriptor each time, and returns its errors until it succeeds. No
/// program can be loaded with fewer than four.
fn errors(tool: &str, arguments: &[&str]) -> Vec<String> {
    let (mut errors, mut enough) = (Vec::new(), false);
    for descriptors in 4..32 {
        let Finished { err, status, .. } = run(&mut limited(descriptors, tool, arguments));
        enough = !err.contains("Too many open files");
        if enough {
            assert_ne!(status, Some(2), "{descriptors}: {err}");
        } else {
            assert!(err.contains("`ulimit -n`"), "{descriptors}: {err}");
            errors.push(err);
        }
    }
    assert!(enough, "32 are enough: {errors:?}");
    errors
}

/// Checks that each error starts with one of the prefixes, and that each prefix occurs.
fn assert_prefixes(errors: &[String], prefixes: &[&str]) {
    let begins = |error: &String| prefixes.iter().position(|prefix| error.starts_with(prefix));
    let mut found = Vec::from_iter(errors.iter().map(begins));
    found.sort_unstable();
    found.dedup();
    let expected = Vec::from_iter((0..prefixes.len()).map(Some));
    assert_eq!(found, expected, "{errors:#?}");
}

#[test]
fn server_without_descriptors_names_what_needs_them() {
    let path = format!("{}/descriptors.prom", env!("CARGO_TARGET_TMPDIR"));
    let bind = ["--bind", "127.0.0.1:0", "--bind", "127.0.0.1:0", "--metrics-file", &path];
    let wake = "hello-server: cannot open socket pairs for wake-ups: Too many open files";
    let signals = SIGNALS.replace("TOOL", "hello-server");
    let file = format!("hello-server: cannot write the metrics file {path:?}");
    let port = "hello-server: cannot bind 127.0.0.1:0: Too many open files";
    assert_prefixes(&errors(SERVER, &bind), &[port, wake, &signals, &file]);
}

/// Checks the errors of a tool with several ports, each of which needs descriptors; `advice` names
/// the option that reduces them.
fn assert_port_errors(tool: &str, path: &str, arguments: &[&str], advice: &str) {
    let errors = errors(path, &[arguments, &["-W", "10ms", CLOSED_PORT]].concat());
    let signals = SIGNALS.replace("TOOL", tool);
    let port = format!("{tool}: cannot send to {CLOSED_PORT}: Too many open files");
    let wake = format!("{tool}: cannot open socket pairs for wake-ups: Too many open files");
    assert_prefixes(&errors, &[&signals, &port, &wake]);
    let port_errors = errors.iter().filter(|error| error.starts_with(&port));
    for error in port_errors {
        assert!(error.contains(advice), "{error}");
    }
}

#[test]
fn ping_without_descriptors_names_its_flows() {
    assert_port_errors("hello-ping", PING, &["--flows", "4", "-c", "1"], "use fewer --flows");
}

#[test]
fn load_without_descriptors_names_its_sources() {
    let arguments = ["--sources", "4", "--duration", "10ms", "--warm-up", "0"];
    assert_port_errors("hello-load", LOAD, &arguments, "use fewer --sources");
}

#[test]
fn client_without_descriptors_reports_the_missing_port() {
    let arguments = ["--local", "--attempts", "1", "--timeout", "10ms", "Tracy"];
    let errors = errors(CLIENT, &arguments);
    let pairs = "hello-client: cannot open socket pairs for wake-ups";
    let signals = SIGNALS.replace("TOOL", "hello-client");
    let port = "hello-client: 127.0.0.1:";
    assert_prefixes(&errors, &[pairs, &signals, port]);
    let ports = errors.iter().filter(|error| error.starts_with(port));
    for error in ports {
        assert!(error.contains(": cannot open a socket: Too many open files"), "{error}");
    }
}
