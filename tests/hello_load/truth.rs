//! Every number of a run, compared with the record of a relay, for each impairment and many seeds.

use std::time::Duration;

use serde_json::{Value, json};

use super::{due, run};
use crate::relay::{
    Answer, Bursts, Greeter, Impairments, Inconclusive, Plan, Relay, Truth, retry_until_conclusive,
};
use crate::truth::{
    LONG, SHORT, TIMEOUT, assert_everything_occurred, assert_near, everything, in_parallel, mean,
    millis, nearest_rank, number, percentile, quick, slow, sorted, through_relay,
};

/// Runs in which whatever takes [`LONG`] arrives before the end: by the schedule of the open loop,
/// and in the closed loop if the server is slow.
const OPEN: &str = "--rate 500 --count 420 -W 250ms";
const CLOSED: &str = "--outstanding 12 --count 420 -W 250ms";

/// The number of impaired requests at the start; the others of a closed loop take half a second.
const IMPAIRED: usize = 100;

/// The delay of that server for each request.
const SLOW: Duration = Duration::from_millis(20);

/// Runs `hello-load` through a relay, and returns its summary and the expected counts.
fn measure(plan: &Plan, arguments: &str) -> Result<(Value, Truth), Inconclusive> {
    let greeter = Greeter::start();
    let reverse = Impairments { delay: SLOW, ..quick() };
    let slow = Plan { reverse, unimpaired_from: usize::MAX, ..Plan::default() };
    let slow = arguments.contains("--outstanding").then(|| Relay::start(greeter.address(), &slow));
    let server = slow.as_ref().map_or(greeter.address(), Relay::address);
    let ((summary, status), log) = through_relay(server, plan, |address| {
        let address = address.to_string();
        run(&Vec::from_iter(arguments.split(' ').chain([&*address])))
    });
    slow.map(Relay::finish);
    greeter.finish();
    assert_eq!(status, Some(0));
    assert_eq!(due(&summary), 420);
    Ok((summary, log.truth(TIMEOUT)?))
}

/// Compares runs of both kinds with the expected counts, with several seeds in parallel, and
/// returns those counts.
fn agree(forward: &Impairments, reverse: &Impairments) -> [Truth; 4] {
    in_parallel([(110, OPEN), (120, OPEN), (130, CLOSED), (140, CLOSED)], |(seed, arguments)| {
        retry_until_conclusive(seed, |seed| {
            let (forward, reverse) = (forward.clone(), reverse.clone());
            let plan = Plan { seed, forward, reverse, unimpaired_from: IMPAIRED };
            let (summary, truth) = measure(&plan, arguments)?;
            assert_counts(&summary, &truth);
            assert_eq!(summary["reordered"], truth.reordered());
            assert_times(&summary, &truth);
            Ok(truth)
        })
    })
}

/// Compares all counts except the reordered ones, which depend on which of two sources is read
/// first.
fn assert_counts(summary: &Value, truth: &Truth) {
    let (answered, lost) = (truth.answers.len(), truth.lost.len());
    let expected = json!({
        "sent": truth.sent,
        "answered": answered,
        "lost": lost,
        "in_flight": 0,
        "late": truth.late,
        "duplicate": truth.duplicate,
        "corrupt": truth.corrupt,
        "unsolicited": truth.unsolicited,
        "out_of_window": 0,
        "misdirected": 0,
        "errors": {},
    });
    let names = expected.as_object().expect("an object").keys();
    let found: Value = names.map(|name| (name.clone(), summary[name].clone())).collect();
    assert_eq!(found, expected);
    assert_eq!(truth.in_flight, 0, "every request is settled");
    assert_near(&summary["loss"], lost as f64 / (answered + lost) as f64, "loss");
    let span = number(&summary["duration_s"]);
    for (name, count) in [("sent_per_s", truth.sent as f64), ("answered_per_s", answered as f64)] {
        assert_near(&json!(number(&summary[name]) * span), count, name);
    }
}

