//! The causes of losses, and who reported them, of errors that routers and hosts really send.

use std::collections::BTreeMap;

use serde_json::{Map, json};

use super::have_lab;
use crate::support::{CLIENT, LOAD, PING, count, have, run_in_namespace};

/// The error that a firewall sends, by nft's name, and the cause, for IPv4 and IPv6.
const REJECTS: [(&str, &[(&str, &str)]); 2] = [
    (
        "4",
        &[
            ("net-unreachable", "network-unreachable"),
            ("host-unreachable", "host-unreachable"),
            ("prot-unreachable", "protocol-error"),
            ("port-unreachable", "refused"),
            ("net-prohibited", "prohibited"),
            ("host-prohibited", "prohibited"),
            ("admin-prohibited", "prohibited"),
        ],
    ),
    (
        "6",
        &[
            ("no-route", "network-unreachable"),
            ("admin-prohibited", "prohibited"),
            ("addr-unreachable", "host-unreachable"),
            ("port-unreachable", "refused"),
            ("policy-fail", "prohibited"),
            ("reject-route", "prohibited"),
        ],
    ),
];

/// Returns whether this machine can run these tests, as user nobody.
fn have_all(test: &str) -> bool {
    have_lab(test) && have("setpriv", "--version", test)
}

#[test]
fn each_probe_has_the_cause_that_was_reported_and_its_reporter() {
    let test = "each_probe_has_the_cause_that_was_reported_and_its_reporter";
    if !have_all(test) {
        return;
    }
    let Some(seen) = run_in_namespace(test, "causes.py", &[CLIENT, LOAD, PING]) else { return };
    for (version, rejects) in REJECTS {
        let [first, router, server] = match version {
            "4" => ["10.80.1.2", "10.80.2.2", "10.80.3.2"],
            _ => ["fd80:1::2", "fd80:2::2", "fd80:3::2"],
        };
        // What hello-ping, hello-load and hello-client report.
        let all = |cause: &str, reporter: &str| json!(vec![format!("{cause} {reporter}"); 3]);
        let mut expected =
            BTreeMap::from_iter(rejects.iter().map(|(error, cause)| (*error, all(cause, router))));
        let unreachable = format!("network-unreachable {router}");
        let prohibited = format!("prohibited {router}");
        let too_big = format!("too-big 1400 {router}");
        let server_host = if version == "4" { server.into() } else { format!("[{server}]") };
        let port = 10001
            + rejects.iter().position(|(error, _)| *error == "port-unreachable").expect("one");
        let refusal = format!(
            "{router} refused the requests to {server_host}:{port}: it is not the target, so a firewall \
             there rejects them"
        );
        expected.extend([
            ("who refuses", json!(refusal)),
            ("silent router", json!(["silent", "silent", "no-answer"])),
            ("no server", all("refused", server)),
            ("no host", all("host-unreachable", router)),
            ("TTL 1", json!(format!("ttl-exceeded {first}"))),
            ("TTL 2", json!(format!("ttl-exceeded {router}"))),
            ("marked", json!(unreachable)),
            // Lost, errors, answered and unattributed.
            ("halved", json!(vec![json!([{prohibited: 1}, {"prohibited": 1}, 1, 0]); 3])),
            (
                "narrow",
                json!({
                    "do": [true, too_big],
                    "probe": [too_big, too_big],
                    "black hole": ["silent", "silent"],
                }),
            ),
            (
                "limited",
                json!({
                    "causes": [unreachable, "silent"],
                    "all lost": true,
                    "as reported": true,
                    "unattributed": 0,
                }),
            ),
        ]);
        for (case, expected) in &expected {
            assert_eq!(&seen[version][*case], expected, "IPv{version}, {case}");
        }
        let cases = seen[version].as_object().map(Map::len);
        assert_eq!(cases, Some(expected.len()), "{seen}");
    }
}

