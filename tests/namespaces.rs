//! What takes a network of its own, in a namespace.

use serde_json::{Value, json};

use crate::support::{BACK_ENDS, LOAD, have_ipv6, in_namespace};

/// A count in JSON, where those that are zero are left out.
fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

#[test]
fn neighbours_that_do_not_exist_never_make_the_server_wait() {
    let test = "neighbours_that_do_not_exist_never_make_the_server_wait";
    let Some(summary) = in_namespace(test, "absent_neighbours.py", &[]) else { return };
    // Were sends to wait for the send buffer, none would fail, and everybody would wait.
    let failed = count(&summary["send_failed"]["would-block"]);
    assert!(failed > 0, "{summary}");
    // A few reach a spare while it is opened, which rejects them.
    let (received, dropped) = (count(&summary["received"]), count(&summary["dropped"]));
    assert_eq!(received + dropped, count(&summary["asked"]), "{summary}");
    assert_eq!(count(&summary["answered"]) + failed, received, "{summary}");
}

#[test]
fn a_reply_that_cannot_be_sent_costs_no_other_wherever_it_stands_in_a_batch() {
    let test = "a_reply_that_cannot_be_sent_costs_no_other_wherever_it_stands_in_a_batch";
    for back_end in BACK_ENDS {
        let script = "poisoned_batches.py";
        let Some(summary) = in_namespace(test, script, &[back_end]) else { return };
        let mut expected = summary["expected"].as_object().expect("counts").clone();
        let bad = expected.values().map(count).sum::<u64>();
        let [zero, broadcast] = ["source-port-zero", "source-broadcast"]
            .map(|label| (label, expected.remove(label).expect("asked for")));
        assert_eq!(summary["send_failed"], Value::Object(expected), "{back_end}");
        assert_eq!(summary["refused"], Value::from_iter([zero, broadcast]), "{back_end}");
        assert_eq!(summary["received"], summary["asked"], "{back_end}");
        assert_eq!(count(&summary["answered"]), count(&summary["asked"]) - bad, "{back_end}");
    }
}

#[test]
fn a_server_at_every_address_answers_from_the_one_asked_and_not_at_those_of_many() {
    let test = "a_server_at_every_address_answers_from_the_one_asked_and_not_at_those_of_many";
    if !have_ipv6(test) {
        return;
    }
    for back_end in BACK_ENDS {
        let Some(summary) = in_namespace(test, "wildcard.py", &[back_end]) else { return };
        assert_eq!(summary["answered"], summary["greeted"], "{summary}");
        assert_eq!(count(&summary["received"]), count(&summary["greeted"]) + 4, "{summary}");
        let refused = &summary["refused"];
        assert_eq!(refused["destination-multicast"], 2, "{summary}");
        assert_eq!(refused["destination-broadcast"], 2, "{back_end}: {summary}");
        assert_eq!(summary.get("send_failed"), None, "{back_end}: {summary}");
    }
}

#[test]
fn a_load_over_a_wire_is_held_to_the_default_limit_and_the_generator_recognises_it() {
    let test = "a_load_over_a_wire_is_held_to_the_default_limit_and_the_generator_recognises_it";
    let Some(results) = in_namespace(test, "limited_load.py", &[LOAD]) else { return };
    let [limited, unlimited] = [0, 1].map(|run| &results[run]);
    let limit = json!({"rate": 1000, "burst": 2000, "dry_run": false});
    assert_eq!((&limited["started"]["limit"], &limited["ended"]["limit"]), (&limit, &limit));
    assert!(count(&limited["ended"]["refused"]["over-limit"]) > 0, "{limited}");
    assert!(count(&limited["load"]["lost"]) > 0, "{limited}");
    let suspected = json!({"rate": 1000, "burst": 2000});
    assert_eq!(limited["load"]["suspected_limit"], suspected, "{limited}");

    assert_eq!(
        (&unlimited["started"]["limit"], &unlimited["ended"]["limit"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(count(&unlimited["ended"]["refused"]["over-limit"]), 0, "{unlimited}");
    assert_eq!(unlimited["load"]["suspected_limit"], Value::Null, "{unlimited}");
}

#[test]
fn loops_that_no_rule_ends_are_held_to_the_default_limit_beyond_the_loopback() {
    let test = "loops_that_no_rule_ends_are_held_to_the_default_limit_beyond_the_loopback";
    for back_end in BACK_ENDS {
        let Some(seen) = in_namespace(test, "limited_loop.py", &[back_end]) else { return };
        let summary = &seen["summary"];
        assert_eq!(summary["refused"]["over-limit"], seen["loops"], "{back_end}: {seen}");
        assert_eq!(summary["answered"], seen["replies"], "{back_end}: {seen}");
        let within = count(&summary["answered"]) - count(&summary["over_limit_answered"]);
        let earned = 1000.0 * seen["seconds"].as_f64().expect("a number");
        assert!((2000.0..=2001.0 + earned).contains(&(within as f64)), "{back_end}: {seen}");
    }
}
