//! `hello-ping` without any privilege: user nobody, with no capabilities.

use serde_json::json;

use super::have_lab;
use crate::support::{PING, count, have, run_in_namespace};

#[test]
fn every_option_of_ping_works_without_privileges() {
    let test = "every_option_of_ping_works_without_privileges";
    let programs = [("setpriv", "--version"), ("tcpdump", "--version")];
    if !have_lab(test) || !programs.iter().all(|(program, option)| have(program, option, test)) {
        return;
    }
    let Some(seen) = run_in_namespace(test, "nobody.py", &[PING]) else { return };
    // The status, the number of answers, and the losses by cause.
    let answered = json!([0, 6, {}]);
    let lost = |cause: &str| json!([1, 0, {cause: 6}]);
    let expected = json!({
        // By the router's count, all packets have their marks and their TTL.
        "marks": [answered, 6],
        "address": answered,
        "flood": answered,
        "echo": answered,
        "limits": answered,
        "text": [0, true],
        "files": [0, ["json", "csv", "markdown", "svg", "prom"]],
        "fleet": [0, [2]],
        "join": [0, ["back"], 10],
        "TTL": lost("ttl-exceeded"),
        "rejected": lost("prohibited"),
        "traced": [0, 2, ["greeted A server"]],
        "traced on loss": [0, ["40000 unreachable", "40001 greeted"]],
        "too big": lost("too-big"),
        "MTU": [0, 1400, "A"],
    });
    for version in ["4", "6"] {
        assert_eq!(seen[version], expected, "IPv{version}");
    }
    assert_eq!(seen["unused"], json!([]), "of {} options", seen["listed"]);
    assert!(count(&seen["listed"]) > 40, "{}", seen["listed"]);
}
