//! What `hello-server --xdp` reports: its errors, its lines and its counts.

use std::fs;
use std::path::Path;

use hello_net::Passed;
use serde_json::{Value, json};

use crate::driver::run;
use crate::observability::{assert_valid_for_prometheus, fresh_path, metric};
use crate::support::{CLIENT, have, skip};

#[test]
fn driver_that_cannot_answer_is_one_line_that_says_why_and_what_to_do() {
    let test = "driver_that_cannot_answer_is_one_line_that_says_why_and_what_to_do";
    if !have("setpriv", "--version", test) {
        return;
    }
    let Some(cases) = run(test, "xdp_errors.py", &[]) else { return };
    let load = "the kernel did not load the XDP program; it needs Linux 5.19 or newer, capabilities \
                of the machine and not of a user namespace, and in a container a profile that allows bpf(2): ";
    let grant = "start as root, or grant what is missing (AmbientCapabilities=, setcap)";
    for (case, error) in [
        ("absent", r#"no network interface is called "nowhere"; `ip link` lists them"#.to_owned()),
        (
            "loopback",
            "lo is the loopback interface, which has no driver to answer in; the sockets answer without \
             --xdp lo"
                .into(),
        ),
        (
            "not Ethernet",
            "tunnel is not an Ethernet interface; the sockets answer without --xdp tunnel".into(),
        ),
        (
            "busy, native",
            "near has another XDP program; `ip link show dev near` names it; stop what attached it"
                .into(),
        ),
        (
            "busy, generic",
            "slow has another XDP program; `ip link show dev slow` names it; stop what attached it"
                .into(),
        ),
        ("bpf(2) not permitted", format!("{load}Operation not permitted (os error 1)")),
        ("no bpf(2)", format!("{load}Function not implemented (os error 38)")),
        ("no capability", format!("XDP needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON: {grant}")),
        ("no CAP_BPF", format!("XDP needs CAP_BPF: {grant}")),
        ("no CAP_NET_ADMIN", format!("XDP needs CAP_NET_ADMIN: {grant}")),
    ] {
        let seen = &cases[case];
        if seen.is_null() {
            skip(test, &format!("{case}: there is no such interface"));
            continue;
        }
        let line = format!("hello-server: cannot answer in drivers: {error}\n");
        assert_eq!(seen, &json!({"out": "", "err": line, "status": 2}), "{case}");
    }
    assert_eq!(cases["twice"]["err"], "hello-server: --xdp names far twice\n");
}

fn lines(text: &Value) -> Vec<&str> {
    let lines = text.as_array().expect("lines").iter();
    lines.map(|line| line.as_str().expect("text").trim_end()).collect()
}

#[test]
fn what_is_answered_in_drivers_is_in_every_output() {
    let test = "what_is_answered_in_drivers_is_in_every_output";
    let file = fresh_path(test);
    let arguments = [CLIENT, file.to_str().expect("UTF-8")];
    let Some(seen) = run(test, "xdp_output.py", &arguments) else { return };

    let text = lines(&seen["text"]);
    let interfaces = [
        "XDP on near: native mode, answering for 2 addresses",
        "XDP on slow: generic mode (slower: the driver has no XDP, or not with this MTU), answering for no address: the \
         interface has none that is bound (see --bind)",
        "names greeted by XDP are counted, not printed",
        "warning: near is one end of a veth pair, so XDP's replies are lost unless the other end has an \
         XDP program, too",
    ];
    assert!(text.windows(4).any(|lines| lines == interfaces), "{text:#?}");
    let greeted: Vec<_> = text.iter().filter(|line| line.contains(" greeted as ")).collect();
    assert!(greeted.len() == 1 && greeted[0].ends_with(" greeted as Local"), "{text:#?}");
    let summary = "4 received, 4 answered (3 in the driver), 0 refused, 0 send failed, \
                   0 dropped by the kernel";
    assert!(text.contains(&summary), "{text:#?}");

    let start = seen["start"].as_array().expect("lines");
    assert_eq!(start[0]["plan"]["xdp"], json!(["near", "slow"]));
    let interface = |line: &Value| {
        assert_eq!(line["event"], "xdp");
        let fields = ["interface", "state", "mode", "services", "veth", "error"];
        Vec::from_iter(fields.map(|name| line[name].clone()))
    };
    assert_eq!(
        [&start[2], &start[3]].map(interface),
        [
            vec![
                "near".into(),
                "attached".into(),
                "native".into(),
                2.into(),
                true.into(),
                Value::Null
            ],
            vec![
                "slow".into(),
                "attached".into(),
                "generic".into(),
                0.into(),
                false.into(),
                Value::Null
            ],
        ]
    );
    let changes = seen["changes"].as_array().expect("lines").iter();
    let states = changes.map(|line| [&line["state"], &line["services"]].map(Value::to_string));
    let expected = [("gone", 0), ("failed", 0), ("attached", 0), ("attached", 1)];
    let expected = expected.map(|(state, services)| [format!("{state:?}"), services.to_string()]);
    assert_eq!(Vec::from_iter(states), expected, "{:#}", seen["changes"]);
    assert_eq!(seen["changes"][1]["error"], "Device or resource busy (os error 16)");

    assert_counts(test, &seen, &file);
    let [listening, near] = [0, 1].map(|line| &seen["activated"][line]);
    assert_eq!(listening["plan"]["xdp"], json!(["near"]));
    assert_eq!((&near["state"], &near["services"]), (&"attached".into(), &1.into()));
}

/// Checks the counts in JSON and in the metrics: one reply over IPv6 in the driver, and one of a socket.
fn assert_counts(test: &str, seen: &Value, file: &Path) {
    for line in [&seen["snapshot"], &seen["summary"]] {
        assert_eq!((&line["received"], &line["answered"]), (&2.into(), &2.into()));
        let driver = line["driver"].as_object().expect("an object");
        let counts = ["answered_ipv4", "answered_ipv6", "over_limit", "over_limit_answered"];
        assert_eq!(counts.map(|name| driver[name].as_u64()), [Some(0), Some(1), Some(0), Some(0)]);
        let mut labels = Passed::ALL.map(Passed::label);
        labels.sort_unstable();
        let passed = driver["passed"].as_object().expect("an object");
        assert!(passed.keys().eq(labels), "{passed:?}");
    }
    let scraped = seen["metrics"].as_str().expect("text");
    let written = fs::read_to_string(file).expect("there");
    // The file is of the end, when the interface had another address.
    for (text, addresses) in [(scraped, 2), (&written, 1)] {
        for (name, expected) in [
            ("hello_server_received_total", 2),
            ("hello_server_answered_total{by=\"socket\"}", 1),
            ("hello_server_answered_total{by=\"driver\"}", 1),
            ("hello_server_driver_passed_total{reason=\"name\"}", 0),
            ("hello_server_driver_addresses{interface=\"near\",mode=\"native\"}", addresses),
            ("hello_server_driver_addresses{interface=\"slow\",mode=\"generic\"}", 0),
        ] {
            assert_eq!(metric(text, name), Some(expected), "{name}: {text}");
        }
    }
    assert_valid_for_prometheus(test, file);
}

#[test]
fn no_thread_keeps_the_capabilities_that_xdp_needs() {
    let test = "no_thread_keeps_the_capabilities_that_xdp_needs";
    let file = fresh_path(test);
    let arguments = [CLIENT, file.to_str().expect("UTF-8")];
    let Some(seen) = run(test, "xdp_output.py", &arguments) else { return };
    let threads = seen["capabilities"].as_array().expect("threads");
    assert!(threads.len() > 4, "{threads:?}");
    // CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF (capabilities(7)).
    let given_up = 1 << 12 | 1 << 38 | 1 << 39;
    for sets in threads.iter().map(lines) {
        let sets = sets.iter().map(|set| u64::from_str_radix(set, 16).expect("a number"));
        let sets = Vec::from_iter(sets);
        assert!(sets.len() == 4 && sets.iter().all(|set| set & given_up == 0), "{threads:?}");
    }
}
