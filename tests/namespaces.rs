//! What takes a network of its own, in a namespace.

use serde_json::Value;

use crate::support::{BACK_ENDS, have_ipv6, in_namespace};

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
    assert_eq!(summary["received"], summary["asked"]);
    assert_eq!(count(&summary["answered"]) + failed, count(&summary["received"]));
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
