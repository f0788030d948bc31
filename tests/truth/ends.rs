//! Runs that end, stop or fail.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{LONG, PACE, Run, SHORT, TIMEOUT, ping, through_relay};
use crate::relay::{Greeter, Impairments, Plan, Sent, Void, until_told};
use crate::support::{Process, count, peer};

/// Reads events until a probe is answered, or a later one.
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

/// Checks all that is known of a run that nobody answered.
fn assert_unanswered(run: &Run) {
    let summary = &run.summary;
    assert_eq!(run.due(), 50);
    assert_eq!((&summary["answered"], &summary["in_flight"]), (&json!(0), &json!(0)), "{summary}");
    // It waited for the last as long as for any.
    assert_eq!((&summary["lost"], &summary["loss"]), (&summary["sent"], &json!(1.0)), "{summary}");
    assert!(
        run.seqs("lost").into_iter().map(u64::from).eq(0..count(&summary["sent"])),
        "{summary}"
    );
    assert!(summary["rtt_ms"].is_null() && summary["jitter_ms"].is_null(), "{summary}");
    assert_eq!(run.status, Some(1));
}

#[test]
fn where_nothing_passes_there_is_a_summary_all_the_same() {
    let nothing = Impairments { lost: 1000, ..Impairments::default() };
    let everything = Impairments::default();
    for (there, back) in [(&nothing, &everything), (&everything, &nothing)] {
        let (there, back) = (there.clone(), back.clone());
        let plan = Plan { there, back, calm_from: usize::MAX, ..Plan::default() };
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
fn refused_is_told_apart_from_silence() {
    // An address that nobody else binds.
    let nobody = ([127, 78, 0, 2], 9).into();
    let run = Run::of(vec![], ping(&format!("-c 50 {PACE}"), &[nobody]));
    assert_unanswered(&run);
    let errors = run.summary["errors"].as_object().expect("counts");
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["connection-refused"]);
    let told = count(&errors["connection-refused"]);
    assert!(told > 0);
    assert_eq!(run.events("error").count() as u64, told);
}

#[test]
fn a_deadline_ends_what_a_timeout_would_not_and_calls_nothing_lost() {
    until_told(0, |_| {
        let (silent, start) = (peer(), Instant::now());
        let address = silent.local_addr().expect("bound");
        let run = Run::of(vec![], ping("-i 2ms -W 20s -w 100ms", &[address]));
        assert!(start.elapsed() >= Duration::from_millis(100));
        let summary = &run.summary;
        assert_eq!((&summary["in_flight"], &summary["lost"]), (&summary["sent"], &json!(0)));
        assert!(summary["loss"].is_null(), "{summary}");
        assert_eq!(run.status, Some(1));
        if summary["sent"] == 0 {
            return Err(Void("the deadline came before the first probe".into()));
        }
        Ok(())
    });
}

#[test]
fn for_its_whole_duration_each_probe_that_is_due_is_sent_or_said_not_to_be() {
    let (greeter, start) = (Greeter::start(), Instant::now());
    let run = Run::of(vec![], ping("-i 2ms --duration 100ms", &[greeter.address()]));
    assert!(start.elapsed() >= Duration::from_millis(100 - 2));
    greeter.finish();
    assert_eq!(run.due(), 50, "{}", run.summary);
    assert_eq!(run.status, Some(0));
}

#[test]
fn interrupted_it_says_what_is_in_flight_and_calls_nothing_lost() {
    until_told(70, |seed| {
        let there = Impairments { blackout: 50..100, ..Impairments::default() };
        let back = Impairments { delay: SHORT, ..Impairments::default() };
        let plan = Plan { seed, there, back, calm_from: usize::MAX };
        let greeter = Greeter::start();
        let (run, log) = through_relay(greeter.address(), &plan, |address| {
            let mut process = ping("-i 2ms -W 20s", &[address]);
            let events = read_until(&mut process, 150);
            process.signal(Signal::INT);
            Run::of(events, process)
        });
        greeter.finish();
        let truth = log.truth(Duration::from_secs(20))?;
        assert_eq!((truth.in_flight, truth.lost.len()), (50, 0));
        run.assert_agrees(&truth);
        Ok(())
    });
}

#[test]
fn what_comes_while_it_is_stopped_is_in_time_or_late_by_when_it_came() {
    until_told(80, |seed| {
        let back = Impairments { delay: SHORT, late: (300, LONG), ..Impairments::default() };
        let plan = Plan { seed, back, calm_from: 60, ..Plan::default() };
        let greeter = Greeter::start();
        let ((run, stopped), log) = through_relay(greeter.address(), &plan, |address| {
            // So many that those due meanwhile are no burst that fills a buffer.
            let mut process = ping("-c 150 -i 10ms -W 250ms", &[address]);
            let events = read_until(&mut process, 20);
            process.signal(Signal::STOP);
            process.wait_until_stopped();
            let since = Instant::now();
            // Nothing is waited for: it is to be stopped for longer than any reply takes.
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
            return Err(Void("no reply waited for longer than the timeout".into()));
        }
        assert_eq!((run.due(), truth.lost.len() as u64), (150, truth.late));
        run.assert_agrees(&truth);
        Ok(())
    });
}
