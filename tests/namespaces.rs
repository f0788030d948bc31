//! What takes a network of its own, in a namespace.

use std::process::Command;

use crate::support::{Finished, SERVER, can_unshare, have, json};

const ABSENT_NEIGHBOURS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/absent_neighbours.py");

#[test]
fn neighbours_that_do_not_exist_never_make_the_server_wait() {
    let test = "neighbours_that_do_not_exist_never_make_the_server_wait";
    if !have("python3", "--version", test) || !have("ip", "-V", test) || !can_unshare(test) {
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "python3", ABSENT_NEIGHBOURS, SERVER]);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!((&*err, status), ("", Some(0)));
    let summary = json(&out);
    let count = |value: &serde_json::Value| value.as_u64().expect("a number");
    // Were sends to wait for the send buffer, none would fail, and everybody would wait.
    let failed = count(&summary["send_failed"]["would-block"]);
    assert!(failed > 0, "{summary}");
    assert_eq!(summary["received"], summary["asked"]);
    assert_eq!(count(&summary["answered"]) + failed, count(&summary["received"]));
}
