//! Exit statuses of `hello-ping`.

use std::cell::Cell;
use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{CLOSED_PORT, ping, start_ping, summary, wait_for};
use crate::observability::fresh_path;
use crate::support::{Finished, PING, Process, count, have, peer, receive, server};

#[test]
fn tutorial_server_answers_every_probe() {
    if !have("python3", "--version", "tutorial_server_answers_every_probe") {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/greeter.py");
    let mut greeter = Process::start(Command::new("python3").args(["-B", script]));
    let address = format!("127.0.0.1:{}", greeter.line());
    let Finished { out, err, status } =
        ping(&["-c", "3", "-i", "10ms", "-W", "20s", "--json", &address]);
    assert_eq!((&*err, status), ("", Some(0)));
    assert_eq!(summary(&out)["answered"], 3);
}

#[test]
fn closed_port_and_silent_server_are_distinct_failures() {
    let silent = peer();
    let silent = silent.local_addr().expect("bound").to_string();
    for (target, why) in [
        (CLOSED_PORT, "  no reply: refused (no server on that port, or a firewall)\n"),
        (
            &*silent,
            "  no reply within 50ms, and no error was reported; if the server is slower, use a longer -W\n",
        ),
    ] {
        let Finished { out, err, status } = ping(&["-c", "2", "-i", "10ms", "-W", "50ms", target]);
        assert_eq!((&*err, status), ("", Some(1)), "{target}");
        assert!(out.contains(why), "{out}");
        assert!(out.contains(" 100% packet loss, "), "{out}");
    }
}

#[test]
fn interrupt_waits_until_each_probe_is_answered_or_lost() {
    for answers in [1, 0] {
        let peer = peer();
        let to = peer.local_addr().expect("bound").to_string();
        let mut ping = start_ping(&["-i", "10ms", "-W", "1s", &to]);
        ping.line();
        for _ in 0..answers {
            let (name, source) = receive(&peer);
            peer.send_to(&[b"Hello, ", &name[..], b"!"].concat(), source).expect("sent");
            assert!(ping.line().contains(": icmp_seq=1 ttl=64 time="));
        }
        receive(&peer);
        ping.signal(Signal::INT);
        let (lines, status) = ping.finish();
        assert_eq!(status, Some(1 - answers));
        assert!(!lines.iter().any(|line| line.contains(" in flight")), "{lines:?}");
        let packets = lines.iter().find(|line| line.contains(" packets transmitted, "));
        let packets = packets.expect("a summary");
        let received = format!(" packets transmitted, {answers} received, ");
        assert!(packets.contains(&received) && packets.contains("% packet loss, "), "{packets}");
    }
}

#[test]
fn second_interrupt_prints_a_summary_with_probes_in_flight() {
    for (answers, expected, packets, note) in [
        (1, Some(0), " packets transmitted, 1 received, 0% packet loss, time ", "ms (loss up to "),
        (0, Some(1), " packets transmitted, 0 received, time ", "ms (loss unknown: all in flight)"),
    ] {
        let peer = peer();
        let to = peer.local_addr().expect("bound").to_string();
        let mut ping = start_ping(&["-i", "10ms", "-W", "20s", &to]);
        ping.line();
        for _ in 0..answers {
            let (name, source) = receive(&peer);
            peer.send_to(&[b"Hello, ", &name[..], b"!"].concat(), source).expect("sent");
            assert!(ping.line().contains(": icmp_seq="));
        }
        receive(&peer);
        ping.signal(Signal::INT);
        let (first, second) = (Instant::now(), Cell::new(false));
        // Until then, it is taken for an echo of the first one.
        let echo = Duration::from_millis(150);
        ping.end(|ping| {
            if first.elapsed() > echo && !second.replace(true) {
                ping.signal(Signal::INT);
            }
        });
        let (lines, status) = ping.finish();
        assert_eq!(status, expected);
        assert!(lines.iter().any(|line| line.ends_with(" in flight")), "{lines:?}");
        let is_expected = |line: &String| line.contains(packets) && line.contains(note);
        assert!(lines.iter().any(is_expected), "{lines:?}");
    }
}

#[test]
fn fewer_replies_than_the_count_at_the_deadline_is_a_failure() {
    for (deadline, expected) in [(None, Some(0)), (Some("10s"), Some(1))] {
        let peer = peer();
        let to = peer.local_addr().expect("bound").to_string();
        let mut arguments = vec!["-c", "2", "-i", "10ms", "-W", "20s", &to];
        arguments.extend(deadline.map(|deadline| ["-w", deadline]).iter().flatten());
        let ping = start_ping(&arguments);
        let (name, source) = receive(&peer);
        peer.send_to(&[b"Hello, ", &name[..], b"!"].concat(), source).expect("sent");
        let (lines, status) = ping.finish();
        assert_eq!(status, expected, "{lines:?}");
    }
}

#[test]
fn exceeded_threshold_fails_and_prints_the_value() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let (address, silent) = (address.to_string(), peer());
    let silent = silent.local_addr().expect("bound").to_string();
    for (to, threshold, most, expected) in [
        (&silent, "--max-loss", "99%", ": loss 100% exceeds --max-loss 99%\n"),
        (&silent, "--max-p99", "1h", ": p99 unknown (no reply): exceeds --max-p99 1h\n"),
        (&address, "--max-p99", "1ns", " ms): exceeds --max-p99 1ns\n"),
        (&address, "--max-jitter", "1ns", " ms exceeds --max-jitter 1ns\n"),
    ] {
        let timeout = if to == &silent { "50ms" } else { "20s" };
        let arguments = ["-c", "3", "-i", "10ms", "-W", timeout, threshold, most, to];
        let Finished { out, err, status } = ping(&arguments);
        assert_eq!(status, Some(1), "{threshold}");
        assert!(err.starts_with(&format!("hello-ping: {to}: ")), "{err}");
        assert!(err.contains(expected) && err.lines().count() == 1, "{err}");
        assert!(!out.contains("exceeds"), "{out}");
    }
    let kept = ["--max-loss", "0", "--max-p99", "1h", "--max-jitter", "1h"];
    let arguments = [&["-c", "3", "-i", "10ms", "-W", "20s", &address][..], &kept].concat();
    let Finished { err, status, .. } = ping(&arguments);
    assert_eq!((&*err, status), ("", Some(0)));
}

