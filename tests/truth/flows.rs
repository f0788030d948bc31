//! Several source ports, and several servers.

use std::net::SocketAddr;

use hello_proto::Token;

use super::{IMPAIRED, LONG, Run, SHORT, TIMEOUT, WHOLE, in_parallel, measure, ping};
use crate::relay::{Greeter, Impairments, Log, Plan, Relay, retry_until_conclusive};
use crate::support::{count, json};

fn impaired(seed: u64) -> Plan {
    let forward = Impairments { lost: 100, corrupted: 50, ..Impairments::default() };
    let reverse = Impairments {
        duplicated: 100,
        late: (50, LONG),
        jitter: SHORT,
        unsolicited: 50,
        ..forward.clone()
    };
    Plan { seed, forward, reverse, unimpaired_from: IMPAIRED }
}

/// Returns the source port of each probe, and all ports in order of first use.
fn ports(log: &Log) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    let mut ports = Vec::new();
    let mut of_probes = Vec::new();
    for (seq, request) in (1..).zip(&log.requests) {
        let token = Token::decode(&request.name).expect("a probe");
        assert_eq!(token.seq, seq, "one thread sends");
        of_probes.push(request.client);
        if !ports.contains(&request.client) {
            ports.push(request.client);
        }
    }
    (of_probes, ports)
}

#[test]
fn each_flow_has_its_own_port_and_share_of_probes() {
    in_parallel([2, 3, 7], |flows| {
        retry_until_conclusive(90, |seed| {
            let (run, log, truth) = measure(&impaired(seed), &format!("{WHOLE} --flows {flows}"))?;
            run.assert_counts(&truth);
            let (of_probes, ports) = ports(&log);
            assert_eq!(ports.len(), flows);
            let stated = run.summary["flows"].as_array().expect("a list");
            assert_eq!(stated.len(), flows);
            for (number, (flow, port)) in stated.iter().zip(ports).enumerate() {
                assert_eq!(flow["flow"], number);
                let of_this = |seq: u32| of_probes[seq as usize - 1] == port;
                let sent = of_probes.iter().filter(|of| **of == port).count();
                assert!(sent.abs_diff(of_probes.len() / flows) <= 1, "{sent} of flow {number}");
                let answered = truth.answers.iter().filter(|answer| of_this(answer.seq)).count();
                let lost = truth.lost.iter().filter(|seq| of_this(**seq)).count();
                for (name, expected) in [("sent", sent), ("answered", answered), ("lost", lost)] {
                    assert_eq!(count(&flow[name]), expected as u64, "{name} of flow {number}");
                }
                let events = run.events("reply").filter(|event| event["flow"] == number);
                assert_eq!(events.count(), answered);
            }
            Ok(())
        });
    });
}

#[test]
fn two_servers_are_measured_separately_at_once() {
    retry_until_conclusive(100, |seed| {
        let greeter = Greeter::start();
        let relays =
            [seed, seed + 100].map(|seed| Relay::start(greeter.address(), &impaired(seed)));
        let addresses = relays.each_ref().map(Relay::address);
        let (lines, status) = ping(WHOLE, &addresses).finish();
        let logs = relays.map(Relay::finish);
        greeter.finish();
        for (address, log) in addresses.iter().zip(logs) {
            let events = lines.iter().map(|line| json(line));
            let events = events.filter(|event| event["target"] == address.to_string()).collect();
            Run::new(events, status).assert_agrees(&log.truth(TIMEOUT)?);
        }
        Ok(())
    });
}
