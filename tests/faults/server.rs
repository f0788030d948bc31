//! `hello-server` with system calls that fail at the start, or permanently.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::injected;
use crate::support::{BACK_ENDS, Finished, SERVER, exchange, have, json, listening, peer, summary};

#[test]
fn only_a_busy_polling_server_receives_before_it_waits() {
    let test = "only_a_busy_polling_server_receives_before_it_waits";
    if !have("strace", "-V", test) {
        return;
    }
    for (options, spins) in [(&[][..], false), (&["--spin", "5ms"], true)] {
        let log = format!("{}/spins-{spins}", env!("CARGO_TARGET_TMPDIR"));
        let mut command = Command::new("strace");
        command.args(["--quiet=all", "-D", "-f", "-e", "trace=recvmmsg", "-o", &log, SERVER]);
        let (server, address) = listening(command.args(options).args(["--bind", "127.0.0.1:0"]));
        assert_eq!(exchange(&peer(), address, b"Tracy"), b"Hello, Tracy!");
        assert_eq!(summary(server)["answered"], 1);
        let calls = fs::read_to_string(&log).expect("written");
        // After it, the server receives what is queued when it stops.
        let end = calls.find("Tracy").and_then(|at| calls[at..].find('\n').map(|line| at + line));
        let serving = &calls[..end.expect("received")];
        assert_eq!(serving.contains("MSG_DONTWAIT"), spins, "{calls}");
    }
}

#[test]
fn server_with_a_broken_socket_prints_its_summary_and_fails() {
    if !have("strace", "-V", "server_with_a_broken_socket_prints_its_summary_and_fails") {
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
fn server_without_threads_fails_with_the_reason() {
    if !have("strace", "-V", "server_without_threads_fails_with_the_reason") {
        return;
    }
    // The printing thread, the serving thread, and the last worker that it starts.
    for which in 1..=3 {
        let mut command = injected(&format!("clone3,clone:error=EAGAIN:when={which}"), SERVER);
        let output = command.args(["--json", "--bind", "127.0.0.1:0", "--workers", "3"]).output();
        let Finished { err, status, .. } = output.expect("runs").into();
        assert!(err.contains("Resource temporarily unavailable"), "{which}: {err}");
        assert_eq!(status, Some(2), "{which}");
    }
}

#[test]
fn socket_error_is_reported_with_its_reason() {
    let test = "socket_error_is_reported_with_its_reason";
    if !have("strace", "-V", test) {
        return;
    }
    for back_end in BACK_ENDS {
        for (fault, reason) in [
            ("socket:error=EMFILE", "Too many open files"),
            ("socket:error=ENFILE", "Too many open files in system"),
            ("socket:error=ENOBUFS", "No buffer space available"),
            ("socket:error=EACCES", "Permission denied"),
            ("bind:error=EACCES", "Permission denied"),
            ("bind:error=ENOMEM", "Cannot allocate memory"),
            ("bind:error=EADDRINUSE", "the port is in use"),
            ("getsockname:error=ENOBUFS", "No buffer space available"),
            ("setsockopt:error=ENOMEM", "Cannot allocate memory"),
        ] {
            let mut command = injected(fault, SERVER);
            command.args(["--json", "--backend", back_end, "--bind", "127.0.0.1:0"]);
            let Finished { out, err, status } = command.output().expect("runs").into();
            assert_eq!((&*out, status), ("", Some(2)), "{back_end}: {fault}");
            let printed = err.strip_prefix("hello-server: cannot bind 127.0.0.1:0: ");
            assert!(
                printed.is_some_and(|printed| printed.contains(reason)),
                "{back_end}: {fault}: {err}"
            );
            // Port 0 needs no privilege.
            assert!(!err.contains("below 1024"), "{back_end}: {fault}: {err}");
        }
    }
}

#[test]
fn server_works_without_gso_and_gro() {
    let test = "server_works_without_gso_and_gro";
    if !have("strace", "-V", test) {
        return;
    }
    // UDP_GRO is the third option that is set, after the receive timeout and IP_MTU_DISCOVER.
    let mut command = injected("setsockopt:error=ENOPROTOOPT:when=3", SERVER);
    command.args(["--backend", "native", "--bind", "127.0.0.1:0"]);
    let (server, address) = listening(&mut command);
    assert_eq!(exchange(&peer(), address, b"Tracy"), b"Hello, Tracy!");
    assert_eq!(summary(server)["answered"], 1);
}

#[test]
fn each_error_class_is_logged_once_and_fully_counted() {
    if !have("strace", "-V", "each_error_class_is_logged_once_and_fully_counted") {
        return;
    }
    const REQUESTS: u64 = 40;
    for quiet in [&["--quiet"][..], &[]] {
        let mut command = injected("sendmmsg,sendmsg:error=EPERM", SERVER);
        command.args(["--bind", "127.0.0.1:0"]).args(quiet);
        let (mut server, address) = listening(&mut command);
        let client = peer();
        for _ in 0..REQUESTS {
            client.send_to(b"Tracy", address).expect("sent");
        }
        let (mut errors, mut seen) = (0, Value::Null);
        // The printing thread is not the one that counts.
        while seen["send_failed"]["denied"] != REQUESTS || errors == 0 {
            server.signal(Signal::USR1);
            let line = server.json();
            match line["event"].as_str() {
                Some("snapshot") => seen = line,
                Some("datagram") if line["reason"] == "denied" => errors += 1,
                _ => panic!("{line}"),
            }
        }
        assert_eq!(errors, 1);
        assert_eq!(summary(server)["send_failed"]["denied"], REQUESTS);
    }
}

#[test]
fn receive_errors_are_reported_in_one_line() {
    if !have("strace", "-V", "receive_errors_are_reported_in_one_line") {
        return;
    }
    let mut command = injected("recvmmsg:error=ENOMEM:when=1..6", SERVER);
    let (mut server, _) = listening(command.args(["--bind", "127.0.0.1:0", "--quiet"]));
    let line = server.json();
    assert_eq!((&line["event"], &line["reason"]), (&"receive-failed".into(), &"no-buffers".into()));
    assert!((1..=6).contains(&line["times"].as_u64().expect("a number")), "{line}");
    loop {
        server.signal(Signal::USR1);
        let line = server.json();
        assert_eq!(line["event"], "snapshot");
        if line["receive_errors"]["no-buffers"] == 6 {
            return;
        }
    }
}
