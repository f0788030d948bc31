//! Tests of a server that answers in the driver (XDP), by traffic over veth pairs between network
//! namespaces.

use std::io::{self, Write as _};

use serde_json::{Value, json};

use crate::support::{CLIENT, LOAD, PING, have_ipv6, run_in_namespace, skip};

/// Runs a script in a network namespace that has IPv6 and XDP; see [`skip`].
pub(crate) fn run(test: &str, script: &str, arguments: &[&str]) -> Option<Value> {
    if !have_ipv6(test) {
        return None;
    }
    let refused = run_in_namespace(test, "xdp_pass.py", &[])?;
    if !refused.is_null() {
        skip(test, &format!("no XDP program can be attached here: {refused}"));
        return None;
    }
    run_in_namespace(test, script, arguments)
}

/// Reads a count from JSON that omits counts of zero.
fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

#[test]
fn plain_requests_are_answered_in_the_driver_even_if_the_server_is_stopped() {
    let test = "plain_requests_are_answered_in_the_driver_even_if_the_server_is_stopped";
    let Some(seen) = run(test, "driver_greetings.py", &[CLIENT, PING, LOAD]) else { return };
    let places = json!({
        "empty": "driver", "short": "driver", "odd": "driver", "bytes": "driver", "long": "driver",
        "mtu": "driver", "lengths": true, "above": "socket", "request": "socket", "fragments": "socket",
    });
    for address in ["10.9.0.1", "2001:db8::1"] {
        let seen = &seen["results"][address];
        assert_eq!((&seen["places"], &seen["client"]), (&places, &"Hello, Tracy!\n".into()));
        assert_eq!((count(&seen["ping"]["answered"]), count(&seen["ping"]["lost"])), (20, 0));
        assert_eq!((&seen["load"]["lost"], &seen["at_sockets"]), (&0.into(), &0.into()), "{seen}");
    }
    assert_eq!(seen["link_local"], "driver");
    let summary = &seen["summary"];
    let own_port = count(&summary["refused"]["source-port-own"]);
    assert!(own_port > 0 && count(&summary["dropped"]) > 0, "{summary}");
    assert_eq!(count(&summary["received"]) + count(&summary["dropped"]), seen["sent"], "{summary}");
    assert_eq!(count(&summary["answered"]) + own_port, summary["received"], "{summary}");
}

#[test]
fn tag_of_a_request_is_kept_and_selects_the_addresses_of_its_vlan() {
    let test = "tag_of_a_request_is_kept_and_selects_the_addresses_of_its_vlan";
    let Some(seen) = run(test, "driver_vlan.py", &[]) else { return };
    // VLAN 0 is none, with a priority.
    assert_eq!((&seen["priority"], &seen["other"]), (&json!([5 << 13]), &json!([])));
    let Some(vlans) = seen.get("vlans") else {
        // Not eprintln!, which is captured; and not `skip`, because the rest was tested.
        writeln!(io::stderr(), "\nPARTLY SKIPPED {test}: this kernel has no VLAN interfaces\n")
            .expect("printed");
        return;
    };
    assert_eq!(vlans["places"], json!(vec!["driver"; 4]));
    let replies = json!({
        "its own": [7], "its own with a priority": [(5 << 13) + 7],
        "another": [], "none": [], "to the untagged": [], "down": [],
    });
    assert_eq!(vlans["replies"], replies);
}

#[test]
fn killed_server_leaves_no_program_behind_and_a_running_one_keeps_its_own() {
    let test = "killed_server_leaves_no_program_behind_and_a_running_one_keeps_its_own";
    let Some(seen) = run(test, "driver_killed.py", &[]) else { return };
    assert_eq!(seen["attached"], json!([["native", "hello"], null, null]));
    assert_eq!(seen["works"], true, "{seen}");
    assert_eq!(seen["places"], json!(vec!["driver"; 5]));
    let second = seen["second"][0].as_str().expect("text");
    assert!(second.contains("here has another XDP program"), "{second}");
    assert_eq!(seen["second"][1], 2);
    let summary = &seen["summary"];
    assert_eq!((count(&summary["received"]), count(&summary["answered"])), (2, 2), "{summary}");
}

#[test]
fn changes_of_an_interface_are_followed() {
    let test = "changes_of_an_interface_are_followed";
    let Some(seen) = run(test, "driver_changes.py", &[]) else { return };
    assert_eq!(seen["tentative"], 0, "{seen}");
    assert_eq!(seen["mtu"], json!(vec!["driver"; 2]), "{seen}");
    assert_eq!(seen["macs"], json!([0, 1]), "{seen}");
}

#[test]
fn interface_that_returns_is_answered_for_again_without_capabilities() {
    let test = "interface_that_returns_is_answered_for_again_without_capabilities";
    let Some(seen) = run(test, "driver_returning.py", &[]) else { return };
    let places = ["driver", "driver", "socket", "socket", "socket"];
    assert_eq!((&seen["places"], &seen["event"]), (&json!(places), &"summary".into()), "{seen}");
    // Another server had it, and was killed.
    assert_eq!(seen["late"], json!(["driver", "socket"]), "{seen}");
    // CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF (linux/capability.h).
    let given_up = (1 << 12) | (1 << 38) | (1_u64 << 39);
    let held = seen["capabilities"].as_array().expect("a list");
    assert!(!held.is_empty() && held.iter().all(|held| count(held) & given_up == 0), "{seen}");
}

