//! `hello-client` as people and scripts use it.

mod signals;

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    CLIENT, Finished, Process, client, greet, have_ipv6, peer, server, start_client, summary,
};

/// An address with a closed port: nothing else binds this loopback address.
const CLOSED_PORT: &str = "127.78.0.1:9";

#[test]
fn local_mode_greets_the_three_names_without_a_server() {
    let expected = Finished {
        out: "Hello, Michael!\nHello, Tracy!\nHello, Sarah!\n".into(),
        err: String::new(),
        status: Some(0),
    };
    assert_eq!(client(&["--local"]), expected);
}

#[test]
fn local_mode_refuses_no_name() {
    let names = ["x".repeat(65_499), "Hello, Hello, World!!".into(), String::new()];
    let Finished { out, err, status } = client(&["--local", &names[0], &names[1], &names[2]]);
    assert_eq!(out, names.map(|name| format!("Hello, {}!\n", name)).concat());
    assert_eq!((&*err, status), ("", Some(0)));
}

#[test]
fn names_come_from_arguments_and_standard_input() {
    let (server, address) = server(&["--bind", "127.0.0.1:0"]);
    let mut client = start_client(&address.to_string(), &["Alice", "-", "Bob"]);
    assert_eq!(client.line(), "Hello, Alice!");
    // Each greeting is printed as soon as its name has been read.
    client.write(b"one\n");
    assert_eq!(client.line(), "Hello, one!");
    client.write(b"\ntwo words\n\xff\x1b\n-\n");
    client.close_input();
    let expected =
        ["Hello, !", "Hello, two words!", r"Hello, \xff\u{1b}!", "Hello, -!", "Hello, Bob!"];
    assert_eq!(client.finish(), (expected.map(str::to_owned).to_vec(), Some(0)));
    assert_eq!(summary(server)["answered"], 7);
}

#[test]
fn host_names_and_ipv6_addresses_are_valid_servers() {
    if !have_ipv6("host_names_and_ipv6_addresses_are_valid_servers") {
        return;
    }
    let (server4, address4) = server(&["--bind", "127.0.0.1:0"]);
    let by_name = format!("localhost:{}", address4.port());
    assert_eq!(greet(&by_name, &["Tracy"]).out, "Hello, Tracy!\n");
    let (server6, address6) = server(&["--bind", "[::1]:0"]);
    assert_eq!(greet(&address6.to_string(), &["Sarah"]).out, "Hello, Sarah!\n");
    assert_eq!(summary(server4)["answered"], 1);
    assert_eq!(summary(server6)["answered"], 1);
}

#[test]
fn closed_port_prints_refused() {
    let arguments =
        ["--server", CLOSED_PORT, "--timeout", "20ms", "--attempts", "2", "Tracy", "Sarah"];
    let Finished { out, err, status } = client(&arguments);
    assert_eq!((&*out, status), ("", Some(1)));
    let lines: Vec<_> = err.lines().collect();
    let [note, tracy, sarah] = lines[..] else { panic!("{err}") };
    assert_eq!(
        note,
        "hello-client: 127.78.0.1:9: refused (no server on that port, or a firewall); still waiting"
    );
    for (line, name) in [(tracy, "Tracy"), (sarah, "Sarah")] {
        let start = format!(
            "hello-client: {name}: {CLOSED_PORT}: refused (no server on that port, or a firewall) (2 att"
        );
        assert!(line.starts_with(&start), "{line}");
    }
}

#[test]
fn silent_server_prints_no_answer() {
    let silent = peer();
    let address = silent.local_addr().expect("bound").to_string();
    let arguments = ["--server", &address, "--timeout", "20ms", "--attempts", "2", "Tracy"];
    let Finished { out, err, status } = client(&arguments);
    assert_eq!((&*out, status), ("", Some(1)));
    assert!(
        err.starts_with(&format!("hello-client: Tracy: no reply from {address} (2 attempts in "))
    );

    let finished = client(&[&arguments[..], &["--json"]].concat());
    let line = after_start(&finished.out);
    assert_eq!(line["event"], "unanswered");
    assert_eq!(line["servers"], json!([{ "server": address, "reason": "no-answer" }]));
    assert_eq!((&*finished.err, finished.status), ("", Some(1)));
}

/// Returns the only line after the first one, which has the plan.
fn after_start(out: &str) -> Value {
    let [start, line] = Vec::from_iter(out.lines())[..] else { panic!("{out}") };
    assert_eq!(crate::support::json(start)["event"], "start");
    crate::support::json(line)
}

#[test]
fn greeting_is_a_json_line_with_numbers() {
    let (server, address) = server(&["--bind", "127.0.0.1:0"]);
    let output = greet(&address.to_string(), &["--json", "Tracy"]);
    let line = after_start(&output.out);
    assert_eq!((&line["event"], &line["name"]), (&"greeting".into(), &"Tracy".into()));
    assert_eq!(line["server"], address.to_string());
    let (rtt, elapsed) = (line["rtt_ms"].as_f64(), line["elapsed_ms"].as_f64());
    assert!(rtt.expect("a number") > 0.0 && rtt <= elapsed, "{line}");
    assert_eq!(summary(server)["answered"], 1);
}

