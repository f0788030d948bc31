//! Targets: their notation, their addresses, and those that cannot be reached.

use serde_json::json;

use super::{ping, summary};
use crate::support::{
    CLIENT, Finished, LOAD, PING, SERVER, client, have_ipv6, json, run_in_namespace, server,
};

/// A name without an address: `.invalid` is reserved (RFC 6761), and the space needs no lookup.
const NO_HOST: &str = "no-such-host.invalid";

#[test]
fn unreachable_target_is_marked_and_the_others_are_probed() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let address = address.to_string();
    let arguments = ["-c", "2", "-i", "10ms", "-W", "20s", NO_HOST, &address, "fe80::1"];
    let Finished { out, err, status } = ping(&arguments);
    assert_eq!(status, Some(1), "{err}");
    let [host, zone] = Vec::from_iter(err.lines())[..] else { panic!("{err}") };
    let start = format!("hello-ping: {NO_HOST}:9999: cannot resolve \"{NO_HOST}\": ");
    assert!(host.starts_with(&start), "{err}");
    assert!(host.ends_with(": check the name, or give an address"), "{err}");
    let advice = "fe80::1 is a link-local address: add its interface, e.g. fe80::1%eth0";
    assert_eq!(zone, format!("hello-ping: [fe80::1]:9999: {advice}"));
    assert!(out.contains(&format!("\n[fe80::1]:9999\n  not probed: {advice}\n")), "{out}");
    let (_, table) = out.split_once("\n\ntarget ").expect("a table");
    let rows = Vec::from_iter(table.lines().skip(1).take(3).map(|row| row.split("  ").next()));
    assert_eq!(rows, [&*address, "no-such-host.invalid:9999", "[fe80::1]:9999"].map(Some));
    assert!(out.contains("\n2 packets transmitted, 2 received, 0% packet loss"), "{out}");

    let Finished { out, status, .. } = ping(&[&arguments[..], &["--json"]].concat());
    assert_eq!(status, Some(1));
    let lines = Vec::from_iter(out.lines().map(json));
    let events = lines.iter().filter(|line| line["event"] == "unreachable");
    let events = events.map(|event| (event["target"].as_str(), event["error"].as_str()));
    assert_eq!(Vec::from_iter(events)[1..], [(Some("[fe80::1]:9999"), Some(advice))]);
    assert_eq!(
        (&summary(&out)["target"], &summary(&out)["answered"]),
        (&address.into(), &2.into())
    );
}

#[test]
fn no_usable_target_is_an_error() {
    for (arguments, last) in [
        (&["fe80::1"][..], "hello-ping: fe80::1 is a link-local address: add its interface"),
        (&["fe80::1", "fe80::2"], "hello-ping: none of the 2 targets can be probed"),
        (&["-I", "no-such", "127.0.0.1", "127.0.0.2"], "hello-ping: none of the 2 targets"),
        (&["-I", "::1", "127.0.0.1"], "hello-ping: cannot send from ::1 to 127.0.0.1:9999: one is"),
        (&["127.255.255.255"], "hello-ping: cannot send to 127.255.255.255:9999: not permitted ("),
    ] {
        let Finished { out, err, status } = ping(arguments);
        assert_eq!((&*out, status), ("", Some(2)), "{arguments:?}");
        assert!(err.lines().next_back().is_some_and(|line| line.starts_with(last)), "{err}");
        let lines = if last.contains("none of the 2") { 3 } else { 1 };
        assert_eq!(err.lines().count(), lines, "{err}");
    }
}

#[test]
fn port_option_is_that_of_every_target_without_one() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let port = address.port().to_string();
    let arguments = ["-c", "1", "-W", "20s", "-p", &port, "127.0.0.1", "--json"];
    let Finished { out, err, status } = ping(&arguments);
    assert_eq!((&*err, status), ("", Some(0)));
    assert_eq!(summary(&out)["target"], address.to_string());
    let Finished { out, status, .. } = client(&["-p", &port, "--timeout", "20s", "Tracy"]);
    assert_eq!((&*out, status), ("Hello, Tracy!\n", Some(0)));
}

