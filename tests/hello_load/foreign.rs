//! Independent servers, wrong replies, and servers on another machine.

use std::process::Command;

use super::scripted_server::Server;
use super::{due, run};
use crate::support::{LOAD, Process, count, have, run_in_namespace};

#[test]
fn python_server_answers_every_request() {
    if !have("python3", "--version", "python_server_answers_every_request") {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/greeter.py");
    let mut greeter = Process::start(Command::new("python3").args(["-B", script]));
    let address = format!("127.0.0.1:{}", greeter.line());
    for options in [
        &["--outstanding", "8"][..],
        &["--outstanding", "32", "--train", "8", "--size", "8..1472"],
        &["--outstanding", "8", "--sources", "4", "--threads", "2", "--size", "2000"],
    ] {
        let common = ["--count", "200", "-W", "20s", &address];
        let (summary, status) = run(&[options, &common].concat());
        assert_eq!((&summary["sent"], &summary["answered"]), (&200.into(), &200.into()));
        assert_eq!((&summary["lost"], status), (&0.into(), Some(0)));
    }
}

#[test]
fn reply_with_one_changed_byte_is_corrupt_and_never_an_answer() {
    for options in [&["--outstanding", "4"][..], &["--outstanding", "4", "--size", "8..40"]] {
        // Changes each byte in turn, never to a byte that occurs in our names.
        let server = Server::start(|request| {
            let mut reply = request.greeting();
            let at = request.number % reply.len();
            reply[at] ^= 0x80;
            Some(reply)
        });
        let to = server.address();
        let (summary, status) = run(&[options, &["--count", "96", "-W", "20ms", &to]].concat());
        let wrong = server.finish().len();
        assert_eq!((wrong, status), (96, Some(1)));
        assert_eq!((&summary["corrupt"], &summary["answered"]), (&wrong.into(), &0.into()));
        assert_eq!((&summary["lost"], &summary["late"]), (&wrong.into(), &0.into()));
        assert!(summary["latency_ms"].is_null() && summary["rtt_ms"].is_null(), "{summary}");
    }
}

#[test]
fn correct_reply_after_a_wrong_one_counts() {
    for wrong in 1..=3_usize {
        let server = Server::start(move |request| {
            let mut reply = request.greeting();
            if request.number % 4 < wrong {
                reply.truncate(reply.len() - 1);
            }
            Some(reply)
        });
        let to = server.address();
        let (summary, status) = run(&["--outstanding", "4", "--count", "24", "-W", "100ms", &to]);
        let corrupt = wrong as u64 * 6;
        assert_eq!(count(&summary["answered"]), 24 - corrupt, "{summary}");
        assert_eq!((&summary["corrupt"], &summary["lost"]), (&corrupt.into(), &corrupt.into()));
        assert_eq!(status, Some(0));
    }
}

#[test]
fn other_machines_receive_requests_only_with_remote() {
    let test = "other_machines_receive_requests_only_with_remote";
    let Some(result) = run_in_namespace(test, "remote_load.py", &[LOAD]) else { return };
    assert_eq!((&result["refused"], &result["received_before"]), (&2.into(), &0.into()));
    assert_eq!((&result["status"], &result["load"]["sent"]), (&0.into(), &40.into()));
    assert_eq!(result["load"]["answered"], 40);
    assert_eq!(result["server"]["answered"], 40);
}

#[test]
fn request_without_a_route_counts_as_not_sent() {
    let test = "request_without_a_route_counts_as_not_sent";
    for options in [&[][..], &["--sources", "3", "--sources-by", "addresses"]] {
        let arguments = [&[LOAD][..], options].concat();
        let Some(summary) = run_in_namespace(test, "vanished_route.py", &arguments) else { return };
        assert_eq!(due(&summary), 40, "{summary}");
        assert!(count(&summary["not_sent"]["unreachable"]) > 0, "{summary}");
        assert_eq!(summary["errors"], serde_json::json!({}), "{summary}");
    }
}
