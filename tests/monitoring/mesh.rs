//! The deployed mesh, configuration and alerts, run by a real Prometheus.

use serde_json::{Value, json};

use super::ROOT;
use crate::support::{PING, have, run_in_namespace};

#[test]
fn cut_path_of_the_mesh_raises_its_own_alert_until_it_is_mended() {
    let test = "cut_path_of_the_mesh_raises_its_own_alert_until_it_is_mended";
    let programs = [("prometheus", "--version"), ("nft", "--version")];
    if !programs.iter().all(|(program, option)| have(program, option, test)) {
        return;
    }
    let directory = format!("{}/{test}", env!("CARGO_TARGET_TMPDIR"));
    let deploy = format!("{ROOT}/deploy");
    let Some(seen) = run_in_namespace(test, "mesh.py", &[PING, &deploy, &directory]) else {
        return;
    };
    // Six paths, none of which is that of a machine to itself.
    let paths = [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)]
        .map(|(source, target)| format!("10.85.0.{source}:9991 10.85.0.{target}:9999"));
    assert_eq!(seen["paths"], json!(paths));
    assert_eq!(seen["before"], json!([]));
    let [alert] = &seen["fired"].as_array().expect("alerts")[..] else { panic!("{seen}") };
    assert_eq!(alert["alertname"], "HelloPathDown");
    let [source, target] = ["10.85.0.1:9991", "10.85.0.2:9999"];
    assert_eq!((&alert["instance"], &alert["target"]), (&source.into(), &target.into()));
    let summary = format!("{target} answers no probe from {source}");
    assert_eq!(alert["summary"], summary);
    // Each query of the dashboards has data, except of what did not happen, or exists only without --targets or
    // with --xdp.
    let absent = [
        "Addresses answered for: ",
        "Alerts: ALERTS{alertname=~\"HelloServer",
        "Failed lookups: ",
        "Longest outage: ",
        "Packets passed to the kernel: ",
        "Probes not sent: ",
        "Requests by outcome: sum (rate(hello_server_answered_total{instance=~\"$instance\",by=\"driver\"}",
        "Route changes: ",
        "Targets: sum by (instance) (hello_ping_target_resolved",
    ];
    for (query, count) in seen["dashboards"].as_object().expect("queries") {
        let may_be_empty = absent.iter().any(|title| query.starts_with(title));
        assert!(may_be_empty || count.as_u64() > Some(0), "{query}: {count}");
        assert!(count.is_u64(), "{query}: {count}");
    }
    let ended = seen["statuses"].as_array().expect("statuses");
    assert!(ended.len() == 7 && ended.iter().all(Value::is_i64), "{seen}");
}
