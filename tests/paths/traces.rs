//! `hello-ping --trace` and `--trace-on-loss`, against the packet counters of the routers.

use serde_json::json;

use super::have_lab;
use crate::support::{PING, have, run_in_namespace};

#[test]
fn traces_have_the_true_paths_and_losses_are_localised() {
    let test = "traces_have_the_true_paths_and_losses_are_localised";
    let programs = [("mtr", "--version"), ("tracepath", "-V"), ("setpriv", "--version")];
    if !have_lab(test) || !programs.iter().all(|(program, option)| have(program, option, test)) {
        return;
    }
    let Some(seen) = run_in_namespace(test, "traces.py", &[PING]) else { return };
    for version in ["4", "6"] {
        let seen = &seen[version];
        // Both paths are found, and each flow's is the one on which the routers count its port.
        let both = json!(["B1", "B2"]);
        assert_eq!((&seen["true"], &seen["nobody"]), (&both, &both), "IPv{version}");
        let expected = json!({
            "silent": [0, ["greeted A * C server", "greeted A B2 C server"]],
            "rejecting": [1, ["greeted A B2 C server", "unreachable A B1"]],
            "no server": [1, ["refused", "A", "server"]],
            "no neighbour": [1, ["unreachable"]],
        });
        assert_eq!(seen["broken"], expected, "IPv{version}");
        let lossy = &seen["lossy"];
        assert_eq!(lossy["losing"], true, "IPv{version}: {lossy}");
        assert_eq!(lossy["all traced"], true, "IPv{version}: {lossy}");
        assert_eq!(lossy["counted"], json!([800, 0, 0, 0]), "IPv{version}");
        let suspects = lossy["suspects"].as_array().expect("a list");
        assert_eq!(suspects.first(), Some(&json!(["B1", 2, true])), "IPv{version}: {lossy}");
        // Over IPv4, the next router answers from its link to the suspect.
        assert!(suspects.iter().all(|one| one[0] == "B1" || *one == json!(["C", 3, true])));
    }
    let tools = &seen["other tools"];
    assert_eq!(tools["own"], tools["mtr"]);
    assert_eq!(tools["tracepath"], json!(["A", "C"]));
    assert_eq!(seen["limited"], json!(["B1", "B2"]));
}
