//! Impairments of the path, one by one.

use std::process::Command;
use std::time::Duration;

use super::{
    IMPAIRED, LONG, PACE, Run, SHORT, TIMEOUT, WHOLE, in_parallel, measure, ping, through_relay,
};
use crate::relay::{Bursts, Impairments, Plan, Truth, retry_until_conclusive};
use crate::support::{Process, count, have, server, summary};

/// Compares runs with the expected counts, with several seeds in parallel, and returns those
/// counts.
fn agree(forward: &Impairments, reverse: &Impairments) -> [Truth; 4] {
    let run = |seed| {
        let (forward, reverse) = (forward.clone(), reverse.clone());
        let plan = Plan { seed, forward, reverse, unimpaired_from: IMPAIRED };
        let (run, _, truth) = measure(&plan, WHOLE)?;
        assert_eq!(run.due(), 420);
        run.assert_agrees(&truth);
        Ok(truth)
    };
    in_parallel([10, 20, 30, 40], |seed| retry_until_conclusive(seed, run))
}

/// A delay on the path back.
pub(crate) fn slow() -> Impairments {
    Impairments { delay: SHORT, ..quick() }
}

pub(crate) fn quick() -> Impairments {
    Impairments::default()
}

pub(crate) fn everything() -> (Impairments, Impairments) {
    let forward = Impairments {
        lost: 50,
        bursts: Bursts { begin: 20, end: 300 },
        corrupted: 50,
        truncated: 50,
        duplicated: 100,
        held_back: (50, 3),
        jitter: SHORT / 2,
        ..Impairments::default()
    };
    let reverse =
        Impairments { unsolicited: 100, late: (100, LONG), blackout: 60..70, ..forward.clone() };
    (forward, reverse)
}

pub(crate) fn assert_everything_occurred(truth: &Truth) {
    let Truth { late, duplicate, corrupt, unsolicited, .. } = truth;
    assert!([late, duplicate, corrupt, unsolicited].iter().all(|count| **count > 0), "{truth:?}");
}

#[test]
fn loss_in_either_direction_counts_as_lost() {
    let some = Impairments { lost: 100, ..slow() };
    for truth in agree(&Impairments { lost: 100, ..quick() }, &some) {
        assert!(truth.lost.len() > 10, "{truth:?}");
    }
}

#[test]
fn burst_losses_and_a_blackout_count_as_lost() {
    let bursts = Bursts { begin: 30, end: 100 };
    let forward = Impairments { blackout: 100..150, ..quick() };
    for truth in agree(&forward, &Impairments { bursts, ..slow() }) {
        assert!(truth.lost.len() > 50, "{truth:?}");
    }
}

#[test]
fn duplicates_in_either_direction_are_answered_once() {
    let some = Impairments { duplicated: 200, ..slow() };
    for truth in agree(&Impairments { duplicated: 200, ..quick() }, &some) {
        assert!(truth.duplicate > 20 && truth.lost.is_empty(), "{truth:?}");
    }
}

#[test]
fn overtaken_replies_are_reordered_and_not_lost() {
    let forward = Impairments { held_back: (100, 3), ..quick() };
    let reverse =
        Impairments { held_back: (100, 5), delay: SHORT / 2, jitter: SHORT / 2, ..quick() };
    for truth in agree(&forward, &reverse) {
        assert!(truth.reordered() > 20 && truth.lost.is_empty(), "{truth:?}");
    }
}

#[test]
fn late_reply_is_lost_and_a_second_one_a_duplicate() {
    let reverse = Impairments { late: (200, LONG), duplicated: 200, ..slow() };
    for truth in agree(&quick(), &reverse) {
        assert_eq!(truth.late, truth.lost.len() as u64);
        assert!(truth.late > 10 && truth.duplicate > 10, "{truth:?}");
    }
}

#[test]
fn damaged_reply_is_corrupt_and_answers_nothing() {
    let damage = Impairments { corrupted: 100, truncated: 100, ..quick() };
    for truth in agree(&damage, &Impairments { delay: SHORT, ..damage.clone() }) {
        assert!(truth.corrupt > 20 && truth.lost.len() > 20, "{truth:?}");
    }
}

#[test]
fn replies_to_other_requests_are_unsolicited_and_answer_nothing() {
    let reverse = Impairments { unsolicited: 300, lost: 100, ..slow() };
    for truth in agree(&quick(), &reverse) {
        assert!(truth.unsolicited > 20 && truth.lost.len() > 5, "{truth:?}");
    }
}

#[test]
fn all_impairments_at_once_are_distinguished() {
    let (forward, reverse) = everything();
    for truth in agree(&forward, &reverse) {
        assert_everything_occurred(&truth);
    }
}

#[test]
fn percentiles_reveal_rare_slow_replies() {
    let (most, few) = (Duration::from_millis(20), Duration::from_millis(120));
    let reverse = Impairments { delay: most, late: (100, few), ..quick() };
    retry_until_conclusive(50, |seed| {
        let plan =
            Plan { seed, reverse: reverse.clone(), unimpaired_from: usize::MAX, ..Plan::default() };
        let (run, _, truth) = measure(&plan, &format!("-c 300 {PACE}"))?;
        run.assert_agrees(&truth);
        let rtt = &run.summary["rtt_ms"];
        let [min, p50, p99] = ["min", "p50", "p99"].map(|name| rtt[name].as_f64());
        assert!(min >= Some(20.0) && p50 < p99 && p99 >= Some(120.0), "{rtt}");
        Ok(())
    });
}

#[test]
fn python_server_and_ours_are_measured_alike() {
    let test = "python_server_and_ours_are_measured_alike";
    if !have("python3", "--version", test) {
        return;
    }
    let greeter = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/greeter.py");
    let mut greeter = Process::start(Command::new("python3").arg(greeter));
    let python = format!("127.0.0.1:{}", greeter.line()).parse().expect("an address");
    let (process, ours) = server(&["--bind", "127.0.0.1:0", "--quiet"]);
    let (forward, reverse) = everything();
    in_parallel([python, ours], |server| {
        retry_until_conclusive(60, |seed| {
            let plan = Plan {
                seed,
                forward: forward.clone(),
                reverse: reverse.clone(),
                unimpaired_from: IMPAIRED,
            };
            let (run, log) =
                through_relay(server, &plan, |address| Run::of(vec![], ping(WHOLE, &[address])));
            run.assert_agrees(&log.truth(TIMEOUT)?);
            Ok(())
        });
    });
    let summary = summary(process);
    assert_eq!(summary["answered"], count(&summary["received"]));
}
