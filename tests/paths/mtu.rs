//! `hello-ping --mtu`, as user nobody, on paths with every kind of limit.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::have_lab;
use crate::ping_output::are_valid;
use crate::support::{Finished, PING, Process, have, peer, receive, run_in_namespace, server};

/// What is compared of a search.
fn result(passed: u32, limit: &str) -> Value {
    let cause = if limit == "no-reply" { json!("silent") } else { Value::Null };
    json!({
        "passed_bytes": passed,
        "limit": limit,
        "reporter": null,
        "reported_mtu": null,
        "suspected_name_limit": null,
        "cause": cause,
        "status": 0,
    })
}

/// Returns a result with other fields.
fn with(mut result: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().expect("fields") {
        result[name] = value.clone();
    }
    result
}

#[test]
fn search_tells_the_own_link_a_router_a_black_hole_and_the_servers_limit_apart() {
    let test = "search_tells_the_own_link_a_router_a_black_hole_and_the_servers_limit_apart";
    if !have_lab(test) || !have("jsonschema", "--version", test) {
        return;
    }
    let Some(seen) = run_in_namespace(test, "path_mtu.py", &[PING]) else { return };
    for (version, router, server, headers) in
        [("4", "10.80.1.2", "10.80.2.2", 28), ("6", "fd80:1::2", "fd80:2::2", 48)]
    {
        let seen = &seen[version];
        assert_eq!(seen["whole path"], result(1500, "link"));
        let fields = json!({"reporter": router, "reported_mtu": 1400});
        assert_eq!(seen["router"], with(result(1400, "router"), &fields));
        assert_eq!(seen["black hole"], result(1400, "no-reply"));
        assert_eq!(seen["black hole with loss"], result(1400, "no-reply"));
        assert_eq!(seen["cached"], true);
        assert_eq!(seen["known limit that is gone"], result(1500, "link"));
        // A router does not fragment replies over IPv6, which are 8 bytes longer.
        let own = if version == "4" { result(1300, "link") } else { result(1292, "no-reply") };
        assert_eq!(seen["own link"], own);
        let never =
            json!({"passed_bytes": null, "cause": "prohibited", "reporter": router, "status": 1});
        assert_eq!(seen["prohibited"], with(result(0, "no-reply"), &never));
        let never =
            json!({"passed_bytes": null, "cause": "refused", "reporter": server, "status": 1});
        assert_eq!(seen["nobody listens"], with(result(0, "no-reply"), &never));
        // What the router reports is known, even if the server answers no such names.
        let fields = json!({"suspected_name_limit": 1024, "reported_mtu": 1400});
        assert_eq!(seen["server"], with(result(1024 + headers, "no-reply"), &fields));
        let flows = &seen["flows"];
        let narrow = if version == "4" { 1400 } else { 1392 };
        assert_eq!(flows, &json!([["B1", narrow], ["B2", 1500]]));

        let lines = seen["lines"].as_array().expect("lines").iter().map(Value::to_string);
        assert!(are_valid(&format!("{test}-{version}"), lines), "{}", seen["lines"]);
        let text = seen["text"].as_str().expect("text");
        let report = format!("\n1401 bytes: too big, MTU 1400, reported by {router}\n");
        let headline = format!(":9999: path MTU 1400 bytes, reported by {router}\n");
        assert!(text.contains(&report) && text.contains(&headline), "{text}");
        let text = seen["quiet text"].as_str().expect("text");
        assert_eq!(text.matches(" bytes: ").count(), 0, "{text}");
        assert!(text.contains("\n  perhaps the server's limit, not the path's: "), "{text}");
    }
}

#[test]
fn option_that_a_search_does_not_have_is_an_error() {
    for option in [
        "-c 3",
        "-i 2s",
        "-s 99",
        "--duration 1s",
        "-w 1s",
        "--flows 2",
        "-M do",
        "--trace",
        "--max-loss 1",
    ] {
        let arguments = ["--mtu"].into_iter().chain(option.split(' '));
        let output = Command::new(PING).args(arguments).output();
        let Finished { out, err, status } = output.expect("runs").into();
        assert_eq!((&*out, status), ("", Some(2)), "{err}");
        assert!(err.contains("'--mtu' cannot be used with"), "{err}");
    }
}

#[test]
fn search_on_the_loopback_ends_at_the_longest_name() {
    let (server, address) = server(&["--bind", "127.0.0.1:0", "--max-name", "65499", "--quiet"]);
    let mut command = Command::new(PING);
    command.args(["--mtu", "-q", &address.to_string()]);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!((&*err, status), ("", Some(0)));
    let expected = "packets of up to 65527 bytes pass, which hold the longest name\n";
    assert!(out.starts_with(&format!("{address}: {expected}")), "{out}");
    drop(server);
}

#[test]
fn signal_ends_a_search_with_what_is_known_and_status_1() {
    let silent = peer();
    let address = silent.local_addr().expect("bound").to_string();
    let mut search = Process::start(Command::new(PING).args(["--mtu", "-W", "1h", &address]));
    assert!(search.line().starts_with("MTU "));
    receive(&silent);
    search.signal(Signal::INT);
    let (lines, status) = search.finish();
    assert_eq!(status, Some(1), "{lines:?}");
    let headline = format!("{address}: no reply before the search was stopped");
    assert_eq!(lines[1], headline, "{lines:?}");
}
