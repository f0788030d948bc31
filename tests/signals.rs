//! How the tools end on signals.

mod blocked;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use crate::relay::{Inconclusive, retry_until_conclusive};
use crate::support::{
    CLIENT, LOAD, PING, Process, SERVER, json, listening, peer, receive, run_in_namespace,
};

/// Starts a tool that sends requests to a server endlessly.
fn start_sending(tool: &str, server: SocketAddr) -> Process {
    Process::start(&mut command(tool, server))
}

/// Returns a command that sends requests to a server endlessly.
fn command(tool: &str, server: SocketAddr) -> Command {
    let mut command = with_default_sighup(tool);
    command.args(arguments(tool)).arg(server.to_string());
    command
}

/// The arguments that make a tool send requests endlessly.
fn arguments(tool: &str) -> Vec<&str> {
    let without_end = match tool {
        LOAD => &["--rate", "100", "--duration", "1h", "--warm-up", "0"][..],
        _ => &["-i", "10ms"],
    };
    [without_end, &["--every", "100ms", "--json"]].concat()
}

/// Returns a command that runs a tool with SIGHUP's default action, even if the tests ignore SIGHUP
/// (nohup(1)).
fn with_default_sighup(tool: &str) -> Command {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t"));
    let ignored = ignored.and_then(|signals| u64::from_str_radix(signals, 16).ok());
    if ignored.is_none_or(|signals| signals & 1 == 0) {
        return Command::new(tool);
    }
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", tool]);
    command
}

fn reply(peer: &UdpSocket, name: &[u8], client: SocketAddr) {
    peer.send_to(&[b"Hello, ", name, b"!"].concat(), client).expect("sent");
}

fn address(peer: &UdpSocket) -> SocketAddr {
    peer.local_addr().expect("bound")
}

/// Waits for a request, answers it, and waits for the next one. By then, or soon after, the client
/// knows the reply.
fn answer_one(peer: &UdpSocket) {
    let (name, client) = receive(peer);
    reply(peer, &name, client);
    receive(peer);
}

#[test]
fn sighup_ends_with_a_summary() {
    for tool in [PING, LOAD] {
        let peer = peer();
        let process = start_sending(tool, address(&peer));
        answer_one(&peer);
        process.signal(Signal::HUP);
        let (lines, status) = process.finish();
        let summary = json(lines.last().expect("a summary"));
        assert_eq!((&summary["event"], status), (&"summary".into(), Some(0)), "{tool}");
    }
    let (server, _) = listening(with_default_sighup(SERVER).args(["--bind", "127.0.0.1:0"]));
    server.signal(Signal::HUP);
    let (lines, status) = server.finish();
    let summary = json(lines.last().expect("a summary"));
    assert_eq!((&summary["event"], status), (&"summary".into(), Some(0)));
}

#[test]
fn sighup_ignored_at_the_start_stays_ignored() {
    for tool in [PING, LOAD] {
        let peer = peer();
        let mut nohup = Command::new("sh");
        nohup.args(["-c", "trap '' HUP; exec \"$@\"", "sh", tool]);
        nohup.args(arguments(tool)).arg(address(&peer).to_string());
        let process = Process::start(&mut nohup);
        answer_one(&peer);
        process.signal(Signal::HUP);
        // Far more than can be in flight.
        for _ in 0..50 {
            receive(&peer);
        }
        process.signal(Signal::INT);
        let (lines, status) = process.finish();
        let summary = json(lines.last().expect("a summary"));
        assert_eq!((&summary["event"], status), (&"summary".into(), Some(0)), "{tool}");
    }
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$@\"", "sh", SERVER, "--bind", "127.0.0.1:0"]);
    let (mut server, _) = listening(&mut nohup);
    server.signal(Signal::HUP);
    server.signal(Signal::USR1);
    assert_eq!(server.json()["event"], "snapshot");
    assert_eq!(crate::support::summary(server)["received"], 0);
}

#[test]
fn second_signal_ends_the_drain_with_a_summary() {
    for tool in [PING, LOAD] {
        retry_until_conclusive(0, |_| {
            let peer = peer();
            let mut process = Process::start(command(tool, address(&peer)).args(["-W", "1h"]));
            answer_one(&peer);
            let status = process.end(|process| process.signal(Signal::INT));
            let (lines, _) = process.finish();
            // A machine that stalls for half a second cannot print in that time.
            let code =
                status.code().ok_or_else(|| Inconclusive(format!("the tool died: {status}")))?;
            let summary = json(lines.last().expect("a summary"));
            assert_eq!((&summary["event"], code), (&"summary".into(), 0), "{tool}");
            assert!(crate::support::count(&summary["in_flight"]) > 0, "{summary}");
            Ok(())
        });
    }
}

#[test]
fn interrupt_ends_every_tool_during_a_name_lookup() {
    let test = "interrupt_ends_every_tool_during_a_name_lookup";
    let tools = [PING, LOAD, CLIENT];
    let Some(ends) = run_in_namespace(test, "silent_resolver.py", &tools) else { return };
    assert_eq!(ends, json!({"hello-ping": -2, "hello-load": -2, "hello-client": -2}));
}

#[test]
fn datagram_storm_does_not_keep_a_tool_from_ending() {
    for tool in [PING, LOAD] {
        let peer = peer();
        let mut process = start_sending(tool, address(&peer));
        let (name, client) = receive(&peer);
        reply(&peer, &name, client);
        let summary = thread::scope(|scope| {
            let (stop, stopped) = mpsc::channel::<()>();
            let peer = &peer;
            scope.spawn(move || {
                // Until the tool has ended or the test has failed.
                while stopped.try_recv() != Err(TryRecvError::Disconnected) {
                    let _ = peer.send_to(b"Hello, stranger!", client);
                }
            });
            // The header, and at least one interval line during the storm.
            for _ in 0..5 {
                process.line();
            }
            process.signal(Signal::INT);
            let (lines, status) = process.finish();
            drop(stop);
            assert_eq!(status, Some(0), "{tool}");
            json(lines.last().expect("a summary"))
        });
        assert_eq!(summary["event"], "summary", "{tool}");
    }
}