#[test]
fn overlong_name_is_an_error_and_other_names_are_greeted() {
    let (server, address) = server(&["--bind", "127.0.0.1:0"]);
    let mut client = start_client(&address.to_string(), &["--json", "-"]);
    client.write(&[b"Tracy\n", &vec![b'x'; 65_500][..], b"\nSarah\n"].concat());
    client.close_input();
    assert_eq!(client.json()["event"], "start");
    let (lines, status) = client.finish();
    let lines: Vec<_> = lines.iter().map(|line| crate::support::json(line)).collect();
    assert_eq!((&lines[0]["name"], &lines[2]["name"]), (&"Tracy".into(), &"Sarah".into()));
    assert_eq!(lines[1]["error"], "name of 65500 bytes is too long, at most 65499 fit a greeting");
    assert_eq!(status, Some(2));
    assert_eq!(summary(server)["received"], 2);
}

#[test]
fn unreadable_input_costs_no_other_name() {
    let directory = File::open("/").expect("every system has it");
    let arguments = ["--local", "--timeout", "20s", "Alice", "-", "Bob"];
    let output = Command::new(CLIENT).args(arguments).stdin(directory).output().expect("runs");
    let Finished { out, err, status } = output.into();
    assert_eq!((&*out, status), ("Hello, Alice!\nHello, Bob!\n", Some(2)));
    let why = "cannot read names from standard input: Is a directory (os error 21)";
    assert_eq!(err, format!("hello-client: {why}\n"));
}

#[test]
fn invalid_command_line_is_explained() {
    for (arguments, words) in [
        (&["--server", "localhost:http"][..], "invalid port \"http\""),
        (&["--server", ":9999"], "no host"),
        (&["--timeout", "soon"], "not a duration: try 0.5, 500ms or 1m30s"),
        (&["--attempts", "0"], "must be between 1 and"),
        (&["--local", "--server", "::1"], "cannot be used with"),
        (&["--local", "-p", "7"], "cannot be used with"),
        (&["--local", "-6"], "cannot be used with"),
        (&["--nonsense"], "unexpected argument"),
        (&["--server", "127.0.0.1:0"], "port 0 is not a valid destination"),
        (&["--server", "9999"], "no host: for port 9999 of this machine, write -p 9999; otherwise"),
        (&["--server", "::1:40000"], "brackets missing: write [::1]:40000"),
        (&["-p", "0"], "must be between 1 and 65,535"),
        (&["-4", "-6"], "'--ipv4' cannot be used with '--ipv6'"),
        (&["-6", "--server", "127.0.0.1"], "127.0.0.1:9999 has no IPv6 address: try without -6"),
    ] {
        let Finished { out, err, status } = client(arguments);
        assert_eq!((&*out, status), ("", Some(2)), "{arguments:?}");
        assert!(err.contains(words), "{arguments:?}: {err}");
    }
}

#[test]
fn name_that_looks_like_a_server_has_a_hint_and_is_sent() {
    let names = ["127.0.0.1", "[::1]:7", "localhost:9999", "Tracy", "a: b", "7:30", "x:y"];
    let (server, address) = server(&["--bind", "127.0.0.1:0"]);
    let port = address.port().to_string();
    let output = Command::new(CLIENT).args(["-p", &port, "--timeout", "20s"]).args(names).output();
    let Finished { out, err, status } = output.expect("runs").into();
    assert_eq!((out.lines().count(), status), (names.len(), Some(0)));
    let hint = |name| {
        format!(
            "hello-client: {name} is sent as a name; to send to that server, write --server {name}\n"
        )
    };
    assert_eq!(err, names[..3].iter().map(hint).collect::<String>());
    // With --server, a name is certainly one.
    assert_eq!(greet(&address.to_string(), &names).err, "");
    assert_eq!(summary(server)["answered"], 14);
}

#[test]
fn closed_output_ends_the_run_with_the_status_of_the_names_so_far() {
    let mut client = Process::start(Command::new(CLIENT).args(["--local", "-"]));
    client.write(b"Tracy\n");
    assert_eq!(client.line(), "Hello, Tracy!");
    client.close_output();
    client.write(b"Sarah\n");
    assert_eq!(client.finish().1, Some(0));
}

#[test]
fn full_output_device_is_an_error() {
    let full = File::options().write(true).open("/dev/full").expect("Linux provides it");
    let output = Command::new(CLIENT).arg("--local").stdout(full).output().expect("runs");
    let Finished { err, status, .. } = output.into();
    assert_eq!(
        (&*err, status),
        (
            "hello-client: cannot write to standard output: No space left on device (os error 28)\n",
            Some(2)
        )
    );
}

