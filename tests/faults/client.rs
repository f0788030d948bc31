//! `hello-client` with failing system calls.

use super::injected;
use crate::support::{CLIENT, Finished, have, peer, server, summary};

#[test]
fn send_denied_by_a_firewall_is_reported() {
    if !have("strace", "-V", "send_denied_by_a_firewall_is_reported") {
        return;
    }
    let mut command = injected("sendto:error=EPERM", CLIENT);
    let silent = peer();
    let address = silent.local_addr().expect("bound").to_string();
    command.args(["--server", &address, "--timeout", "10ms", "--attempts", "2", "Tracy"]);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!((&*out, status), ("", Some(1)));
    let denied = "not permitted (a firewall, a prohibiting route or a broadcast address)";
    let note = format!("hello-client: {address}: {denied}; still waiting\n");
    let result = format!("hello-client: Tracy: {address}: {denied} (2 attempts in ");
    assert!(err.starts_with(&format!("{note}{result}")), "{err}");
}

#[test]
fn error_about_an_earlier_request_does_not_affect_the_next() {
    if !have("strace", "-V", "error_about_an_earlier_request_does_not_affect_the_next") {
        return;
    }
    // The next send returns the ICMP error about an earlier request, and then sends nothing.
    let mut command = injected("sendto:error=ECONNREFUSED:when=1", CLIENT);
    let (server, address) = server(&["--bind", "127.0.0.1:0"]);
    let address = address.to_string();
    command.args(["--server", &address, "--timeout", "20s", "--attempts", "1", "Tracy"]);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!((&*out, status), ("Hello, Tracy!\n", Some(0)));
    let note = format!(
        "hello-client: {address}: refused (no server on that port, or a firewall); still waiting\n"
    );
    assert_eq!(err, note);
    assert_eq!(summary(server)["answered"], 1);
}

#[test]
fn briefly_missing_route_costs_no_greeting() {
    if !have("strace", "-V", "briefly_missing_route_costs_no_greeting") {
        return;
    }
    let mut command = injected("connect:error=ENETUNREACH:when=1..2", CLIENT);
    let (server, address) = server(&["--bind", "127.0.0.1:0"]);
    let address = address.to_string();
    command.args(["--server", &address, "--timeout", "100ms", "--attempts", "9", "Tracy"]);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!((&*out, status), ("Hello, Tracy!\n", Some(0)));
    assert_eq!(err, format!("hello-client: {address}: unreachable; still waiting\n"));
    drop(server);
}
