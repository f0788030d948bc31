//! One datagram in the name of somebody else, and how many replies it costs.

use std::collections::BTreeMap;

use serde_json::{Map, json};

use crate::support::{BACK_ENDS, count, have_ipv6, in_namespace};

/// What peers do that answer everything: send it back, greet it, take it for something else.
const PEERS: [&str; 4] = ["echo", "greeter", "chargen", "dns"];

/// The ports they do it at that are known for it, and the rule against each.
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

/// After how many answers a peer stops that would not stop by itself.
const ENOUGH: u64 = 200;

/// What ends it if not the server does.
const SILENCE: [&str; 2] = ["enough", "silence"];

/// By peer: how many replies it got, and what was the end of it.
type Cases<'a> = BTreeMap<String, (u64, &'a str)>;

/// Sends a server one datagram in the name of each peer, and compares all that can be counted.
fn spoof(test: &str, options: &[&str], expected: &Cases<'_>) {
    if !have_ipv6(test) {
        return;
    }
    for back_end in BACK_ENDS {
        let arguments = [&[*back_end], options].concat();
        let Some(seen) = in_namespace(test, "spoofing.py", &arguments) else { return };
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
        // One for somebody who asks at the end.
        let answered = replies("") + 1;
        assert_eq!(summary["answered"], answered, "{back_end}: {summary}");
        let received = answered + reasons.values().sum::<u64>();
        assert_eq!(summary["received"], received, "{back_end}: {summary}");
        // It greets whoever greets it.
        let greeted = (&other["received"], &other["answered"]);
        let replies = json!(replies("server"));
        assert_eq!(greeted, (&replies, &replies), "{back_end}: {other}");
    }
}

fn cases<'a>(ends: impl IntoIterator<Item = (&'a str, u64, &'a str)>) -> Cases<'a> {
    ends.into_iter().map(|(peer, replies, end)| (peer.to_owned(), (replies, end))).collect()
}

/// Returns the same for the peers at the ports that they are known for, where no rule is against
/// it.
fn at_every_port<'a>(ends: [(&'a str, u64, &'a str); 4]) -> Cases<'a> {
    let mut everywhere = cases(ends);
    for (peer, replies, end) in ends {
        everywhere.extend(PORTS.map(|(port, _)| (format!("{peer}:{port}"), (replies, end))));
    }
    everywhere
}

#[test]
fn a_spoofed_datagram_costs_no_reply_by_the_addresses_and_two_among_greeters_at_the_most() {
    let test =
        "a_spoofed_datagram_costs_no_reply_by_the_addresses_and_two_among_greeters_at_the_most";
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
        // They answer with something of their own, which no rule tells from a name. Only at the
        // ports that they are known for are they known.
        ("chargen", ENOUGH + 1, "enough"),
        ("dns", ENOUGH + 1, "enough"),
    ]);
    for peer in PEERS {
        expected.extend(PORTS.map(|(port, rule)| (format!("{peer}:{port}"), (0, rule))));
    }
    spoof(test, &[], &expected);
}

#[test]
fn without_the_rules_on_ports_services_get_as_many_replies_as_they_ask_for() {
    let test = "without_the_rules_on_ports_services_get_as_many_replies_as_they_ask_for";
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
fn without_any_rule_but_that_on_length_greetings_end_when_they_are_too_long() {
    let test = "without_any_rule_but_that_on_length_greetings_end_when_they_are_too_long";
    // 5, 13, 21 bytes, and so on up to 1021; or every other of these, where both sides greet.
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
fn a_limit_ends_what_no_rule_ends() {
    let test = "a_limit_ends_what_no_rule_ends";
    if !have_ipv6(test) {
        return;
    }
    let limit = ["--limit", "1", "--limit-burst", "8"];
    for back_end in BACK_ENDS {
        let arguments = [&[*back_end], &limit[..]].concat();
        let Some(seen) = in_namespace(test, "spoofing.py", &arguments) else { return };
        for peer in ["chargen", "dns"] {
            let case = &seen["cases"][peer];
            assert_eq!(case["end"], "over-limit", "{back_end}: {peer}");
            // Of those over the limit one in four is answered, and a slow machine takes seconds.
            let replies = count(&case["replies"]);
            assert!((8..ENOUGH).contains(&replies), "{back_end}: {peer}: {replies}");
        }
    }
}

#[test]
fn sources_that_nobody_has_are_refused_or_cannot_be_answered() {
    let test = "sources_that_nobody_has_are_refused_or_cannot_be_answered";
    for back_end in BACK_ENDS {
        let Some(outcomes) = in_namespace(test, "strange_sources.py", &[back_end]) else { return };
        // All others asked for are nothing that Linux lets in from a wire.
        let expected = json!({
            "port 0": "source-port-zero",
            "0.0.0.0, to everybody": "source-unspecified",
            "240.0.0.1": "unreachable",
            "broadcast": "denied",
        });
        assert_eq!(outcomes, expected, "{back_end}");
    }
}