#[test]
fn invalid_command_line_suggests_a_correction() {
    for (arguments, advice) in [
        (&["-c", "0"][..], "'--count <COUNT>': must be 1 or more"),
        (&["-i", "0"], "must be longer than 0"),
        (&["-i", "x"], "try 0.5, 500ms or 1m30s"),
        (&["-s", "7"], "must be between 8 and 65,499"),
        (&["-s", "65500"], "must be between 8 and 65,499"),
        (&["--flows", "0"], "'--flows <COUNT>': must be between 1 and 65,535"),
        (&["--plot", "x.png"], "--plot writes SVG, not png: name the file \"x.svg\""),
        (&["--max-loss", "101"], "must be between 0 and 100"),
        (&["--max-loss", "x"], "try 1 or 0.5"),
        (&["-4", "-6"], "'--ipv4' cannot be used with '--ipv6'"),
        (&["127.0.0.1:0"], "port 0 is not a valid destination"),
        (&["-4", "::1"], "[::1]:9999 has no IPv4 address: try without -4"),
        (&["255.255.255.255"], "255.255.255.255:9999 is a multicast or broadcast address"),
        (&["ff02::1%1"], "is a multicast or broadcast address"),
        (&["224.0.0.1:7"], "224.0.0.1:7 is a multicast or broadcast address"),
        (&["-6", "127.0.0.1"], "127.0.0.1:9999 has no IPv6 address: try without -6"),
    ] {
        let Finished { out, err, status } = ping(arguments);
        assert_eq!((&*out, status), ("", Some(2)), "{arguments:?}");
        assert!(err.contains(advice), "{arguments:?}: {err}");
    }
}

