//! Errors of the system, injected by strace.

use std::fs;
use std::process::Command;

use crate::support::{CLIENT, Finished, SERVER, ask, have, json, listening, peer, server, summary};

/// Runs a tool under strace, which makes a system call fail as `fault` says, and which stands
/// aside (`-D`), so that the process we start and signal is the tool itself.
fn injected(fault: &str, tool: &str) -> Command {
    let mut command = Command::new("strace");
    command
        .args(["--quiet=all", "-D", "-f", "-o", "/dev/null", "-e"])
        .arg(format!("inject={fault}"));
    command.arg(tool);
    command
}

/// The back ends, and by which system call each sends. Both receive by recvmmsg.
const CALLS: [(&str, &str); 2] = [("linux", "sendmmsg"), ("portable", "sendmsg")];

#[test]
fn a_reply_that_the_system_does_not_take_is_counted_and_the_next_is_sent() {
    if !have(
        "strace",
        "-V",
        "a_reply_that_the_system_does_not_take_is_counted_and_the_next_is_sent",
    ) {
        return;
    }
    for (back_end, send) in CALLS {
        // A firewall's word, a full send buffer, a system short of memory.
        for (error, class) in
            [("EPERM", "denied"), ("EAGAIN", "would-block"), ("ENOBUFS", "no-buffers")]
        {
            let mut command = injected(&format!("{send}:error={error}:when=1"), SERVER);
            command.args(["--io", back_end, "--bind", "127.0.0.1:0"]);
            let (mut server, address) = listening(&mut command);
            let client = peer();
            client.send_to(b"first", address).expect("sent");
            // One after the other, for those that come together from one source leave together.
            let line = server.json();
            assert_eq!((&line["outcome"], &line["reason"]), (&"send-failed".into(), &class.into()));
            assert_eq!(ask(&client, address, b"second"), b"Hello, second!");
            let summary = summary(server);
            let counts = (&summary["answered"], &summary["send_failed"][class]);
            assert_eq!(counts, (&1.into(), &1.into()), "{back_end}: {summary}");
        }
    }
}

#[test]
fn a_send_that_a_signal_interrupts_costs_no_reply() {
    if !have("strace", "-V", "a_send_that_a_signal_interrupts_costs_no_reply") {
        return;
    }
    for (back_end, send) in CALLS {
        let mut command = injected(&format!("{send}:error=EINTR:when=1..3"), SERVER);
        command.args(["--io", back_end, "--bind", "127.0.0.1:0"]);
        let (server, address) = listening(&mut command);
        assert_eq!(ask(&peer(), address, b"Tracy"), b"Hello, Tracy!");
        assert_eq!(summary(server)["answered"], 1, "{back_end}");
    }
}

#[test]
fn only_a_spinning_server_asks_for_datagrams_before_it_waits() {
    let test = "only_a_spinning_server_asks_for_datagrams_before_it_waits";
    if !have("strace", "-V", test) {
        return;
    }
    for (options, spins) in [(&[][..], false), (&["--spin", "5ms"], true)] {
        let log = format!("{}/spins-{spins}", env!("CARGO_TARGET_TMPDIR"));
        let mut command = Command::new("strace");
        command.args(["--quiet=all", "-D", "-f", "-e", "trace=recvmmsg", "-o", &log, SERVER]);
        let (server, address) = listening(command.args(options).args(["--bind", "127.0.0.1:0"]));
        assert_eq!(ask(&peer(), address, b"Tracy"), b"Hello, Tracy!");
        assert_eq!(summary(server)["answered"], 1);
        let calls = fs::read_to_string(&log).expect("written");
        // Behind it the server looks what is left when it stops.
        let end = calls.find("Tracy").and_then(|at| calls[at..].find('\n').map(|line| at + line));
        let serving = &calls[..end.expect("received")];
        assert_eq!(serving.contains("MSG_DONTWAIT"), spins, "{calls}");
    }
}

