//! `hello-server` as administrators run it.

use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{
    Finished, Process, SERVER, client, exchange, full_pipe, greet, have_ipv6, json, peer, peer_at,
    server, summary,
};

#[test]
fn text_output_has_the_address_each_greeting_and_the_counters() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut server = Process::start(Command::new(SERVER).args(["--bind", "127.0.0.1:0"]));
        let line = server.line();
        let address = line.strip_prefix("listening on ").expect("an address").parse().expect("one");
        let client = peer();
        let source = client.local_addr().expect("bound");
        client.send_to(b"Hello, Hello, World!!", address).expect("sent");
        assert_eq!(exchange(&client, address, b"Tr\x1b[2Jacy\n"), b"Hello, Tr\x1b[2Jacy\n!");

        assert_eq!(server.line(), format!("{source} refused: name starts with the greeting twice"));
        assert_eq!(server.line(), format!(r"{source} greeted as Tr\u{{1b}}[2Jacy\n"));
        server.signal(signal);
        let expected = [
            "2 received, 1 answered, 1 refused, 0 send failed, 0 dropped by the kernel",
            "  refused: greeted-twice 1",
        ];
        assert_eq!(server.finish(), (expected.map(str::to_owned).to_vec(), Some(0)));
    }
}

#[test]
fn quiet_prints_only_the_first_line_and_the_summary() {
    let (server, address) = server(&["--bind", "127.0.0.1:0", "--quiet"]);
    assert_eq!(exchange(&peer(), address, b"Tracy"), b"Hello, Tracy!");
    server.signal(Signal::INT);
    let (lines, status) = server.finish();
    assert_eq!((lines.len(), status), (1, Some(0)));
    assert_eq!(json(&lines[0])["answered"], 1);
}

#[test]
fn json_has_every_datagram_and_every_counter() {
    let (mut server, address) = server(&["--bind", "127.0.0.1:0"]);
    let client = peer();
    client.send_to(&[0xff; 1025], address).expect("sent");
    assert_eq!(exchange(&client, address, b"Tracy"), b"Hello, Tracy!");

    let line = server.json();
    assert_eq!((&line["outcome"], &line["reason"]), (&"refused".into(), &"name-too-long".into()));
    assert_eq!((&line["name_hex"], &line["truncated"]), (&"ff".repeat(1024).into(), &true.into()));
    let line = server.json();
    assert_eq!((&line["event"], &line["outcome"]), (&"datagram".into(), &"answered".into()));
    assert_eq!(line["name"], "Tracy");
    assert_eq!(line["source"], client.local_addr().expect("bound").to_string());
    assert_eq!(line["local"], address.to_string());

    let summary = summary(server);
    assert_eq!((&summary["received"], &summary["answered"]), (&2.into(), &1.into()));
    for (map, labels) in [("refused", 12), ("send_failed", 10), ("receive_errors", 10)] {
        assert_eq!(summary[map].as_object().map(serde_json::Map::len), Some(labels), "{map}");
    }
}

#[test]
fn several_addresses_are_served() {
    if !have_ipv6("several_addresses_are_served") {
        return;
    }
    let mut server = Process::start(Command::new(SERVER).args([
        "--quiet",
        "--bind",
        "127.0.0.1:0",
        "--bind",
        "127.0.0.5:0",
        "--bind",
        "[::1]:0",
    ]));
    for _ in 0..3 {
        let line = server.line();
        let address = line.strip_prefix("listening on ").expect("an address");
        let greeted = greet(address, &["Tracy"]);
        assert_eq!(greeted.out, "Hello, Tracy!\n", "{}", greeted.err);
    }
    server.signal(Signal::TERM);
    let expected = vec![
        "3 received, 3 answered, 0 refused, 0 send failed, 0 dropped by the kernel".to_owned(),
    ];
    assert_eq!(server.finish(), (expected, Some(0)));
}

/// Stops a server and returns how many datagrams its remaining lines report: those shown, and those
/// suppressed. The last line is the summary, and must count them all.
fn stop_and_count(server: Process, requests: u64) -> (u64, u64) {
    server.signal(Signal::TERM);
    let (lines, status) = server.finish();
    assert_eq!(status, Some(0));
    let lines: Vec<_> = lines.iter().map(|line| json(line)).collect();
    let shown = lines.iter().filter(|line| line["event"] == "datagram").count() as u64;
    let left_out = lines.iter().filter(|line| line["event"] == "suppressed");
    let left_out = left_out.map(|line| line["lines"].as_u64().expect("a number")).sum();
    assert_eq!(shown + left_out, requests);
    assert_eq!(lines.last().expect("a summary")["answered"], requests);
    (shown, left_out)
}

#[test]
fn lines_over_the_limit_are_suppressed_and_counted() {
    const REQUESTS: u64 = 300;
    let (server, address) = server(&["--bind", "127.0.0.1:0", "--max-lines", "5"]);
    let client = peer();
    for _ in 0..REQUESTS {
        exchange(&client, address, b"again");
    }
    let (shown, _) = stop_and_count(server, REQUESTS);
    // At least five, and five more for every second that a slow machine takes.
    assert!((5..REQUESTS / 2).contains(&shown), "{shown} lines");
}