#[test]
fn socket_error_exits_with_2() {
    for (arguments, class) in [
        (&["-I", "192.0.2.1", "127.0.0.1"][..], "Cannot assign requested address"),
        (&["-I", "no-such", "127.0.0.1"], "No such device"),
    ] {
        let Finished { out, err, status } = ping(arguments);
        assert_eq!((&*out, status), ("", Some(2)), "{arguments:?}");
        let start =
            format!("hello-ping: cannot send to {}:9999: {class}", arguments.last().expect("one"));
        assert!(err.starts_with(&start), "{err}");
    }
}

#[test]
fn closed_output_ends_the_printing_and_not_a_run_with_an_end() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let (address, silent) = (address.to_string(), peer());
    let silent = silent.local_addr().expect("bound").to_string();
    let file = fresh_path("closed_output_ends_the_printing_and_not_a_run_with_an_end");
    let path = file.to_str().expect("UTF-8");
    for (to, end, expected) in [
        (&silent, &["-c", "9", "-W", "50ms"][..], 1),
        (&address, &["-c", "9", "-W", "20s"], 0),
        (&address, &["--duration", "90ms", "-W", "20s"], 0),
        (&silent, &["-w", "300ms", "-W", "50ms"], 1),
    ] {
        let options = ["-i", "10ms", "--max-loss", "50", "--export-csv", path, to];
        let mut ping = start_ping(&[end, &options].concat());
        ping.line();
        ping.close_output();
        assert_eq!(ping.exit_status(), Some(expected), "{end:?}");
        let text = fs::read_to_string(&file).expect("there");
        let cells = Vec::from_iter(text.lines().last().expect("a row").split(','));
        let due = [3, 7].map(|column| cells[column].parse::<u32>().expect("a number"));
        assert!(due.iter().sum::<u32>() >= 9, "{end:?}: {text}");
    }
}

#[test]
fn closed_output_ends_a_run_without_an_end() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let address = address.to_string();
    // With event lines, and with interval lines only.
    for arguments in [&["-i", "10ms"][..], &["-i", "10ms", "-q", "--every", "20ms"]] {
        let mut ping = start_ping(&[arguments, &["-W", "20s", &address]].concat());
        let is_reply = |line: &str| line.contains(" bytes from ") || line.contains("rtt ");
        while !is_reply(&ping.line()) {}
        ping.close_output();
        assert_eq!(ping.exit_status(), Some(0), "{arguments:?}");
    }
}

#[test]
fn full_output_device_exits_with_2() {
    let mut command = Command::new(PING);
    command
        .args(["-c", "1", CLOSED_PORT])
        .stdout(File::create("/dev/full").expect("Linux provides it"));
    let Finished { err, status, .. } = command.output().expect("runs").into();
    assert_eq!(status, Some(2));
    assert!(
        err.starts_with("hello-ping: cannot write to standard output: No space left on device"),
        "{err}"
    );
}

#[test]
fn endless_run_uses_constant_memory() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0", "--quiet"]);
    let options = ["-i", "20us", "-W", "100ms", "-q", "--json", "--every", "50ms"];
    let mut ping = start_ping(&[&options[..], &[&address.to_string()]].concat());
    let mut sent = 0;
    let mut resident_after = |probes| {
        while sent < probes {
            sent += count(&wait_for(&mut ping, "interval")["sent"]);
        }
        let status = fs::read_to_string(format!("/proc/{}/status", ping.id()));
        let status = status.expect("Linux provides it");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let (before, after) = (resident_after(50_000), resident_after(200_000));
    assert!(after <= before + 1024, "{before} kB became {after} kB");
    ping.signal(Signal::INT);
    assert_eq!(ping.finish().1, Some(0));
}
