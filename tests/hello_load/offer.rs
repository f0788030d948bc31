//! The offered load: sources, name lengths, trains and the warm-up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::scripted_server::{ReceivedRequest, Server};
use super::{due, not_sent, run};
use crate::support::{self, count, server};

/// Runs a closed loop against a server that answers everything, and returns the received requests.
fn received(arguments: &[&str], requests: u64) -> Vec<ReceivedRequest> {
    let server = Server::greeter();
    let to = server.address();
    let (summary, status) =
        run(&[&["--outstanding", "8", "-W", "20s"], arguments, &[&to]].concat());
    assert_eq!((&summary["sent"], &summary["answered"]), (&requests.into(), &requests.into()));
    assert_eq!((&summary["misdirected"], status), (&0.into(), Some(0)));
    let mut received = server.finish();
    assert_eq!(received.len() as u64, requests);
    let runs = BTreeSet::from_iter(received.iter().map(|request| request.token().run_id));
    if !arguments.contains(&"--threads") {
        assert_eq!(runs.len(), 1);
        received.sort_by_key(|request| request.token().seq);
        assert!((1..).zip(&received).all(|(seq, request)| request.token().seq == seq));
    }
    received
}

#[test]
fn source_ports_alternate() {
    for (options, turn) in [(&["--count", "60"][..], 1), (&["--count", "60", "--train", "2"], 2)] {
        let received = received(&[options, &["--sources", "3"]].concat(), 60);
        let clients = Vec::from_iter(received.iter().map(|request| request.client));
        let rounds = Vec::from_iter(clients.chunks(3 * turn));
        assert_eq!(BTreeSet::from_iter(rounds[0]).len(), 3);
        assert!(rounds[0].chunks(turn).all(|turn| turn.iter().all(|client| *client == turn[0])));
        assert!(rounds.iter().all(|round| *round == rounds[0]), "{clients:?}");
    }
}

#[test]
fn source_addresses_alternate() {
    let received = received(&["--count", "60", "--sources", "5", "--sources-by", "addresses"], 60);
    let hosts = (0..60).map(|number| IpAddr::from(Ipv4Addr::new(127, 0, 0, 1 + number % 5)));
    assert!(received.iter().map(|request| request.client.ip()).eq(hosts), "{received:?}");
    let ports = BTreeSet::from_iter(received.iter().map(|request| request.client.port()));
    assert_eq!(ports.len(), 1);
}

#[test]
fn threads_divide_sources_and_requests() {
    for by in ["ports", "addresses"] {
        let options = ["--count", "61", "--sources", "5", "--sources-by", by, "--threads", "2"];
        let mut clients = BTreeMap::new();
        for request in received(&options, 61) {
            *clients.entry(request.client).or_insert(0) += 1;
        }
        let mut each = Vec::from_iter(clients.into_values());
        each.sort_unstable();
        // 31 requests from three sources, and 30 from two.
        assert_eq!(each, [10, 10, 11, 15, 15], "{by}");
    }
}

#[test]
fn name_lengths_follow_the_seed() {
    let lens = |size: &str, seed: &str| {
        let received = received(&["--count", "400", "--size", size, "--seed", seed], 400);
        let names = BTreeSet::from_iter(received.iter().map(|request| &request.name));
        assert_eq!(names.len(), 400, "no name is sent twice");
        Vec::from_iter(received.iter().map(|request| request.name.len()))
    };
    let drawn = lens("16..24", "7");
    assert_eq!(BTreeSet::from_iter(&drawn), BTreeSet::from_iter(&Vec::from_iter(16..=24)));
    assert_eq!(lens("16..24", "7"), drawn);
    assert_ne!(lens("16..24", "8"), drawn);
    for (size, len) in [("8", 8), ("1472", 1472), ("20..20", 20)] {
        assert_eq!(lens(size, "0"), [len; 400]);
    }
}

