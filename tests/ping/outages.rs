//! Outages of known length: the server decides by the number of a probe, and not by the time.

use std::net::UdpSocket;
use std::thread;

use hello_proto::Token;
use serde_json::{Value, json};

use super::{ping, summary, wait_for};
use crate::observability::{fresh_path, metric};
use crate::relay::{Inconclusive, retry_until_conclusive};
use crate::support::{Finished, peer, receive};

/// The number of probes of a run.
const PROBES: u32 = 20;

/// Answers the probes of a run, except those with these sequence numbers.
fn answer_except(peer: &UdpSocket, silent: &[u32]) {
    for _ in 0..PROBES {
        let (name, source) = receive(peer);
        let seq = Token::decode(&name).expect("a token").seq;
        if !silent.contains(&seq) {
            peer.send_to(&[b"Hello, ", &name[..], b"!"].concat(), source).expect("sent");
        }
        if seq == PROBES {
            return;
        }
    }
}

/// Runs `hello-ping` against a server that is silent for these probes.
fn run(silent: &[u32], arguments: &[&str]) -> Result<Finished, Inconclusive> {
    let peer = peer();
    let to = peer.local_addr().expect("bound").to_string();
    let count = PROBES.to_string();
    let arguments = [&["-c", &count, "-i", "20ms", "-W", "1s", &to], arguments].concat();
    let finished = thread::scope(|scope| {
        scope.spawn(|| answer_except(&peer, silent));
        ping(&arguments)
    });
    let lost = format!("{PROBES} packets transmitted, {} received", PROBES as usize - silent.len());
    let sent = format!("\"sent\":{PROBES},\"answered\":{},", PROBES as usize - silent.len());
    match finished.out.contains(&lost) || finished.out.contains(&sent) {
        true => Ok(finished),
        false => Err(Inconclusive(format!("a stall cost other probes: {}", finished.out))),
    }
}

/// Returns when the answered probe with this sequence number was sent.
fn sent_at(out: &str, seq: u32) -> f64 {
    let lines = out.lines().map(crate::support::json);
    let reply = lines.into_iter().find(|line| line["event"] == "reply" && line["seq"] == seq);
    let reply = reply.expect("a reply");
    let [at, rtt] = ["at_s", "rtt_ms"].map(|field| reply[field].as_f64().expect("a number"));
    at - rtt / 1e3
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn eight_probes_without_an_answer_are_an_outage_from_the_first_to_the_next_answer() {
    let silent = Vec::from_iter((5..=12).chain([16]));
    retry_until_conclusive(0, |_| {
        let Finished { out, status, .. } = run(&silent, &["--json", "--max-outage", "60s"])?;
        assert_eq!(status, Some(0));
        let outages = &summary(&out)["outages"];
        let counts = ["count", "probes", "scattered", "max_probes", "unlisted"];
        assert_eq!(counts.map(|name| &outages[name]), [1, 8, 1, 8, 0].map(Value::from).each_ref());
        let outage = &outages["longest"][0];
        let [start, duration] = ["start_s", "duration_s"].map(|name| number(&outage[name]));
        let expected = json!({
            "flow": 0, "first_seq": 5, "start_s": start, "duration_s": duration, "probes": 8,
            "not_sent": 0, "ongoing": false,
        });
        assert_eq!(outage, &expected);
        // Probe 5 is due after 80 ms, and the outage ends when probe 13 is sent, which is due after 240
        // ms. The kernel sends it a moment after the process does.
        assert!(start >= 0.08 && start > sent_at(&out, 4) - 1e-2, "{start}");
        let end = start + duration;
        assert!(end >= 0.24 && end <= sent_at(&out, 13) + 1e-6, "{end}");
        let mut together = expected;
        together["flow"] = Value::Null;
        assert_eq!(outages["without_answer"], together);
        Ok(())
    });
}

#[test]
fn outage_longer_than_the_threshold_exits_with_1_and_prints_it() {
    let silent = Vec::from_iter(5..=12);
    retry_until_conclusive(0, |_| {
        let Finished { out, err, status } = run(&silent, &["--max-outage", "50ms"])?;
        assert_eq!(status, Some(1), "{out}");
        assert!(out.contains("\n  outages 1, longest 8 probes in 0."), "{out}");
        assert!(err.contains(": outage of 8 probes in 0.") && err.lines().count() == 1, "{err}");
        assert!(err.ends_with(" s exceeds --max-outage 50ms\n"), "{err}");
        // Two single losses are none.
        let Finished { out, err, status } = run(&[5, 7], &["--max-outage", "1ms"])?;
        assert_eq!((&*err, status), ("", Some(0)));
        assert!(out.contains("\n  no outage; 2 scattered losses\n"), "{out}");
        Ok(())
    });
}

#[test]
fn outage_that_lasts_to_the_end_of_the_run_exceeds_the_threshold() {
    let silent = Vec::from_iter(16..=PROBES);
    retry_until_conclusive(0, |_| {
        let Finished { err, status, .. } = run(&silent, &["--max-outage", "50ms"])?;
        assert_eq!(status, Some(1));
        assert!(err.contains(": outage of 5 probes in 0.") && err.contains(" (ongoing) "), "{err}");
        Ok(())
    });
}

#[test]
fn interruption_of_all_flows_is_found_even_if_each_flow_loses_one_probe() {
    let silent = [9, 10, 11, 12];
    retry_until_conclusive(0, |_| {
        for (flows, outages) in [("2", 2), ("4", 0)] {
            let options = ["--flows", flows, "--max-outage", "30ms"];
            let Finished { out, err, status } = run(&silent, &options)?;
            assert_eq!(status, Some(1), "{out}");
            assert!(err.contains("exceeds --max-outage 30ms\n"), "{err}");
            let line = match outages {
                0 => "\n  no outage of a single flow; 4 scattered losses\n".to_owned(),
                some => format!("\n  outages {some}, longest 2 probes in 0."),
            };
            assert!(out.contains(&line), "{out}");
            let line = "\n  longest without an answer: 4 probes in 0.";
            assert!(out.contains(line), "{out}");
        }
        Ok(())
    });
}

#[test]
fn snapshot_and_metrics_have_an_outage_that_is_not_over() {
    let (peer, file) = (peer(), fresh_path("snapshot_and_metrics_have_an_outage_that_is_not_over"));
    let to = peer.local_addr().expect("bound").to_string();
    let path = file.to_str().expect("UTF-8");
    let options = ["-i", "20ms", "-W", "40ms", "--json", "--metrics-file", path, &to];
    let mut ping = super::start_ping(&options);
    for _ in 0..3 {
        wait_for(&mut ping, "lost");
    }
    ping.signal(rustix::process::Signal::QUIT);
    let outages = wait_for(&mut ping, "snapshot")["outages"].take();
    assert_eq!((&outages["count"], &outages["longest"][0]["ongoing"]), (&json!(1), &json!(true)));
    ping.signal(rustix::process::Signal::INT);
    assert_eq!(ping.finish().1, Some(1));
    let text = std::fs::read_to_string(&file).expect("there");
    let value = |name: &str| metric(&text, &format!("hello_ping_{name}{{target=\"{to}\"}}"));
    assert_eq!(value("outages_total"), Some(1));
    assert!(value("outage_probes_total") >= Some(3), "{text}");
}
