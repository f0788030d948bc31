//! One datagram with a spoofed source, and the number of replies that it causes.

use std::collections::BTreeMap;

use serde_json::{Map, json};

use crate::support::{BACK_ENDS, count, have_ipv6, run_in_namespace};

/// How peers respond to any datagram: return it, greet it, or answer with something else.
const PEERS: [&str; 4] = ["echo", "greeter", "chargen", "dns"];

/// The well-known ports of such services, and the rule against each.
const PORTS: [(u16, &str); 11] = [
    (7, "source-port-privileged"),
    (19, "source-port-privileged"),
    (53, "source-port-privileged"),
    (123, "source-port-privileged"),
    (161, "source-port-privileged"),
    (1900, "source-port-reflector"),
    (3702, "source-port-reflector"),
    (5353, "source-port-reflector"),
    (5355, "source-port-reflector"),
    (5683, "source-port-reflector"),
    (11211, "source-port-reflector"),
];

/// The number of replies after which an endless peer stops.
const ENOUGH: u64 = 200;

/// How a loop ends that the server does not end.
const SILENCE: [&str; 2] = ["enough", "silence"];

/// For each peer, the replies that it got and the reason for the end.
type Cases<'a> = BTreeMap<String, (u64, &'a str)>;

/// Sends a server one datagram with the address of each peer, and compares every count.
fn spoof(test: &str, options: &[&str], expected: &Cases<'_>) {
    if !have_ipv6(test) {
        return;
    }
    for back_end in BACK_ENDS {
        let arguments = [&[*back_end], options].concat();
        let Some(seen) = run_in_namespace(test, "spoofing.py", &arguments) else { return };
        for (peer, (replies, end)) in expected {
            let case = &seen["cases"][peer];
            assert_eq!(*case, json!({ "replies": replies, "end": end }), "{back_end}: {peer}");
        }
        assert_eq!(seen["cases"].as_object().map(Map::len), Some(expected.len()), "{back_end}");
        assert_eq!(seen["more"], 0, "{back_end}");

        let [summary, other] = [0, 1].map(|server| &seen["summaries"][server]);
        let mut reasons = BTreeMap::new();
        for (_, end) in expected.values().filter(|(_, end)| !SILENCE.contains(end)) {
            *reasons.entry(*end).or_default() += 1;
        }
        for (reason, datagrams) in &reasons {
            let counts = ["refused", "send_failed"].map(|counts| &summary[counts][reason]);
            assert!(counts.contains(&&json!(datagrams)), "{back_end}: {reason}: {summary}");
        }
        let replies = |peers| {
            let cases = expected.iter().filter(|(peer, _)| peer.starts_with(peers));
            cases.map(|(_, (replies, _))| replies).sum::<u64>()
        };
        // One reply goes to the client that sends a request at the end.
        let answered = replies("") + 1;
        assert_eq!(summary["answered"], answered, "{back_end}: {summary}");
        let received = answered + reasons.values().sum::<u64>();
        assert_eq!(summary["received"], received, "{back_end}: {summary}");
        // This peer greets every sender.
        let greeted = (&other["received"], &other["answered"]);
        let replies = json!(replies("server"));
        assert_eq!(greeted, (&replies, &replies), "{back_end}: {other}");
    }
}

fn cases<'a>(ends: impl IntoIterator<Item = (&'a str, u64, &'a str)>) -> Cases<'a> {
    ends.into_iter().map(|(peer, replies, end)| (peer.to_owned(), (replies, end))).collect()
}

/// Returns the same cases for the peers at their well-known ports, for which no rule is on.
fn at_every_port<'a>(ends: [(&'a str, u64, &'a str); 4]) -> Cases<'a> {
    let mut everywhere = cases(ends);
    for (peer, replies, end) in ends {
        everywhere.extend(PORTS.map(|(port, _)| (format!("{peer}:{port}"), (replies, end))));
    }
    everywhere
}

#[test]
fn spoofed_datagram_costs_no_reply_by_address_and_at_most_two_among_greeters() {
    let test = "spoofed_datagram_costs_no_reply_by_address_and_at_most_two_among_greeters";
    let mut expected = cases([
        ("itself", 0, "source-port-own"),
        ("itself, IPv6", 0, "source-port-own"),
        ("server:own", 0, "source-port-own"),
        ("port 0", 0, "source-port-zero"),
        ("224.0.0.1", 0, "source-multicast"),
        ("255.255.255.255", 0, "source-broadcast"),
        ("127.255.255.255", 0, "denied"),
        ("server", 1, "greeted-twice"),
        ("server, IPv6", 1, "greeted-twice"),
        ("greeter", 1, "greeted-twice"),
        ("echo", 2, "greeted-twice"),
        // These peers answer with bytes of their own, which no rule distinguishes from a name. The
        // guard recognises them only at their well-known ports.
        ("chargen", ENOUGH + 1, "enough"),
        ("dns", ENOUGH + 1, "enough"),
    ]);
    for peer in PEERS {
        expected.extend(PORTS.map(|(port, rule)| (format!("{peer}:{port}"), (0, rule))));
    }
    spoof(test, &[], &expected);
}

