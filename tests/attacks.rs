//! Attacks from the network, by programs that build their own packets.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    BACK_ENDS, Process, SERVER, count, have_ipv6, peer, receive, run_in_namespace, skip,
};

#[test]
fn wrong_checksums_stall_no_tool() {
    let test = "wrong_checksums_stall_no_tool";
    let families = if have_ipv6(test) { &["127.0.0.1", "::1"][..] } else { &["127.0.0.1"] };
    for (back_end, address) in
        BACK_ENDS.iter().flat_map(|one| families.iter().map(move |to| (one, to)))
    {
        let arguments = [*back_end, *address];
        let Some(seen) = run_in_namespace(test, "wrong_checksums.py", &arguments) else { return };
        for (tool, ended) in seen["ended"].as_object().expect("by tool") {
            assert_eq!(*ended, true, "{tool} did not end during the attack: {arguments:?}");
        }
        let summary = &seen["summary"];
        assert_eq!(seen["answered"], summary["received"], "{arguments:?}: {summary}");
        assert_eq!(summary["received"], 20, "{arguments:?}: {summary}");
        assert!(count(&summary["dropped"]) >= 10, "{arguments:?}: drops are counted: {summary}");
    }
}

#[test]
fn flood_from_the_server_address_keeps_no_tool_from_ending() {
    let test = "flood_from_the_server_address_keeps_no_tool_from_ending";
    let Some(seen) = run_in_namespace(test, "flooding.py", &[]) else { return };
    for (tool, seen) in seen.as_object().expect("by tool") {
        assert_eq!((&seen["ended"], &seen["status"]), (&true.into(), &1.into()), "{tool}: {seen}");
    }
    assert_eq!(seen["hello-client"]["last"]["event"], "unanswered", "{seen}");
    assert_eq!(seen["hello-ping"]["last"]["lost"], 3, "{seen}");
    let dropped = count(&seen["hello-ping"]["last"]["errors"]["no-buffers"]);
    assert!(dropped > 0, "the test needs a faster flood: {seen}");
    assert_eq!(seen["hello-load"]["last"]["event"], "summary", "{seen}");
}

#[test]
fn no_icmp_error_stops_or_stalls_a_tool() {
    let test = "no_icmp_error_stops_or_stalls_a_tool";
    if !have_ipv6(test) {
        return;
    }
    let Some(cases) = run_in_namespace(test, "icmp_errors.py", &[]) else { return };
    let mut errors = 0;
    for case in cases.as_array().expect("cases") {
        let last = &case["last"];
        assert_eq!((&case["status"], &case["ended"]), (&0.into(), &true.into()), "{case}");
        if case["tool"] == "hello-client" {
            assert_eq!(
                (&last["event"], &last["attempts"]),
                (&"greeting".into(), &1.into()),
                "{case}"
            );
            continue;
        }
        // A busy machine may delay a load; but no request fails because of an ICMP error.
        let late = last["not_sent"]["late"].as_u64().unwrap_or(0);
        let not_sent = last["not_sent"].as_object().expect("reasons");
        assert!(not_sent.keys().all(|reason| reason == "late"), "{case}");
        assert_eq!(count(&last["answered"]) + late, 60, "{case}");
        assert_eq!(last["lost"], 0, "{case}");
        errors += usize::from(last["errors"].as_object().is_some_and(|errors| !errors.is_empty()));
    }
    // Linux passes on about 20 of them, to both tools.
    assert!(errors >= 30, "{errors} cases with errors");
}

#[test]
fn absent_neighbours_silence_no_server() {
    let test = "absent_neighbours_silence_no_server";
    if !have_ipv6(test) {
        return;
    }
    // The buffers of an unprivileged process on a stock kernel.
    let stock = &["--send-buffer", "212992"][..];
    for (user, networks, rate, options) in [
        ("root", "200", "5000", &[][..]),
        ("unit", "200", "5000", &[]),
        ("nobody", "1", "5000", stock),
        ("nobody", "200", "1000", stock),
    ] {
        for family in ["4", "6"] {
            let arguments = [&[user, family, networks, rate, "4"], options].concat();
            // A server that can be silenced fails every time, but chance may fail one: a network in 32
            // shares the flooded network's spare socket (each server chooses anew), and after a stall
            // of this machine, the sender catches up in a burst.
            let mut servers = 3;
            loop {
                let Some(seen) = run_in_namespace(test, "silencing.py", &arguments) else { return };
                let [requested, answered] = ["requested", "answered"].map(|key| count(&seen[key]));
                // No spare socket takes requests from the receiving one.
                let [sent, summary] = [&seen["sent"], &seen["summary"]];
                let dropped = summary["dropped"].as_u64().unwrap_or(0);
                let received = count(&summary["received"]) + dropped;
                assert!(received >= count(sent) + requested, "{arguments:?}: {seen}");
                servers -= 1;
                if answered * 100 >= requested * 99 {
                    break;
                }
                assert!(servers > 0, "{arguments:?}: {seen}");
            }
        }
    }
}