#[test]
fn full_error_output_device_changes_nothing() {
    let full = File::options().write(true).open("/dev/full").expect("Linux provides it");
    let arguments = ["--server", CLOSED_PORT, "--timeout", "20ms", "--attempts", "1", "Tracy"];
    let output = Command::new(CLIENT).args(arguments).stderr(full).output().expect("runs");
    assert_eq!(Finished::from(output).status, Some(1));
}

#[test]
fn closed_output_does_not_hide_a_failure() {
    let silent = peer();
    let address = silent.local_addr().expect("bound").to_string();
    let arguments = ["--server", &address, "--timeout", "20ms", "--attempts", "1", "--json", "-"];
    let mut client = Process::start(Command::new(CLIENT).args(arguments));
    client.close_output();
    client.write(b"Tracy\n");
    assert_eq!(client.finish().1, Some(1));
}

/// Runs the client for the three names against a scripted server. The script receives the number of
/// the request, its name, its source and the socket.
fn greet_with_script(script: impl FnMut(u32, &[u8], SocketAddr, &UdpSocket) + Send) -> Finished {
    let server = peer();
    let address = server.local_addr().expect("bound").to_string();
    server.set_read_timeout(Some(Duration::from_millis(20))).expect("not zero");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut script, mut buf) = (script, [0; 64]);
            let mut number = 0;
            while !done.load(Relaxed) {
                if let Ok((len, source)) = server.recv_from(&mut buf) {
                    number += 1;
                    script(number, &buf[..len], source, &server);
                }
            }
        });
        let arguments = ["--server", &address, "--timeout", "50ms", "--attempts", "12"];
        let finished = client(&arguments);
        done.store(true, Relaxed);
        finished
    })
}

fn reply(name: &[u8]) -> Vec<u8> {
    [b"Hello, ", name, b"!"].concat()
}

const GREETINGS: &str = "Hello, Michael!\nHello, Tracy!\nHello, Sarah!\n";

#[test]
fn two_dropped_replies_are_requested_again() {
    let finished = greet_with_script(|number, name, source, server| {
        if number > 2 {
            server.send_to(&reply(name), source).expect("sent");
        }
    });
    assert_eq!(finished, Finished { out: GREETINGS.into(), err: String::new(), status: Some(0) });
}

#[test]
fn two_delayed_replies_are_accepted() {
    let mut delayed = Vec::new();
    let finished = greet_with_script(move |number, name, source, server| {
        delayed.push((reply(name), source));
        if number >= 3 {
            for (reply, source) in delayed.drain(..) {
                server.send_to(&reply, source).expect("sent");
            }
        }
    });
    assert_eq!(finished, Finished { out: GREETINGS.into(), err: String::new(), status: Some(0) });
}

#[test]
fn duplicate_replies_are_printed_once() {
    let finished = greet_with_script(|_, name, source, server| {
        for _ in 0..3 {
            server.send_to(&reply(name), source).expect("sent");
        }
    });
    assert_eq!(finished, Finished { out: GREETINGS.into(), err: String::new(), status: Some(0) });
}

#[test]
fn two_replies_to_another_name_are_skipped_and_reported() {
    let finished = greet_with_script(|number, name, source, server| {
        let name = if number <= 2 { b"Mallory" } else { name };
        server.send_to(&reply(name), source).expect("sent");
    });
    assert_eq!((&*finished.out, finished.status), (GREETINGS, Some(0)));
    let note = "skipped \"Hello, Mallory!\": reply to another name\n";
    assert!(finished.err.ends_with(note), "{}", finished.err);
    assert_eq!(finished.err.lines().count(), 1);
}

#[test]
fn server_restarted_between_attempts_is_reached() {
    let (first, address) = server(&["--bind", "127.78.0.2:0"]);
    let address = address.to_string();
    assert_eq!(greet(&address, &["Michael"]).out, "Hello, Michael!\n");
    assert_eq!(summary(first)["answered"], 1);

    let arguments =
        ["--server", &address, "--json", "--timeout", "1s", "--attempts", "20", "Tracy"];
    let mut start_client = Process::start(Command::new(CLIENT).args(arguments));
    assert_eq!(start_client.json()["timeout_s"], 1.0);
    let line = start_client.json();
    assert_eq!((&line["event"], &line["reason"]), (&"failed".into(), &"refused".into()));

    let (second, _) = server(&["--bind", &address]);
    let line = start_client.json();
    assert_eq!((&line["event"], &line["name"]), (&"greeting".into(), &"Tracy".into()));
    assert!(line["attempts"].as_u64().expect("a number") >= 2);
    assert!(line["rtt_ms"].is_null(), "the answered attempt is unknown");
    assert_eq!(start_client.finish().1, Some(0));
    assert_eq!(summary(second)["answered"], 1);
}

#[test]
fn line_feed_after_a_carriage_return_ends_one_line() {
    let mut client = Process::start(Command::new(CLIENT).args(["--local", "-"]));
    client.write(b"Tracy\r\nSa\rrah\r\n");
    client.close_input();
    let expected = ["Hello, Tracy!", r"Hello, Sa\rrah!"].map(str::to_owned);
    assert_eq!(client.finish(), (expected.to_vec(), Some(0)));
}