#[test]
fn server_listens_on_the_port_of_the_option() {
    // The port is free a moment ago, and nothing else binds this loopback address.
    let (first, address) = server(&["--bind", "127.78.0.4", "-p", "0"]);
    drop(first);
    let port = address.port().to_string();
    let (_second, again) = server(&["--bind", "127.78.0.4", "--port", &port]);
    assert_eq!(again, address);
}

#[test]
fn hint_about_a_target_fits_the_tool() {
    for (tool, option, hint) in [
        (PING, None, "no host: for port 9999 of this machine, write -p 9999; otherwise HOST:9999"),
        (LOAD, None, "no host: for port 9999 of this machine, write -p 9999; otherwise HOST:9999"),
        (SERVER, Some("--bind"), "HOST:9999, or 0.0.0.0:9999 for every address"),
    ] {
        let mut command = std::process::Command::new(tool);
        let output = command.args(option).arg("9999").output().expect("runs");
        let Finished { err, status, .. } = output.into();
        assert_eq!(status, Some(2));
        assert!(err.contains(hint), "{err}");
        assert_eq!(err.contains("0.0.0.0"), tool == SERVER, "{err}");
    }
}

#[test]
fn last_group_that_may_be_a_port_has_a_hint() {
    if !have_ipv6("last_group_that_may_be_a_port_has_a_hint") {
        return;
    }
    let Finished { err, .. } = ping(&["-c", "1", "-W", "1ms", "::1:7100"]);
    let hint = "::1:7100 is an address without a port; for port 7100 of ::1, write [::1]:7100";
    assert!(err.starts_with(&format!("hello-ping: {hint}\n")), "{err}");
}

#[test]
fn address_that_refuses_is_passed_over_and_a_signal_ends_the_wait_for_one() {
    let test = "address_that_refuses_is_passed_over_and_a_signal_ends_the_wait_for_one";
    if !have_ipv6(test) {
        return;
    }
    let ends = run_in_namespace(test, "several_addresses.py", &[PING, LOAD]);
    for tool in ["hello-ping", "hello-load"] {
        let Some(ends) = ends.as_ref().map(|ends| &ends[tool]) else { return };
        assert_eq!((&ends[0]["status"], &ends[1]["status"]), (&0.into(), &0.into()), "{ends}");
        let passed = "both.test:9999: [::1]:9999 refused; using 127.0.0.1:9999";
        assert_eq!(ends[0]["err"], format!("{tool}: {passed}\n"));
        let start = ends[1]["out"].as_str().and_then(|out| out.lines().next()).map(json);
        let start = start.expect("a line");
        assert_eq!(start["address"], "127.0.0.1:9999");
        let expected = json!([
            {"address": "[::1]:9999", "result": "refused"},
            {"address": "127.0.0.1:9999", "result": "answered"},
        ]);
        assert_eq!(start["tried"], expected);
        assert_eq!(ends[2], -2, "SIGINT has its default action before the run");
    }
}

#[test]
fn every_tool_names_the_zone_of_a_link_local_address() {
    let test = "every_tool_names_the_zone_of_a_link_local_address";
    if !have_ipv6(test) {
        return;
    }
    let Some(texts) = run_in_namespace(test, "zones.py", &[CLIENT, LOAD, PING]) else { return };
    for (what, text) in texts.as_object().expect("texts") {
        let text = text.as_str().expect("text");
        // The host that reports an error is on the same link.
        let others = text.replace("fe80::1%here", "").replace("\"reporter\":\"fe80::1\"", "");
        assert!(text.contains("fe80::1%here"), "{what}: {text}");
        assert!(!others.contains("fe80::1"), "{what}: {text}");
    }
}