/// Compares times with the relay's bounds, and with each other.
fn assert_times(summary: &Value, truth: &Truth) {
    let bounds = |of: fn(&Answer) -> Duration| {
        sorted(truth.answers.iter().map(|answer| millis(of(answer))).collect())
    };
    let (shortest, longest) = (bounds(|answer| answer.shortest), bounds(|answer| answer.longest));
    let (latency, rtt) = (&summary["latency_ms"], &summary["rtt_ms"]);
    for (name, permille) in [("p50", 500), ("p90", 900), ("p95", 950), ("p99", 990), ("p999", 999)]
    {
        let Some(stated) = percentile(rtt, name, permille, shortest.len()) else { continue };
        let least = nearest_rank(&shortest, permille);
        assert!(stated >= least - 1e-5, "{name}: {stated} ms is less than {least} ms");
        assert!(
            number(&latency[name]) >= stated,
            "{name}: latency from due time is at least the round-trip time"
        );
    }
    assert!(number(&rtt["min"]) >= shortest[0] - 1e-5, "{rtt}");
    assert!(number(&rtt["mean"]) >= mean(&shortest) - 1e-5, "{rtt}");
    // A probe may be delayed between its timestamp and its departure, but not every second one. In
    // a closed loop, where requests sent together are delayed together, all but the fastest may be.
    let late = &summary["timer_error_ms"];
    let which = if late.is_null() { "min" } else { "p50" };
    let (stated, most) = (number(&rtt[which]), nearest_rank(&longest, 500) * 1.001);
    assert!(stated <= most, "{which}: {stated} ms is more than {most} ms");
    if late.is_null() {
        assert_eq!(summary["plan"]["rate"], Value::Null);
        return;
    }
    let most = number(&rtt["max"]) + number(&late["max"]);
    assert!(number(&latency["max"]) <= most + 1e-5, "{latency}");
    if truth.lost.is_empty() {
        // Latency from due time is round-trip time plus send delay.
        let sum = number(&rtt["mean"]) + number(&late["mean"]);
        assert_near(&latency["mean"], sum, "mean since due");
    }
}

#[test]
fn loss_in_either_direction_counts_as_lost() {
    let some = Impairments { lost: 100, ..slow() };
    for truth in agree(&Impairments { lost: 100, ..quick() }, &some) {
        assert!(truth.lost.len() > 5, "{truth:?}");
    }
}

#[test]
fn burst_losses_and_a_blackout_count_as_lost() {
    let bursts = Bursts { begin: 30, end: 100 };
    let forward = Impairments { blackout: 60..80, ..quick() };
    for truth in agree(&forward, &Impairments { bursts, ..slow() }) {
        assert!(truth.lost.len() > 20, "{truth:?}");
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
        Impairments { held_back: (100, 2), delay: SHORT / 2, jitter: SHORT / 2, ..quick() };
    for truth in agree(&forward, &reverse) {
        assert!(truth.reordered() > 20 && truth.lost.is_empty(), "{truth:?}");
    }
}

#[test]
fn late_reply_is_lost_and_a_second_one_a_duplicate() {
    let reverse = Impairments { late: (150, LONG), duplicated: 200, ..slow() };
    for truth in agree(&quick(), &reverse) {
        assert_eq!(truth.late, truth.lost.len() as u64);
        assert!(truth.late > 3 && truth.duplicate > 10, "{truth:?}");
    }
}

#[test]
fn damaged_reply_is_corrupt_and_answers_nothing() {
    let damage = Impairments { corrupted: 80, truncated: 80, ..quick() };
    for truth in agree(&damage, &Impairments { delay: SHORT, ..damage.clone() }) {
        assert!(truth.corrupt > 10 && truth.lost.len() > 5, "{truth:?}");
    }
}

#[test]
fn replies_to_other_requests_are_unsolicited_and_answer_nothing() {
    let reverse = Impairments { unsolicited: 300, lost: 100, ..slow() };
    for truth in agree(&quick(), &reverse) {
        assert!(truth.unsolicited > 10 && truth.lost.len() > 3, "{truth:?}");
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
fn slow_reply_before_its_timeout_is_an_answer() {
    let slow = Impairments { delay: TIMEOUT * 3 / 4, ..quick() };
    let truths = agree(&quick(), &slow);
    assert!(truths.iter().all(|truth| truth.lost.is_empty() && truth.late == 0), "{truths:?}");
}

#[test]
fn percentiles_reveal_rare_slow_replies() {
    let (most, few) = (SHORT / 2, SHORT * 3);
    let reverse = Impairments { delay: most, late: (100, few), ..quick() };
    in_parallel([(150, OPEN), (160, CLOSED)], |(seed, arguments)| {
        retry_until_conclusive(seed, |seed| {
            let plan = Plan {
                seed,
                reverse: reverse.clone(),
                unimpaired_from: usize::MAX,
                ..Plan::default()
            };
            let (summary, truth) = measure(&plan, arguments)?;
            assert_counts(&summary, &truth);
            assert_times(&summary, &truth);
            for times in [&summary["latency_ms"], &summary["rtt_ms"]] {
                let [min, p50, p99] = ["min", "p50", "p99"].map(|name| number(&times[name]));
                assert!(min >= millis(most) && p50 < p99 && p99 >= millis(few), "{times}");
            }
            Ok(())
        });
    });
}

#[test]
fn several_sources_are_counted_together_and_kept_apart() {
    let (forward, reverse) = everything();
    let arguments = [OPEN, CLOSED].map(|run| format!("{run} --sources 3"));
    in_parallel([(170, &arguments[0]), (180, &arguments[1])], |(seed, arguments)| {
        retry_until_conclusive(seed, |seed| {
            let plan = Plan {
                seed,
                forward: forward.clone(),
                reverse: reverse.clone(),
                unimpaired_from: IMPAIRED,
            };
            let (summary, truth) = measure(&plan, arguments)?;
            assert_counts(&summary, &truth);
            Ok(())
        });
    });
}
