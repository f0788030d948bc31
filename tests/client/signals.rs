//! `hello-client` under signals.

use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::reply;
use crate::support::{CLIENT, Process, json as parsed, peer, receive, start_client};

/// Starts a client that sends three names to a peer of the test.
fn start_three(address: &str, arguments: &[&str]) -> Process {
    let mut command = Command::new(CLIENT);
    command.args(["--server", address]).args(arguments).args(["Michael", "Tracy", "Sarah"]);
    start(command.arg("--json"))
}

/// Starts a client, and reads the line with its plan.
fn start(command: &mut Command) -> Process {
    let mut client = Process::start(command);
    assert_eq!(client.json()["event"], "start");
    client
}

/// Parses a line, and removes its time of day.
fn untimed(line: &str) -> Value {
    let mut line = parsed(line);
    let time = line.as_object_mut().expect("an object").remove("time").expect("a time");
    assert!(time.as_str().is_some_and(|time| time.ends_with('Z')), "{time}");
    line
}

#[test]
fn signal_lets_the_current_wait_end_and_sends_no_further_name() {
    let peer = peer();
    let address = peer.local_addr().expect("bound").to_string();
    let mut client = start_three(&address, &["--timeout", "300ms", "--attempts", "9"]);
    let (name, source) = receive(&peer);
    peer.send_to(&reply(&name), source).expect("sent");
    assert_eq!(client.json()["name"], "Michael");
    receive(&peer);
    client.signal(Signal::INT);
    let (lines, status) = client.finish();
    assert_eq!(status, Some(1));
    let [result, end] = &lines[..] else { panic!("{lines:?}") };
    let result = parsed(result);
    assert_eq!((&result["event"], &result["name"]), (&"unanswered".into(), &"Tracy".into()));
    assert!(result["elapsed_ms"].as_f64() >= Some(300.0), "{result}");
    let expected = json!({
        "event": "interrupted", "greeted": 1, "not_greeted": 1, "not_sent": 1, "input_left": false,
    });
    assert_eq!(untimed(end), expected);
}

#[test]
fn second_signal_ends_the_client_at_once() {
    let peer = peer();
    let address = peer.local_addr().expect("bound").to_string();
    let mut client = start_three(&address, &["--timeout", "1h"]);
    receive(&peer);
    // Repeated, because signals in quick succession count as one.
    client.end(|client| {
        client.signal(Signal::TERM);
        thread::sleep(Duration::from_millis(110));
    });
    let (lines, status) = client.finish();
    assert_eq!(status, Some(1), "{lines:?}");
    assert!(lines[1].contains(r#""not_greeted":1,"not_sent":2"#), "{lines:?}");
}

#[test]
fn signal_ends_a_client_that_waits_for_names() {
    let mut client = start(Command::new(CLIENT).args(["--local", "--json", "-", "Bob"]));
    client.write(b"Tracy\n");
    assert_eq!(client.json()["name"], "Tracy");
    client.signal(Signal::INT);
    let (lines, status) = client.finish();
    assert_eq!(status, Some(1));
    let expected = json!({
        "event": "interrupted", "greeted": 1, "not_greeted": 0, "not_sent": 1, "input_left": true,
    });
    assert_eq!(lines.iter().map(|line| untimed(line)).collect::<Vec<_>>(), [expected]);
}

#[test]
fn signal_during_the_last_wait_leaves_nothing_out() {
    let peer = peer();
    let address = peer.local_addr().expect("bound").to_string();
    let client = start_client(&address, &["Tracy"]);
    let (name, source) = receive(&peer);
    client.signal(Signal::INT);
    peer.send_to(&reply(&name), source).expect("sent");
    assert_eq!(client.finish(), (vec!["Hello, Tracy!".to_owned()], Some(0)));
}

#[test]
fn reply_received_while_the_client_was_stopped_counts() {
    let server = peer();
    let address = server.local_addr().expect("bound").to_string();
    let wait = Duration::from_secs(2);
    let arguments = ["--server", &address, "--timeout", "2s", "--attempts", "1", "Tracy"];
    let client = Process::start(Command::new(CLIENT).args(arguments));
    let (_, source) = receive(&server);
    client.signal(Signal::STOP);
    client.wait_until_stopped();
    server.send_to(b"Hello, Tracy!", source).expect("sent");
    // Waits for the deadline to pass, not for an event.
    thread::sleep(wait);
    client.signal(Signal::CONT);
    assert_eq!(client.finish(), (vec!["Hello, Tracy!".to_owned()], Some(0)));
}