#[test]
fn services_get_a_reply_to_every_datagram_without_the_port_rules() {
    let test = "services_get_a_reply_to_every_datagram_without_the_port_rules";
    let mut expected = cases([
        ("itself", 2, "greeted-twice"),
        ("itself, IPv6", 2, "greeted-twice"),
        ("server:own", 1, "greeted-twice"),
        ("port 0", 0, "source-port-zero"),
        ("224.0.0.1", 0, "source-multicast"),
        ("255.255.255.255", 0, "source-broadcast"),
        ("127.255.255.255", 0, "denied"),
        ("server", 1, "greeted-twice"),
        ("server, IPv6", 1, "greeted-twice"),
    ]);
    expected.extend(at_every_port([
        ("greeter", 1, "greeted-twice"),
        ("echo", 2, "greeted-twice"),
        ("chargen", ENOUGH + 1, "enough"),
        ("dns", ENOUGH + 1, "enough"),
    ]));
    let rules = ["source-port-own", "source-port-privileged", "source-port-reflector"];
    spoof(test, &rules.map(|rule| ["--allow", rule]).concat(), &expected);
}

#[test]
fn loops_end_at_the_name_limit_without_any_other_rule() {
    let test = "loops_end_at_the_name_limit_without_any_other_rule";
    // 5, 13, 21 bytes, and so on up to 1021; or every second of these if both sides greet.
    let (all, half) = ((1024 - 5) / 8 + 1, (1024 - 5) / 16 + 1);
    let mut expected = cases([
        ("itself", all, "name-too-long"),
        ("itself, IPv6", all, "name-too-long"),
        ("server:own", half, "name-too-long"),
        ("port 0", 0, "invalid"),
        ("224.0.0.1", 1, "silence"),
        ("255.255.255.255", 0, "source-broadcast"),
        ("127.255.255.255", 0, "denied"),
        ("server", half, "name-too-long"),
        ("server, IPv6", half, "name-too-long"),
    ]);
    expected.extend(at_every_port([
        ("greeter", half, "name-too-long"),
        ("echo", all, "name-too-long"),
        ("chargen", ENOUGH + 1, "enough"),
        ("dns", ENOUGH + 1, "enough"),
    ]));
    let rules = [
        "source-port-own",
        "source-port-privileged",
        "source-port-reflector",
        "source-port-zero",
        "source-multicast",
        "greeted-twice",
    ];
    spoof(test, &rules.map(|rule| ["--allow", rule]).concat(), &expected);
}

#[test]
fn rate_limit_bounds_loops_that_no_rule_ends() {
    let test = "rate_limit_bounds_loops_that_no_rule_ends";
    if !have_ipv6(test) {
        return;
    }
    let limit = ["--limit", "1", "--limit-burst", "8"];
    for back_end in BACK_ENDS {
        let arguments = [&[*back_end], &limit[..]].concat();
        let Some(seen) = run_in_namespace(test, "spoofing.py", &arguments) else { return };
        for peer in ["chargen", "dns"] {
            let case = &seen["cases"][peer];
            assert_eq!(case["end"], "over-limit", "{back_end}: {peer}");
            // One in four requests over the limit is answered, and a slow machine takes seconds.
            let replies = count(&case["replies"]);
            assert!((8..ENOUGH).contains(&replies), "{back_end}: {peer}: {replies}");
        }
    }
}

#[test]
fn impossible_sources_are_refused_or_unanswerable() {
    let test = "impossible_sources_are_refused_or_unanswerable";
    for back_end in BACK_ENDS {
        let Some(outcomes) = run_in_namespace(test, "strange_sources.py", &[back_end]) else {
            return;
        };
        // Linux accepts no other of these sources from a network.
        let expected = json!({
            "port 0": "source-port-zero",
            "0.0.0.0, to everybody": "source-unspecified",
            "240.0.0.1": "unreachable",
            "broadcast": "denied",
        });
        assert_eq!(outcomes, expected, "{back_end}");
    }
}
