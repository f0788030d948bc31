//! Tests that need a network of their own, in a network namespace.

use serde_json::{Value, json};

use crate::support::{BACK_ENDS, CLIENT, LOAD, PING, have_ipv6, run_in_namespace};

/// Reads a count from JSON that omits counts of zero.
fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

#[test]
fn absent_neighbours_never_block_the_server() {
    let test = "absent_neighbours_never_block_the_server";
    let Some(summary) = run_in_namespace(test, "absent_neighbours.py", &[]) else { return };
    // If sends waited for the send buffer, none would fail, and every client would wait.
    let failed = count(&summary["send_failed"]["would-block"]);
    assert!(failed > 0, "{summary}");
    // A few requests reach a spare while it is opened, and are rejected.
    let (received, dropped) = (count(&summary["received"]), count(&summary["dropped"]));
    assert_eq!(received + dropped, count(&summary["sent"]), "{summary}");
    assert_eq!(count(&summary["answered"]) + failed, received, "{summary}");
}

#[test]
fn failed_send_costs_no_other_reply_at_any_position_of_a_batch() {
    let test = "failed_send_costs_no_other_reply_at_any_position_of_a_batch";
    for back_end in BACK_ENDS {
        let script = "poisoned_batches.py";
        let Some(summary) = run_in_namespace(test, script, &[back_end]) else { return };
        let mut expected = summary["expected"].as_object().expect("counts").clone();
        let bad = expected.values().map(count).sum::<u64>();
        let [zero, broadcast] = ["source-port-zero", "source-broadcast"]
            .map(|label| (label, expected.remove(label).expect("expected")));
        assert_eq!(summary["send_failed"], Value::Object(expected), "{back_end}");
        assert_eq!(summary["refused"], Value::from_iter([zero, broadcast]), "{back_end}");
        assert_eq!(summary["received"], summary["sent"], "{back_end}");
        assert_eq!(count(&summary["answered"]), count(&summary["sent"]) - bad, "{back_end}");
    }
}

#[test]
fn wildcard_server_replies_from_the_destination_and_ignores_group_addresses() {
    let test = "wildcard_server_replies_from_the_destination_and_ignores_group_addresses";
    if !have_ipv6(test) {
        return;
    }
    for back_end in BACK_ENDS {
        let Some(summary) = run_in_namespace(test, "wildcard.py", &[back_end]) else { return };
        assert_eq!(summary["answered"], summary["greeted"], "{summary}");
        assert_eq!(count(&summary["received"]), count(&summary["greeted"]) + 4, "{summary}");
        let refused = &summary["refused"];
        assert_eq!(refused["destination-multicast"], 2, "{summary}");
        assert_eq!(refused["destination-broadcast"], 2, "{back_end}: {summary}");
        assert_eq!(summary.get("send_failed"), None, "{back_end}: {summary}");
    }
}