#[test]
fn unread_output_delays_no_reply() {
    const REQUESTS: u64 = 3000;
    let (server, address) = server(&["--bind", "127.0.0.1:0", "--max-lines", "10000"]);
    let client = peer();
    // Far more lines than a pipe and the queue in front of it hold.
    let name = [b'x'; 100];
    for _ in 0..REQUESTS {
        exchange(&client, address, &name);
    }
    let (_, left_out) = stop_and_count(server, REQUESTS);
    assert!(left_out > 0);
}

#[test]
fn unread_output_does_not_keep_a_server_from_ending() {
    let (mut server, address) = server(&["--bind", "127.0.0.1:0", "--max-lines", "10000"]);
    let client = peer();
    for _ in 0..3000 {
        exchange(&client, address, &[b'x'; 100]);
    }
    // Twice, as timeout(1) does.
    server.signal(Signal::TERM);
    server.signal(Signal::TERM);
    assert_eq!(server.exit_status(), Some(0));
}

#[test]
fn output_blocked_from_the_start_delays_no_reply() {
    let (reader, writer) = full_pipe();
    // The server cannot print its address, so the address must be known beforehand.
    let free = UdpSocket::bind(("127.78.0.3", 0)).expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let mut command = Command::new(SERVER);
    let command = command.args(["--bind", &address.to_string()]).stdout(writer);
    let mut server = command.spawn().expect("runs");
    let address = address.to_string();
    // More than one attempt, because the server may not be ready yet.
    let greeted = client(&["--server", &address, "--timeout", "1s", "--attempts", "9", "Tracy"]);
    server.kill().expect("our own child");
    server.wait().expect("our own child");
    assert_eq!(greeted.out, "Hello, Tracy!\n");
    drop(reader);
}

#[test]
fn closed_output_does_not_stop_the_server() {
    let (mut server, address) = server(&["--bind", "127.0.0.1:0"]);
    server.close_output();
    let client = peer();
    for _ in 0..3 {
        assert_eq!(exchange(&client, address, b"Tracy"), b"Hello, Tracy!");
    }
    server.signal(Signal::TERM);
    assert_eq!(server.finish(), (vec![], Some(0)));
}

#[test]
fn full_output_device_is_reported_once_and_does_not_stop_the_server() {
    // Nothing prints the port, so the test chooses it.
    let address = peer_at(([127, 78, 0, 5], 0).into()).local_addr().expect("bound").to_string();
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" 2>&1 >/dev/full", "sh", SERVER, "--bind", &address]);
    let mut server = Process::start(&mut command);
    let expected = "hello-server: cannot write to standard output: No space left on device (os \
                    error 28); serving without a log";
    assert_eq!(server.line(), expected);
    assert_eq!(greet(&address, &["Tracy", "Sarah"]).out, "Hello, Tracy!\nHello, Sarah!\n");
    server.signal(Signal::TERM);
    assert_eq!(server.finish(), (vec![], Some(0)));
}

#[test]
fn unusable_address_is_an_error_with_advice() {
    let (first, address) = server(&["--bind", "127.0.0.1:0"]);
    let address = address.to_string();
    for (arguments, words) in [
        (&["--bind", &*address][..], &["cannot bind ", &*address, "the port is in use"][..]),
        (
            &["--bind", "192.0.2.1:0"],
            &["cannot bind 192.0.2.1:0", "this machine does not have that address"],
        ),
        (&["--bind", "nonsense:"], &["invalid port \"\""]),
        (&["--bind", "[::1"], &["closing bracket missing"]),
        (&["--max-name", "65500"], &["must be between 0 and 65,499"]),
        (&["--max-lines", "0"], &["must be between 1 and 10,000"]),
        (&["--quiet", "--max-lines", "5"], &["cannot be used with"]),
    ] {
        let output = Command::new(SERVER).args(arguments).stdin(Stdio::null()).output();
        let Finished { out, err, status } = output.expect("runs").into();
        assert_eq!((&*out, status), ("", Some(2)), "{arguments:?}");
        for word in words {
            assert!(err.contains(word), "{arguments:?}: {err}");
        }
    }
    assert_eq!(summary(first)["received"], 0);
}

#[test]
#[cfg(target_os = "linux")]
fn idle_workers_block_and_a_stop_wakes_them_all() {
    const WORKERS: usize = 8;
    let (server, address) = server(&["--bind", "127.0.0.1:0", "--workers", "8", "--quiet"]);
    assert_eq!(exchange(&peer(), address, b"Tracy"), b"Hello, Tracy!");
    // "281 0x8 0x7f… 0x1 0xffffffff …": epoll_pwait(2) and its arguments. A worker waits for one
    // event, of its socket or of the stop, with a timeout of -1 ms.
    let waits_for_ever = |task: &str| {
        let mut words = task.split(' ').skip(3);
        let (events, timeout) = (words.next(), words.next());
        events == Some("0x1") && timeout.is_some_and(|timeout| timeout.ends_with("ffffffff"))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).expect("Linux provides it");
        let calls =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("syscall")).ok());
        let waiting = calls.filter(|call| waits_for_ever(call)).count();
        if waiting == WORKERS {
            break;
        }
        assert!(Instant::now() < deadline, "{waiting} of {WORKERS} wait for a datagram or a stop");
        thread::yield_now();
    }
    assert_eq!(summary(server)["answered"], 1);
}
