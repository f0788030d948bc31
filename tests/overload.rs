//! `hello-server` overloaded.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{
    BACK_ENDS, Finished, Process, SERVER, count, exchange, peer, receive, server, settled, summary,
};

/// Sends more requests than the receive buffer holds while the server is stopped, waits until it
/// has received those that were not dropped, and returns the number sent.
fn flood(server: &Process, address: SocketAddr) -> u64 {
    const EACH: u64 = 1000;
    server.signal(Signal::STOP);
    server.wait_until_stopped();
    let clients = [(); 4].map(|()| peer());
    for number in 0..EACH {
        for client in &clients {
            client.send_to(format!("request {number}").as_bytes(), address).expect("sent");
        }
    }
    server.signal(Signal::CONT);
    let deadline = Instant::now() + Duration::from_secs(20);
    while bytes_to_receive(address).iter().any(|bytes| *bytes > 0) {
        assert!(Instant::now() < deadline, "the server receives nothing");
        thread::yield_now();
    }
    clients.len() as u64 * EACH
}

/// Returns the bytes queued in each socket bound to an address's port (proc_net_udp(5)).
fn bytes_to_receive(address: SocketAddr) -> Vec<u64> {
    let port = format!(":{:04X}", address.port());
    let sockets = fs::read_to_string("/proc/net/udp").expect("Linux provides it");
    let rows = sockets.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&port))
        .map(|row| row[4].split_once(':').expect("two queues").1)
        .map(|queue| u64::from_str_radix(queue, 16).expect("a number"))
        .collect()
}

#[test]
fn every_request_is_answered_refused_failed_or_dropped() {
    for back_end in BACK_ENDS {
        for options in
            [&[][..], &["--workers", "2"], &["--workers", "2", "--reuseport"], &["--spin", "1ms"]]
        {
            let small = ["--receive-buffer", "16384", "--bind", "127.0.0.1:0"];
            let common = [&small[..], &["--quiet", "--backend", back_end]].concat();
            let (server, address) = server(&[&common[..], options].concat());
            let sent = flood(&server, address);
            let summary = summary(server);
            let settled = settled(&summary);
            assert_eq!(settled, count(&summary["received"]), "{options:?}: {summary}");
            let dropped = count(&summary["dropped"]);
            assert_eq!(settled + dropped, sent, "{back_end} {options:?}: {summary}");
            assert!(dropped > 0, "{options:?}: {summary}");
        }
    }
}

#[test]
fn every_worker_is_a_thread() {
    let threads = |workers: &str| {
        let (server, address) = server(&["--bind", "127.0.0.1:0", "--workers", workers]);
        assert_eq!(exchange(&peer(), address, b"Tracy"), b"Hello, Tracy!");
        (server.threads(), server)
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let [(few, _one), (many, _four)] = ["1", "4"].map(threads);
        if many == few + 3 {
            return;
        }
        assert!(Instant::now() < deadline, "{few} threads with one worker, {many} with four");
    }
}

#[test]
fn reuseport_distributes_clients_over_one_socket_per_worker() {
    let options = ["--bind", "127.0.0.1:0", "--quiet", "--workers", "2", "--reuseport"];
    let (server, address) = server(&options);
    server.signal(Signal::STOP);
    server.wait_until_stopped();
    let clients = [(); 40].map(|()| peer());
    for client in &clients {
        client.send_to(b"Tracy", address).expect("sent");
    }
    let queues = bytes_to_receive(address);
    assert!(queues.len() == 2 && queues.iter().all(|bytes| *bytes > 0), "{queues:?}");
    server.signal(Signal::CONT);
    for client in &clients {
        assert_eq!(receive(client), (b"Hello, Tracy!".to_vec(), address));
    }
    assert_eq!(summary(server)["answered"], 40);
}

#[test]
fn receive_buffer_size_is_printed() {
    let listening = |bytes: &str| {
        let arguments = ["--json", "--bind", "127.0.0.1:0", "--receive-buffer", bytes];
        let mut server = Process::start(Command::new(SERVER).args(arguments));
        let line = server.json();
        line["receive_buffer"].as_u64().expect("a number")
    };
    let [small, large] = ["8192", "65536"].map(listening);
    assert!(8192 <= small && small < large && 65_536 <= large, "{small}, {large}");
}

#[test]
fn invalid_options_are_errors() {
    for (arguments, advice) in [
        (["--workers", "0"], "must be between 1 and 1,024"),
        (["--receive-buffer", "0"], "must be between 1 and 1,073,741,823"),
        (["--spin", "soon"], "not a duration: try 0.5, 500ms or 1m30s"),
        (["--spin", "50"], "must be at most 1s, e.g. 50us"),
        (["--backend", "carrier-pigeon"], "possible values: "),
    ] {
        let Finished { out, err, status } =
            Command::new(SERVER).args(arguments).output().expect("runs").into();
        assert_eq!((&*out, status), ("", Some(2)));
        assert!(err.contains(advice), "{err}");
    }
}