#[test]
fn narrow_paths_pass_replies_and_forged_icmp_adds_no_fragments() {
    let test = "narrow_paths_pass_replies_and_forged_icmp_adds_no_fragments";
    if !have_ipv6(test) {
        return;
    }
    // Packets per reply, by MTU: 1500 and 900 bytes, and 1280 for IPv6.
    let expected = [
        ("IPv4, --max-name 1024, 1000 bytes", 1, 2),
        ("IPv6, --max-name 1024, 1000 bytes", 1, 1),
        ("IPv4, --max-name 4096, 1000 bytes", 1, 2),
        ("IPv4, --max-name 4096, 1460 bytes", 1, 2),
        ("IPv4, --max-name 4096, 4000 bytes", 3, 6),
        ("IPv6, --max-name 4096, 1000 bytes", 1, 1),
        ("IPv6, --max-name 4096, 1460 bytes", 2, 2),
        ("IPv6, --max-name 4096, 4000 bytes", 4, 4),
    ];
    for back_end in BACK_ENDS {
        let Some(seen) = run_in_namespace(test, "narrow_path.py", &[back_end]) else { return };
        for (case, wide, narrow) in expected {
            let packets = ["wide", "forged", "narrow"].map(|path| count(&seen[case][path]));
            assert_eq!(packets, [wide, wide, narrow], "{back_end}: {case}");
        }
        assert_eq!(seen.as_object().map(serde_json::Map::len), Some(expected.len()));
    }
}

#[test]
fn broadcast_request_is_counted_once_and_never_answered_twice() {
    let test = "broadcast_request_is_counted_once_and_never_answered_twice";
    for back_end in BACK_ENDS {
        let Some(seen) = run_in_namespace(test, "shared_destinations.py", &[back_end]) else {
            return;
        };
        for (rules, case) in [(true, &seen[0]), (false, &seen[1])] {
            let (summary, [shared, single]) =
                (&case["summary"], ["shared", "single"].map(|key| count(&case[key])));
            assert_eq!(count(&summary["received"]), shared + single, "{back_end}: {case}");
            let answered = if rules { single } else { shared + single };
            assert_eq!(count(&summary["answered"]), answered, "{back_end}: {case}");
            let refused = summary["refused"].as_object().map_or(0, |refused| {
                refused.values().map(|refused| refused.as_u64().unwrap_or(0)).sum()
            });
            assert_eq!(refused, shared + single - answered, "{back_end}: {case}");
            let replies = ["replies", "most"].map(|key| count(&case[key]));
            assert_eq!(replies, if rules { [0, 0] } else { [shared, 1] }, "{back_end}: {case}");
        }
    }
}

#[test]
fn any_address_of_a_local_prefix_replies_from_itself() {
    let test = "any_address_of_a_local_prefix_replies_from_itself";
    if !have_ipv6(test) {
        return;
    }
    for back_end in BACK_ENDS {
        let Some(Value::Object(seen)) = run_in_namespace(test, "any_ip.py", &[back_end]) else {
            return;
        };
        assert_eq!(seen.len(), 3);
        for (destination, source) in seen {
            assert_eq!(source, destination, "{back_end}");
        }
    }
}

#[test]
fn burst_costs_no_other_client_a_request() {
    const BURST: usize = 5000;
    let test = "burst_costs_no_other_client_a_request";
    let mut server = Process::start(Command::new(SERVER).args(["--json", "--bind", "127.0.0.1:0"]));
    let listening = server.json();
    if listening["receive_buffer_short"] == true {
        skip(test, "the system gives no receive buffer of 4 MiB (net.core.rmem_max)");
        return;
    }
    let address = listening["address"].as_str().expect("an address");
    let (stranger, bystander) = (peer(), peer());
    server.signal(Signal::STOP);
    server.wait_until_stopped();
    for _ in 0..BURST {
        stranger.send_to(b"stranger", address).expect("sent");
    }
    for number in 0..20 {
        bystander.send_to(format!("{number}").as_bytes(), address).expect("sent");
    }
    server.signal(Signal::CONT);
    for number in 0..20 {
        assert_eq!(receive(&bystander).0, format!("Hello, {number}!").into_bytes());
    }
}
