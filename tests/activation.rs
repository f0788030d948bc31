//! `hello-server` under a service manager that passes sockets and expects notifications.

use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{self, Command};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    BACK_ENDS, Finished, Process, SERVER, Supervisor, activated, activated_under, can_unshare,
    count, exchange, have, listening, peer, receive, run_in_namespace, server, settled, summary,
};

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

#[test]
fn inherited_socket_is_served() {
    let (kept, address) = socket();
    let client = peer();
    client.send_to(b"early", address).expect("sent");
    let (server, served) = listening(&mut activated(kept));
    assert_eq!(served, address);
    assert_eq!(receive(&client), (b"Hello, early!".to_vec(), address));
    assert_eq!(exchange(&client, address, b"Tracy"), b"Hello, Tracy!");
    assert_eq!(summary(server)["answered"], 2);
}

#[test]
fn options_that_conflict_with_inherited_sockets_are_errors() {
    let listener = || TcpListener::bind("127.0.0.1:0").expect("a free port");
    let cases: [(OwnedFd, &[&str], &str); 3] = [
        (
            socket().0.into(),
            &["--bind", "127.0.0.1:0"],
            "--bind cannot be combined with socket activation",
        ),
        (
            socket().0.into(),
            &["--reuseport"],
            "--reuseport cannot be combined with socket activation",
        ),
        (listener().into(), &[], "fd 3 is not a valid udp socket"),
    ];
    for (handed_over, arguments, advice) in cases {
        let output = activated(handed_over).args(arguments).output().expect("runs");
        let Finished { out, err, status } = output.into();
        assert_eq!((&*out, status), ("", Some(2)), "{err}");
        assert!(err.contains(advice), "{err}");
    }
}

#[test]
fn systemd_socket_activate_starts_a_server_at_the_first_datagram() {
    let test = "systemd_socket_activate_starts_a_server_at_the_first_datagram";
    if !have("systemd-socket-activate", "--version", test) {
        return;
    }
    // The port was free a moment ago. If another process takes it, the next one will do.
    for _ in 0..20 {
        let (free, address) = socket();
        drop(free);
        let mut command = Command::new("systemd-socket-activate");
        command.args(["--datagram", &format!("--listen={address}"), SERVER, "--json"]);
        let mut server = Process::start(&mut command);
        let client = peer();
        client.set_read_timeout(Some(Duration::from_millis(100))).expect("not zero");
        for _ in 0..100 {
            client.send_to(b"Tracy", address).expect("sent");
            // The system reports a closed port until the tool has bound its socket.
            if let Ok((len, source)) = client.recv_from(&mut [0; 64]) {
                assert_eq!((len, source), (13, address));
                assert_eq!(server.json()["address"], address.to_string());
                assert!(count(&summary(server)["answered"]) > 0);
                return;
            }
            if server.has_ended() {
                break;
            }
        }
    }
    panic!("no server was started");
}

/// Sends `requests` requests with a limited number in flight, and calls `at` after every `every`th
/// reply.
fn load(address: SocketAddr, requests: u32, every: u32, mut at: impl FnMut()) {
    const IN_FLIGHT: u32 = 64;
    let client = peer();
    let mut missing: HashSet<u32> = HashSet::new();
    let mut next = 0;
    for replies in 1..=requests {
        while next < requests && next < replies + IN_FLIGHT {
            client.send_to(next.to_string().as_bytes(), address).expect("sent");
            missing.insert(next);
            next += 1;
        }
        let (reply, _) = receive(&client);
        let name = reply.strip_prefix(b"Hello, ").and_then(|rest| rest.strip_suffix(b"!"));
        let number = str::from_utf8(name.expect("a greeting")).expect("a number").parse();
        assert!(missing.remove(&number.expect("a number")), "two replies to one request");
        if replies % every == 0 {
            at();
        }
    }
    assert!(missing.is_empty());
}

#[test]
fn restarts_lose_none_of_a_hundred_thousand_requests() {
    const REQUESTS: u32 = 100_000;
    let (kept, address) = socket();
    let start = || listening(&mut activated(kept.try_clone().expect("a descriptor"))).0;
    let (restart, wanted) = mpsc::channel();
    let first = start();
    thread::scope(|scope| {
        let servers = scope.spawn(move || {
            let (mut current, mut ended) = (first, Vec::new());
            for () in wanted {
                let before = std::mem::replace(&mut current, start());
                ended.push(summary(before));
                // And one while no server runs.
                ended.push(summary(current));
                current = start();
            }
            ended.push(summary(current));
            ended
        });
        load(address, REQUESTS, REQUESTS / 5, || restart.send(()).expect("still there"));
        drop(restart);
        let summaries = servers.join().expect("no panic");
        assert_eq!(summaries.len(), 2 * 5 + 1);
        let sum = |name: &str| summaries.iter().map(|summary| count(&summary[name])).sum::<u64>();
        let sums = [sum("received"), sum("answered"), sum("dropped")];
        assert_eq!(sums, [REQUESTS.into(), REQUESTS.into(), 0]);
    });
}