#[test]
fn a_server_survives_receive_calls_that_fail() {
    if !have("strace", "-V", "a_server_survives_receive_calls_that_fail") {
        return;
    }
    for (back_end, _) in CALLS {
        for (error, class) in [
            ("EINTR", "interrupted"),
            ("EPERM", "denied"),
            ("ENOMEM", "no-buffers"),
            ("ENETDOWN", "unreachable"),
        ] {
            // The first three calls of each thread.
            let mut command = injected(&format!("recvmmsg:error={error}:when=1..3"), SERVER);
            command.args(["--io", back_end, "--bind", "127.0.0.1:0"]);
            let (server, address) = listening(&mut command);
            assert_eq!(ask(&peer(), address, b"Tracy"), b"Hello, Tracy!");
            let summary = summary(server);
            let errors = summary["receive_errors"][class].as_u64().expect("a number");
            match (back_end, error) {
                // It tries again by itself.
                ("portable", "EINTR") => assert_eq!(errors, 0, "{summary}"),
                // Of real ones there may be more.
                (_, "EINTR") => assert!(errors >= 3, "{summary}"),
                _ => assert_eq!(errors, 3, "{error}: {summary}"),
            }
            assert_eq!(summary["answered"], 1, "{error}");
        }
    }
}

#[test]
fn a_client_that_a_firewall_forbids_to_send_says_so() {
    if !have("strace", "-V", "a_client_that_a_firewall_forbids_to_send_says_so") {
        return;
    }
    let mut command = injected("sendto:error=EPERM", CLIENT);
    let silent = peer();
    let address = silent.local_addr().expect("bound").to_string();
    command.args(["--server", &address, "--timeout", "10ms", "--attempts", "2", "Tracy"]);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!((&*out, status), ("", Some(1)));
    let denied = "not permitted (a firewall, a prohibiting route or a broadcast address)";
    let note = format!("hello-client: {address}: {denied}; still waiting\n");
    let result = format!("hello-client: Tracy: {denied}: {address} (2 attempts in ");
    assert!(err.starts_with(&format!("{note}{result}")), "{err}");
}

#[test]
fn an_error_of_an_earlier_request_costs_the_next_one_nothing() {
    if !have("strace", "-V", "an_error_of_an_earlier_request_costs_the_next_one_nothing") {
        return;
    }
    // What ICMP reports of one request comes out of the next send, which then sends nothing.
    let mut command = injected("sendto:error=ECONNREFUSED:when=1", CLIENT);
    let (server, address) = server(&["--bind", "127.0.0.1:0"]);
    let address = address.to_string();
    command.args(["--server", &address, "--timeout", "20s", "--attempts", "1", "Tracy"]);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!((&*out, status), ("Hello, Tracy!\n", Some(0)));
    let note = format!("hello-client: {address}: refused (nothing listens there); still waiting\n");
    assert_eq!(err, note);
    assert_eq!(summary(server)["answered"], 1);
}

#[test]
fn a_server_whose_socket_is_broken_sums_up_and_fails() {
    if !have("strace", "-V", "a_server_whose_socket_is_broken_sums_up_and_fails") {
        return;
    }
    let mut command = injected("recvmmsg:error=EBADF", SERVER);
    let output = command.args(["--json", "--bind", "127.0.0.1:0"]).output();
    let Finished { out, err, status } = output.expect("runs").into();
    let summary = json(out.lines().last().expect("a summary"));
    assert_eq!((&summary["event"], &summary["received"]), (&"summary".into(), &0.into()));
    assert!(err.contains("cannot receive at 127.0.0.1:"), "{err}");
    assert_eq!(status, Some(2));
}

#[test]
fn a_server_without_threads_fails_with_the_reason() {
    if !have("strace", "-V", "a_server_without_threads_fails_with_the_reason") {
        return;
    }
    // The printing thread, the one that serves, and the last of the workers that it starts.
    for which in 1..=3 {
        let mut command = injected(&format!("clone3,clone:error=EAGAIN:when={which}"), SERVER);
        let output = command.args(["--json", "--bind", "127.0.0.1:0", "--workers", "3"]).output();
        let Finished { err, status, .. } = output.expect("runs").into();
        assert!(err.contains("Resource temporarily unavailable"), "{which}: {err}");
        assert_eq!(status, Some(2), "{which}");
    }
}

#[test]
fn a_route_that_is_missing_for_a_moment_costs_nothing() {
    if !have("strace", "-V", "a_route_that_is_missing_for_a_moment_costs_nothing") {
        return;
    }
    let mut command = injected("connect:error=ENETUNREACH:when=1..2", CLIENT);
    let (server, address) = server(&["--bind", "127.0.0.1:0"]);
    let address = address.to_string();
    command.args(["--server", &address, "--timeout", "100ms", "--attempts", "9", "Tracy"]);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!((&*out, status), ("Hello, Tracy!\n", Some(0)));
    assert_eq!(err, format!("hello-client: {address}: unreachable; still waiting\n"));
    drop(server);
}
