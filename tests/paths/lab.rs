//! The networks that the other tests of this folder rely on.

use std::env;

use serde_json::{Value, json};

use super::have_lab;
use crate::support::{have, run_in_namespace};

#[test]
fn lab_has_the_paths_counters_and_faults_that_tests_rely_on() {
    let test = "lab_has_the_paths_counters_and_faults_that_tests_rely_on";
    let programs = [("mtr", "--version"), ("tracepath", "-V"), ("tcpdump", "--version")];
    if !have_lab(test) || !programs.iter().all(|(program, option)| have(program, option, test)) {
        return;
    }
    let arguments = [env!("CARGO_TARGET_TMPDIR")];
    let Some(seen) = run_in_namespace(test, "lab_itself.py", &arguments) else { return };
    let (diamond, line) = (&seen["diamond"], &seen["line"]);
    for version in ["4", "6"] {
        let direction = json!({
            "split": true,
            "each port by one of both": true,
            "all through A and C": true,
        });
        let paths = json!({"greeted": true, "there": direction, "back": direction});
        assert_eq!(diamond["paths"][version], paths);
        // The routers are three hops.
        let reply = "b'Hello, Tracy!'";
        assert_eq!(diamond["by_ttl"][version], json!(["EHOSTUNREACH", "EHOSTUNREACH", reply]));
        let traced = &diamond["traced"][version];
        if version == "4" {
            assert_eq!(traced["mtr"], traced["counted"]);
        }
        for path in [&traced["mtr"], &traced["tracepath"]] {
            let path: Vec<_> = path.as_array().expect("a path").iter().map(Value::as_str).collect();
            let (Some("A"), Some("B1" | "B2"), Some("C")) = (path[0], path[1], path[2]) else {
                panic!("{traced}");
            };
        }
        let dropped = json!({
            "every third": [[true, true, false, true, true, false], 2],
            "back": [null, 1, 1],
            "half": [true, true],
            "removed": true,
        });
        assert_eq!(diamond["dropped"][version], dropped);
        assert_eq!(diamond["silenced"][version], json!([null, "EHOSTUNREACH"]));
        assert_eq!(diamond["rerouted"][version], json!([true, [0, 16]]));
        // Flows leave a link that is down at this end. At the other, they are lost.
        let [[16, 16], [some, 16]] = numbers(&diamond["flapped"][version]) else {
            panic!("{}", diamond["flapped"]);
        };
        assert!((1..16).contains(&some), "{}", diamond["flapped"]);
        assert_eq!(diamond["captured"][version], 2);
        assert_eq!(line["greeted"][version], true);
        let narrowed = json!({"message": ["EMSGSIZE", "EMSGSIZE"], "black hole": null});
        assert_eq!(line["narrowed"][version], narrowed);
    }
    // As in icmp_err_convert and tab_unreach of the kernel's source.
    let rejected = json!({
        "4": {
            "net-unreachable": "ENETUNREACH",
            "host-unreachable": "EHOSTUNREACH",
            "prot-unreachable": "ENOPROTOOPT",
            "port-unreachable": "ECONNREFUSED",
            "net-prohibited": "ENETUNREACH",
            "host-prohibited": "EHOSTUNREACH",
            "admin-prohibited": "EHOSTUNREACH",
        },
        "6": {
            "no-route": "ENETUNREACH",
            "admin-prohibited": "EACCES",
            "addr-unreachable": "EHOSTUNREACH",
            "port-unreachable": "ECONNREFUSED",
            "policy-fail": "EACCES",
            "reject-route": "EACCES",
        },
    });
    assert_eq!(diamond["rejected"], rejected);
}

/// Reads two pairs of numbers.
fn numbers(pairs: &Value) -> [[u64; 2]; 2] {
    serde_json::from_value(pairs.clone()).expect("two pairs of numbers")
}