#[test]
fn error_is_attributed_by_the_whole_quote_and_is_no_verdict() {
    let test = "error_is_attributed_by_the_whole_quote_and_is_no_verdict";
    if !have_lab(test) {
        return;
    }
    let arguments = [CLIENT, LOAD, PING];
    let Some(seen) = run_in_namespace(test, "forged_errors.py", &arguments) else { return };
    for (version, router) in [("4", "10.80.1.9"), ("6", "fd80:1::9")] {
        let errors = |count| json!({"host-unreachable": count});
        // Answered, lost by cause, errors, unattributed, and the probes that the errors are about.
        let attributed = json!([0, [["host-unreachable", router, 3]], errors(3), 0, [1, 2, 3]]);
        let silent = json!([["silent", null, 3]]);
        let unattributed = json!([0, silent, errors(3), 3, [null, null, null]]);
        let cases = [
            ("error before the reply", json!([3, [], errors(3), 0, [1, 2, 3]])),
            // The third probe has neither an error nor a reply.
            ("error after the reply", json!([2, [["silent", null, 1]], errors(2), 0, [1, 2]])),
            ("whole", attributed.clone()),
            ("cut after the token", attributed.clone()),
            ("cut in the second half", attributed.clone()),
            ("padded", attributed.clone()),
            ("8 bytes, one in flight", attributed.clone()),
            ("15 bytes, one in flight", attributed.clone()),
            ("8 bytes, several in flight", unattributed.clone()),
            ("8 bytes, a port each", attributed),
            ("another run", unattributed.clone()),
            ("never sent", unattributed.clone()),
            ("half known", unattributed),
            // The system attributes it to no socket.
            ("another port", json!([0, silent, {}, 0, []])),
            ("load", json!([3, [], errors(3), 0])),
            ("client", json!(["start", "failed", "greeting"])),
            ("client, another name", json!(["start", "greeting"])),
        ];
        for (case, expected) in &cases {
            assert_eq!(&seen[version][*case], expected, "IPv{version}, {case}");
        }
        let number = seen[version].as_object().map(Map::len);
        assert_eq!(number, Some(cases.len()), "{seen}");
    }
}

#[test]
fn ten_thousand_errors_a_second_are_all_attributed_in_constant_memory() {
    let test = "ten_thousand_errors_a_second_are_all_attributed_in_constant_memory";
    if !have_lab(test) {
        return;
    }
    let Some(seen) = run_in_namespace(test, "error_flood.py", &[LOAD, PING]) else { return };
    for tool in ["ping", "load"] {
        let (run, summary) = (&seen[tool], &seen[tool]["summary"]);
        let [sent, lost, answered] = ["sent", "lost", "answered"].map(|name| count(&summary[name]));
        // What the machine is too slow for is not sent, but nothing stalls.
        let not_sent = &summary["not_sent"];
        let not_sent: u64 = not_sent.as_object().expect("a table").values().map(count).sum();
        assert_eq!((sent + not_sent, lost + answered), (50_000, sent), "{tool}: {run}");
        assert!(sent > 5_000, "{tool}: {run}");
        assert_eq!(answered, if tool == "ping" { 0 } else { sent / 100 }, "{tool}: {run}");
        assert_eq!([&run["rejected"], &run["received"]], [lost, lost], "{tool}: {run}");
        let cause = json!({
            "cause": "prohibited",
            "reporter": "10.80.1.2",
            "mtu": null,
            "lost": lost,
        });
        assert_eq!(summary["lost_causes"], json!([cause]), "{tool}: {run}");
        assert_eq!(summary["errors"], json!({"prohibited": lost}), "{tool}: {run}");
        assert_eq!(summary["unattributed"], 0, "{tool}: {run}");
        // In KiB, early and late. A list of 30,000 errors takes more.
        let [early, late] = ["early", "late"].map(|name| count(&run[name]));
        assert!(late <= early + 1024, "{tool}: {run}");
    }
}

#[test]
fn link_that_goes_down_and_comes_back_is_an_outage_to_the_probe() {
    let test = "link_that_goes_down_and_comes_back_is_an_outage_to_the_probe";
    if !have_lab(test) {
        return;
    }
    let Some(seen) = run_in_namespace(test, "flapping_link.py", &[PING]) else { return };
    for version in ["4", "6"] {
        // The router's end goes down, which it reports, or the server's, which it only notices.
        for end in ["A", "server"] {
            let run = &seen[version][end];
            assert_eq!(run["reported"], run["true"], "IPv{version}, {end}");
            assert_eq!((&run["is long"], &run["over"]), (&json!(true), &json!(true)), "{run}");
        }
    }
}