#[test]
fn generator_recognises_the_default_limit_of_a_remote_server() {
    let test = "generator_recognises_the_default_limit_of_a_remote_server";
    let Some(results) = run_in_namespace(test, "limited_load.py", &[LOAD]) else { return };
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
fn default_limit_bounds_loops_that_no_rule_ends() {
    let test = "default_limit_bounds_loops_that_no_rule_ends";
    for back_end in BACK_ENDS {
        let Some(seen) = run_in_namespace(test, "limited_loop.py", &[back_end]) else { return };
        let summary = &seen["summary"];
        assert_eq!(summary["refused"]["over-limit"], seen["loops"], "{back_end}: {seen}");
        assert_eq!(summary["answered"], seen["replies"], "{back_end}: {seen}");
        let within = count(&summary["answered"]) - count(&summary["over_limit_answered"]);
        let earned = 1000.0 * seen["seconds"].as_f64().expect("a number");
        assert!((2000.0..=2001.0 + earned).contains(&(within as f64)), "{back_end}: {seen}");
    }
}

#[test]
fn absent_host_is_reported_for_each_probe_as_by_ping() {
    let test = "absent_host_is_reported_for_each_probe_as_by_ping";
    if !have_ipv6(test) {
        return;
    }
    for flows in ["1", "3"] {
        let arguments = [CLIENT, PING, "--flows", flows];
        let Some(seen) = run_in_namespace(test, "absent_host.py", &arguments) else { return };
        let client = seen["client"].as_str().expect("text");
        let end =
            "Tracy: 10.9.0.9:9999: host unreachable, reported by 10.9.0.1 (1 attempt in 5.0 s)\n";
        assert!(client.ends_with(end), "{client}");
        for run in seen["runs"].as_array().expect("two families") {
            let (summary, text) = (&run["summary"], run["text"].as_str().expect("text"));
            assert_eq!(summary["errors"], json!({"host-unreachable": 3}), "{run}");
            let causes = summary["lost_causes"].as_array().expect("an array");
            assert!(causes.len() == 1 && causes[0]["cause"] == "host-unreachable", "{run}");
            assert_eq!((&causes[0]["lost"], &summary["unattributed"]), (&3.into(), &0.into()));
            assert_eq!((&summary["lost"], &run["status"]), (&3.into(), &1.into()), "{run}");
            // The host does not exist, so each error is from this one.
            let errors =
                (1..=3).filter(|seq| text.contains(&format!(": seq={seq} host unreachable")));
            assert_eq!((errors.count(), text.matches("\nFrom ").count()), (3, 3), "{text}");
            assert!(!text.contains("9.9: seq") && !text.contains("no error"), "{text}");
        }
    }
}

#[test]
fn link_that_goes_down_fails_the_loss_threshold_of_a_ping() {
    let test = "link_that_goes_down_fails_the_loss_threshold_of_a_ping";
    let options = [PING, "--max-outage", "500ms"];
    let Some(run) = run_in_namespace(test, "lost_link.py", &options) else { return };
    let (summary, text) = (&run["summary"], run["text"].as_str().expect("text"));
    let not_sent = count(&summary["not_sent"]["unreachable"]);
    assert!(not_sent > 0 && count(&summary["sent"]) + not_sent == 30, "{run}");
    assert!(
        text.contains(&format!("\n  {not_sent} of 30 not sent: network unreachable\n")),
        "{text}"
    );
    assert!(text.contains(&format!("ms, +{not_sent} not sent\n")), "{text}");
    assert!(
        text.contains(&format!(" ({not_sent} of 30 not sent) exceeds --max-loss 1%\n")),
        "{text}"
    );
    assert_eq!(run["status"], 1, "{run}");
    // One outage, from the first probe without an answer to the last one, which was due after 1.45 s.
    let outages = &summary["outages"];
    let [outage] = &outages["longest"].as_array().expect("a list")[..] else { panic!("{run}") };
    let missed = 30 - count(&summary["answered"]);
    assert_eq!((&outage["probes"], &outages["scattered"]), (&missed.into(), &0.into()), "{run}");
    assert_eq!((&outage["not_sent"], &outage["ongoing"]), (&not_sent.into(), &true.into()));
    let [start, duration] = ["start_s", "duration_s"].map(|name| outage[name].as_f64());
    let end = start.zip(duration).map(|(start, duration)| start + duration);
    assert!(end.is_some_and(|end| (end - 1.45).abs() < 1e-6), "{run}");
    assert!(text.contains(" (ongoing) exceeds --max-outage 500ms\n"), "{text}");
}

#[test]
fn reply_path_that_changes_during_a_run_is_one_route_change() {
    let test = "reply_path_that_changes_during_a_run_is_one_route_change";
    if !have_ipv6(test) {
        return;
    }
    let Some(seen) = run_in_namespace(test, "changing_path.py", &[PING]) else { return };
    for family in ["4", "6"] {
        let run = &seen[family]["changed"];
        let (summary, ttls) = (&run["summary"], run["ttls"].as_array().expect("replies"));
        // Another router is one hop more.
        let direct = ttls.iter().take_while(|ttl| **ttl == 63).count();
        let around = ttls.len() - direct;
        assert!(direct >= 10 && around > 0, "{family}: {run}");
        assert!(ttls[direct..].iter().all(|ttl| *ttl == 62), "{family}: {run}");
        assert_eq!(summary["ttl"], json!({"62": around, "63": direct}), "{family}");
        assert_eq!(summary["route_changes"], 1, "{family}: {run}");
        // The first reply by the new path is to the probe after the last one by the old path.
        let earliest = 0.02 * direct as f64;
        assert!(summary["last_route_change_s"].as_f64() >= Some(earliest), "{family}: {run}");
        assert_eq!((&run["err"], &run["status"]), (&"".into(), &0.into()), "{family}");
    }
}

#[test]
fn modes_of_fragmentation_have_the_effect_of_pings() {
    let test = "modes_of_fragmentation_have_the_effect_of_pings";
    if !have_ipv6(test) {
        return;
    }
    let Some(seen) = run_in_namespace(test, "changing_path.py", &[PING]) else { return };
    for family in ["4", "6"] {
        let counts = |narrow: &str, mode: &str| {
            let summary = &seen[family][narrow][mode]["summary"];
            let not_sent = count(&summary["not_sent"]["too-long"]);
            (count(&summary["answered"]), count(&summary["lost"]), not_sent)
        };
        for mode in ["do", "probe"] {
            assert_eq!(counts("link", mode), (0, 0, 4), "{family} {mode}");
        }
        for (narrow, mode) in
            [("link", "want"), ("link", "dont"), ("router", "want"), ("router", "dont")]
        {
            assert_eq!(counts(narrow, mode), (4, 0, 0), "{family} {narrow} {mode}");
        }
        // The router's report makes the following ones too long, unless it is ignored.
        let (answered, lost, not_sent) = counts("router", "do");
        assert!(
            answered == 0 && lost > 0 && not_sent > 0 && lost + not_sent == 4,
            "{family}: {seen}"
        );
        assert_eq!(counts("router", "probe"), (0, 4, 0), "{family}");
    }
}