#[test]
fn driver_answers_for_each_address_and_port_that_a_socket_is_bound_to() {
    let test = "driver_answers_for_each_address_and_port_that_a_socket_is_bound_to";
    let Some(seen) = run(test, "driver_addresses.py", &[]) else { return };
    assert_eq!(seen["places"], json!(vec!["driver"; 14]));
    assert_eq!(seen["elsewhere"], "socket");
    assert_eq!(
        (&seen["specific"], &seen["refused"]),
        (&json!(vec!["driver"; 2]), &json!(vec![true; 4]))
    );
    assert_eq!(seen["one"], json!(["driver", "socket"]));
    assert_eq!(seen["inherited"], 0, "the socket is of another network");
}

#[test]
fn every_datagram_is_counted_once_whether_driver_or_socket_received_it() {
    let test = "every_datagram_is_counted_once_whether_driver_or_socket_received_it";
    let Some(seen) = run(test, "driver_accounts.py", &[]) else { return };
    let mut sent = seen["sent"].as_object().expect("counts").clone();
    let all = sent.values().map(count).sum::<u64>();
    let [driver, socket] =
        ["driver", "socket"].map(|place| sent.remove(place).map_or(0, |n| count(&n)));
    let summary = &seen["summary"];
    assert_eq!(count(&summary["received"]), all, "{seen}");
    assert_eq!(count(&summary["answered"]), driver + socket, "{seen}");
    assert_eq!(summary["refused"], Value::Object(sent), "{seen}");
    assert_eq!((summary.get("send_failed"), summary.get("dropped")), (None, None), "{seen}");
    // Nothing that the driver answered reached the kernel's UDP.
    assert_eq!(count(&seen["udp"]["InDatagrams"]), all - driver, "{seen}");
}

#[test]
fn flood_is_limited_in_the_driver_at_the_cost_of_nobody_else() {
    let test = "flood_is_limited_in_the_driver_at_the_cost_of_nobody_else";
    let Some(seen) = run(test, "driver_limit.py", &[]) else { return };
    let summary = &seen["summary"];
    let [flood, replies, others, rate, burst] =
        ["flood", "replies", "others", "rate", "burst"].map(|name| count(&seen[name]));
    assert_eq!((&seen["places"], seen["udp"].get("InDatagrams")), (&json!(["driver"]), None));
    assert_eq!(count(&summary["received"]), flood + others, "{seen}");
    assert_eq!(count(&summary["answered"]), replies + others, "{seen}");
    assert_eq!(summary["refused"], json!({"over-limit": flood - replies}), "{seen}");
    let leaked = count(&summary["over_limit_answered"]);
    let earned = rate as f64 * seen["seconds"].as_f64().expect("a number");
    let within = (replies - leaked) as f64;
    assert!(within >= burst as f64 && within <= burst as f64 + earned + 1.0, "{seen}");
    // One of four at random: within six standard deviations.
    let over = (flood - replies + leaked) as f64;
    assert!((leaked as f64 - over / 4.0).abs() < 6.0 * (over * 3.0 / 16.0).sqrt(), "{seen}");
}

#[test]
fn forged_frames_are_not_answered_in_the_driver_and_hold_nobody_up() {
    let test = "forged_frames_are_not_answered_in_the_driver_and_hold_nobody_up";
    let Some(seen) = run(test, "driver_attacks.py", &[]) else { return };
    assert_eq!(seen["answered"], json!({"groups": 0, "ports": 0, "sources": 0}), "{seen}");
    // The client's kernel drops a reply to a damaged request.
    assert_eq!(seen["checksum_errors"], json!([17, 17]), "{seen}");
    assert_eq!(seen["places"], json!(["driver"]), "{seen}");
    let summary = &seen["summary"];
    // Replies to neighbours that do not exist wait nowhere.
    assert_eq!(summary["send_failed"].get("would-block"), None, "{seen}");
    let at_sockets = count(&seen["udp"]["InDatagrams"]);
    assert_eq!(count(&summary["received"]), count(&seen["sent"]) + at_sockets, "{seen}");
    let refused = &summary["refused"];
    let ports = [("zero", 2), ("own", 2), ("privileged", 6), ("reflector", 12)];
    for (port, expected) in ports {
        assert_eq!(refused[format!("source-port-{port}")], expected, "{seen}");
    }
}

#[test]
fn generic_mode_answers_requests_whose_checksum_is_whole() {
    let test = "generic_mode_answers_requests_whose_checksum_is_whole";
    let Some(seen) = run(test, "driver_generic.py", &[]) else { return };
    assert_eq!((&seen["attached"], &seen["killed"]), (&json!(["generic", "hello"]), &Value::Null));
    assert_eq!(seen["partial"], json!(vec!["socket"; 8]));
    assert_eq!(seen["whole"], json!(vec!["driver"; 8]));
    assert_eq!((&seen["wide"], &seen["large"]), (&seen["attached"], &"driver".into()), "{seen}");
    let second = seen["second"][0].as_str().expect("text");
    assert!(second.contains("bridge has another XDP program"), "{second}");
}