#[test]
fn queued_requests_are_answered_after_a_stop_signal() {
    const QUEUED: u64 = 150;
    let (server, address) = server(&["--bind", "127.0.0.1:0", "--quiet"]);
    server.signal(Signal::STOP);
    server.wait_until_stopped();
    let client = peer();
    for number in 0..QUEUED {
        client.send_to(number.to_string().as_bytes(), address).expect("sent");
    }
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    for number in 0..QUEUED {
        assert_eq!(receive(&client), (format!("Hello, {number}!").into_bytes(), address));
    }
    let (lines, status) = server.finish();
    assert_eq!(status, Some(0));
    let summary = crate::support::json(lines.last().expect("a summary"));
    assert_eq!((settled(&summary), count(&summary["answered"])), (QUEUED, QUEUED));
}

#[test]
fn supervisor_receives_ready_watchdog_status_and_stopping() {
    let supervisor = Supervisor::new("hears");
    let mut command = Command::new(SERVER);
    supervisor.supervise(&mut command);
    command.env("WATCHDOG_USEC", "400000").args(["--bind", "127.0.0.1:0", "--quiet"]);
    let (server, address) = listening(command.args(["--workers", "3"]));
    assert_eq!(supervisor.next_message(), "READY=1");
    assert_eq!(exchange(&peer(), address, b"Tracy"), b"Hello, Tracy!");
    let (mut alive, mut statuses) = (0, 0);
    while alive < 3 || statuses < 1 {
        match &*supervisor.next_message() {
            "WATCHDOG=1" => alive += 1,
            other => {
                let status = other.strip_prefix("STATUS=").expect("a status");
                let words = status.split(", ").map(|part| part.split_once(' ').expect("two").1);
                assert!(
                    words.eq([
                        "received/s",
                        "answered/s",
                        "refused/s",
                        "send failed/s",
                        "dropped/s"
                    ]),
                    "{status}"
                );
                statuses += 1;
            }
        }
    }
    server.signal(Signal::TERM);
    while supervisor.next_message() != "STOPPING=1" {}
    assert_eq!(summary(server)["answered"], 1);
}

#[test]
fn inherited_socket_replies_from_its_own_network_namespace() {
    let test = "inherited_socket_replies_from_its_own_network_namespace";
    if !can_unshare(test) {
        return;
    }
    for back_end in BACK_ENDS {
        // The destination address is not the one that the system would choose as the source.
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
        let port = socket.local_addr().expect("bound").port();
        let mut command = activated_under(&["unshare", "--net"], socket);
        let (server, _) = listening(command.args(["--backend", back_end]));
        let [network, ours] = [server.id(), process::id()]
            .map(|id| fs::read_link(format!("/proc/{id}/ns/net")).expect("Linux provides it"));
        assert_ne!(network, ours);
        let address = ([127, 78, 0, 4], port).into();
        assert_eq!(exchange(&peer(), address, b"Tracy"), b"Hello, Tracy!", "{back_end}");
        assert_eq!(summary(server)["answered"], 1, "{back_end}");
    }
}

#[test]
fn requests_queued_before_activation_are_answered() {
    for back_end in BACK_ENDS {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
        let port = socket.local_addr().expect("bound").port();
        let client = peer();
        // The system did not record which of its addresses received this.
        client.send_to(b"Tracy", ("127.0.0.1", port)).expect("sent");
        let (server, _) = listening(activated(socket).args(["--backend", back_end]));
        let expected = (b"Hello, Tracy!".to_vec(), ([127, 0, 0, 1], port).into());
        assert_eq!(receive(&client), expected, "{back_end}");
        assert_eq!(summary(server)["answered"], 1, "{back_end}");
    }
}

#[test]
fn inherited_socket_is_served_with_any_options_and_gets_them_back() {
    let test = "inherited_socket_is_served_with_any_options_and_gets_them_back";
    for back_end in BACK_ENDS {
        let Some(seen) = run_in_namespace(test, "adopted_options.py", &[back_end]) else { return };
        assert_ne!(seen["served"], seen["before"], "{back_end}: the server changed no option");
        assert_eq!(seen["after"], seen["before"], "{back_end}");
        // A train is still recognised as one, even if it does not fit completely.
        let replies = ["Hello, Al!", "Hello, Sarah!", "Hello, Tracy!"];
        assert_eq!(seen["replies"], Value::from_iter(replies), "{back_end}");
        assert_eq!(seen["summary"]["answered"], 3, "{back_end}: {}", seen["summary"]);
    }
}