#[test]
fn poisson_arrivals_follow_the_seed_and_differ_from_constant_ones() {
    // The due time of the last request, which is the same on every machine.
    let end = |options: &[&str]| {
        let server = Server::greeter();
        let to = server.address();
        let common = ["--rate", "1k", "--count", "50", "-W", "20s"];
        let (summary, _) = run(&[&common, options, &[&to]].concat());
        assert_eq!(due(&summary), 50);
        summary["duration_s"].as_f64().expect("a number")
    };
    assert!((end(&[]) - 0.05).abs() < 1e-9);
    let drawn = end(&["--poisson", "--seed", "7"]);
    assert!((end(&["--poisson", "--seed", "7"]) - drawn).abs() < 1e-9);
    assert!((end(&["--poisson", "--seed", "8"]) - drawn).abs() > 1e-9);
}

#[test]
fn every_request_of_a_train_is_answered() {
    // The last name is as short as necessary.
    for (train, sizes) in [("8", "16"), ("8", "16..512"), ("64", "100")] {
        let (server, address) = server(&["--bind", "127.0.0.1:0", "--quiet"]);
        let common = ["--outstanding", "128", "--count", "500", "-W", "20s"];
        let to = address.to_string();
        let options = ["--train", train, "--size", sizes, &to];
        let (summary, status) = run(&[&common[..], &options].concat());
        assert_eq!((&summary["sent"], &summary["answered"]), (&500.into(), &500.into()));
        assert_eq!((&summary["plan"]["train"].to_string()[..], status), (train, Some(0)));
        let seen = support::summary(server);
        assert_eq!((&seen["received"], &seen["answered"]), (&500.into(), &500.into()));
    }
}

#[test]
fn names_of_a_train_are_due_together_and_of_equal_length() {
    let received = received(&["--count", "60", "--train", "8", "--size", "16..64"], 60);
    let trains = Vec::from_iter(received.chunks(8).map(|train| {
        let lens = BTreeSet::from_iter(train.iter().map(|request| request.name.len()));
        assert_eq!(lens.len(), 1, "{train:?}");
        lens
    }));
    assert!(BTreeSet::from_iter(trains).len() > 1);
}

#[test]
fn warm_up_reaches_the_server_but_no_statistic() {
    // Errors during the warm-up are not reported.
    for loop_options in [&["--rate", "500"][..], &["--outstanding", "4"]] {
        let server = Server::start(|request| match request.number {
            0 => None,
            1..4 => Some(b"Hello, stranger!".to_vec()),
            _ => Some(request.greeting()),
        });
        let to = server.address();
        let common = ["--warm-up", "250ms", "--count", "50", "-W", "100ms", &to];
        let (summary, status) = run(&[loop_options, &common[..]].concat());
        assert_eq!((due(&summary), status), (50, Some(0)), "{summary}");
        assert_eq!(summary["plan"]["warm_up_s"], 0.25);
        assert_eq!((&summary["unsolicited"], &summary["corrupt"]), (&0.into(), &0.into()));
        assert_eq!(summary["answered"], summary["sent"]);
        assert_eq!(summary["lost"], 0, "{summary}");
        let seen = server.finish().len() as u64;
        assert!(seen > count(&summary["sent"]) + 20, "{seen}: {summary}");
        if loop_options[0] == "--rate" {
            assert!(seen <= 125 + 50 - not_sent(&summary), "{seen}: {summary}");
        }
    }
}

#[test]
fn echo_server_is_loaded_with_peer_echo() {
    let echo = Server::start(|request| Some(request.name.clone()));
    let to = echo.address();
    for (peer, status) in [("echo", 0), ("hello", 1)] {
        let arguments = ["--peer", peer, "--count", "100", "--train", "4", "-W", "200ms", &to];
        let (summary, found) = run(&arguments);
        let answered = if peer == "echo" { 100 } else { 0 };
        let counts = (count(&summary["answered"]), count(&summary["corrupt"]));
        assert_eq!((counts, found), ((answered, 100 - answered), Some(status)), "{summary}");
    }
}
