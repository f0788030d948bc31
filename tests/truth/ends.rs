//! Runs that end, stop or fail.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{LONG, PACE, Run, SHORT, TIMEOUT, ping, through_relay};
use crate::relay::{Greeter, Impairments, Inconclusive, Plan, Sent, retry_until_conclusive};
use crate::support::{Process, count, peer};

/// Reads events until a probe or a later one is answered.
fn read_until(process: &mut Process, seq: u64) -> Vec<Value> {
    let mut events = vec![];
    loop {
        let event = process.json();
        let found = event["event"] == "reply" && count(&event["seq"]) >= seq;
        events.push(event);
        if found {
            return events;
        }
    }
}

/// Checks a run without any reply.
fn assert_unanswered(run: &Run) {
    let summary = &run.summary;
    assert_eq!(run.due(), 50);
    assert_eq!((&summary["answered"], &summary["in_flight"]), (&json!(0), &json!(0)), "{summary}");
    // The drain for the last probe took the full timeout.
    assert_eq!((&summary["lost"], &summary["loss"]), (&summary["sent"], &json!(1.0)), "{summary}");
    assert!(
        run.seqs("lost").into_iter().map(u64::from).eq(1..=count(&summary["sent"])),
        "{summary}"
    );
    assert!(summary["rtt_ms"].is_null() && summary["jitter_ms"].is_null(), "{summary}");
    assert_eq!(run.status, Some(1));
}

#[test]
fn total_loss_still_gives_a_summary() {
    let nothing = Impairments { lost: 1000, ..Impairments::default() };
    let everything = Impairments::default();
    for (forward, reverse) in [(&nothing, &everything), (&everything, &nothing)] {
        let (forward, reverse) = (forward.clone(), reverse.clone());
        let plan = Plan { forward, reverse, unimpaired_from: usize::MAX, ..Plan::default() };
        let greeter = Greeter::start();
        let (run, log) = through_relay(greeter.address(), &plan, |address| {
            Run::of(vec![], ping(&format!("-c 50 {PACE}"), &[address]))
        });
        greeter.finish();
        assert_unanswered(&run);
        assert_eq!(run.summary["sent"], log.requests.len());
        assert!(log.replies.is_empty());
        assert_eq!(run.summary["errors"], json!({}));
    }
}

#[test]
fn refusal_is_distinguished_from_silence() {
    // An address that no one else binds.
    let closed_port = ([127, 78, 0, 2], 9).into();
    let run = Run::of(vec![], ping(&format!("-c 50 {PACE}"), &[closed_port]));
    assert_unanswered(&run);
    let errors = run.summary["errors"].as_object().expect("counts");
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["refused"]);
    let reported = count(&errors["refused"]);
    assert!(reported > 0);
    assert_eq!(run.events("error").count() as u64, reported);
}

#[test]
fn deadline_ends_a_run_before_the_timeout_without_counting_losses() {
    retry_until_conclusive(0, |_| {
        let (silent, start) = (peer(), Instant::now());
        let address = silent.local_addr().expect("bound");
        let run = Run::of(vec![], ping("-i 2ms -W 20s -w 100ms", &[address]));
        assert!(start.elapsed() >= Duration::from_millis(100));
        let summary = &run.summary;
        assert_eq!((&summary["in_flight"], &summary["lost"]), (&summary["sent"], &json!(0)));
        assert!(summary["loss"].is_null(), "{summary}");
        assert_eq!(run.status, Some(1));
        if summary["sent"] == 0 {
            return Err(Inconclusive("the deadline passed before the first probe".into()));
        }
        Ok(())
    });
}

#[test]
fn every_due_probe_is_sent_or_reported_as_not_sent() {
    let (greeter, start) = (Greeter::start(), Instant::now());
    let run = Run::of(vec![], ping("-i 2ms --duration 100ms", &[greeter.address()]));
    assert!(start.elapsed() >= Duration::from_millis(100 - 2));
    greeter.finish();
    assert_eq!(run.due(), 50, "{}", run.summary);
    assert_eq!(run.status, Some(0));
}

#[test]
fn interrupt_waits_for_the_probes_in_flight() {
    retry_until_conclusive(70, |seed| {
        let forward = Impairments { blackout: 50..100, ..Impairments::default() };
        let reverse = Impairments { delay: SHORT, ..Impairments::default() };
        let plan = Plan { seed, forward, reverse, unimpaired_from: usize::MAX };
        let greeter = Greeter::start();
        let (run, log) = through_relay(greeter.address(), &plan, |address| {
            let mut process = ping("-i 2ms -W 250ms", &[address]);
            // By then, the probes of the blackout are lost.
            let events = read_until(&mut process, 300);
            process.signal(Signal::INT);
            Run::of(events, process)
        });
        greeter.finish();
        let truth = log.truth(TIMEOUT)?;
        assert_eq!((truth.in_flight, truth.lost.len()), (0, 50));
        run.assert_agrees(&truth);
        Ok(())
    });
}

#[test]
fn replies_during_a_suspension_are_judged_by_their_arrival() {
    retry_until_conclusive(80, |seed| {
        let reverse = Impairments { delay: SHORT, late: (300, LONG), ..Impairments::default() };
        let plan = Plan { seed, reverse, unimpaired_from: 60, ..Plan::default() };
        let greeter = Greeter::start();
        let ((run, stopped), log) = through_relay(greeter.address(), &plan, |address| {
            // Few enough that the requests due meanwhile do not fill a buffer in one burst.
            let mut process = ping("-c 150 -i 10ms -W 250ms", &[address]);
            let events = read_until(&mut process, 20);
            process.signal(Signal::STOP);
            process.wait_until_stopped();
            let since = Instant::now();
            // Waits for no event: the tool must be stopped for longer than any reply takes.
            thread::sleep(LONG + TIMEOUT);
            let stopped = since..Instant::now();
            process.signal(Signal::CONT);
            (Run::of(events, process), stopped)
        });
        greeter.finish();
        let truth = log.truth(TIMEOUT)?;
        let meanwhile = |reply: &Sent| {
            stopped.contains(&reply.earliest) && stopped.contains(&(reply.latest + TIMEOUT))
        };
        if !log.replies.iter().any(meanwhile) || truth.late == 0 {
            return Err(Inconclusive("no reply was delayed beyond the timeout".into()));
        }
        assert_eq!((run.due(), truth.lost.len() as u64), (150, truth.late));
        run.assert_agrees(&truth);
        Ok(())
    });
}
