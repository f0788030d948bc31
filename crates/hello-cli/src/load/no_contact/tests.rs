use std::net::{IpAddr, UdpSocket};
use std::thread;

use hello_measure::CauseKind;

use super::*;
use crate::load::fixtures;

fn no_contact(reason: Reason, address: SocketAddr) -> NoContact {
    let (target, name_bytes) = (address.to_string(), [1400, 1400]);
    let address = address.into();
    NoContact {
        target,
        address,
        peer: PeerArg::Hello,
        reason,
        waited_s: Some(1.0),
        name_bytes,
        error: Some("unreachable".into()),
        refused_by: None,
        greeting_answered: None,
    }
}

/// A run of which nothing but losses is known.
fn unanswered() -> Summary {
    let mut summary = fixtures::summary();
    summary.common = hello_measure::Summary { sent: 3, lost: 3, ..Default::default() };
    summary
}

#[test]
fn each_reason_says_what_to_do() {
    let default = ([127, 0, 0, 1], 9999).into();
    for (reason, address, expected) in [
        (
            Reason::Refused,
            default,
            "127.0.0.1:9999 refused the requests: no server is listening on that port, or a firewall rejects it. \
             Start a server with: hello-server",
        ),
        (
            Reason::Refused,
            ([127, 0, 0, 1], 7).into(),
            "127.0.0.1:7 refused the requests: no server is listening on that port, or a firewall rejects it. \
             Start a server with: hello-server --bind 127.0.0.1:7",
        ),
        (
            Reason::Refused,
            ([192, 0, 2, 1], 9999).into(),
            "192.0.2.1:9999 refused the requests: no server is listening on that port, or a firewall rejects it. Start \
             hello-server on that machine",
        ),
        (
            Reason::Size,
            default,
            "no reply from 127.0.0.1:9999 to 1400-byte names within 1s, but to a 16-byte \
             name: it refuses this size; try a smaller --size",
        ),
        (
            Reason::Late,
            default,
            "no reply from 127.0.0.1:9999 within 1s, but some came later: try a longer --timeout",
        ),
        (
            Reason::Unrelated,
            default,
            "no reply from 127.0.0.1:9999, but other datagrams: is that an echo server? \
             Then add --peer echo",
        ),
        (Reason::Errors, default, "no reply from 127.0.0.1:9999, but an error: unreachable"),
        (
            Reason::Overload,
            default,
            "no reply from 127.0.0.1:9999 within 1s, but to one greeting after that: it is \
             overloaded, rate limited or was just started; try a lower --rate or --outstanding",
        ),
        (
            Reason::Silent,
            default,
            "no reply from 127.0.0.1:9999 within 1s, and no error: is a server running there, does \
             a firewall or a rate limit drop the requests, or is it slower (try a longer --timeout)?",
        ),
    ] {
        assert_eq!(no_contact(reason, address).to_string(), expected);
    }
}

#[test]
fn another_host_that_refuses_is_named_and_no_server_is_suggested() {
    let address = ([192, 0, 2, 1], 9999).into();
    let report = |reporter: Option<[u8; 4]>| {
        let cause = Cause { kind: CauseKind::Refused, reporter: reporter.map(IpAddr::from) };
        no_contact(Reason::Refused, address).reported(cause).to_string()
    };
    let by_another = "10.80.2.2 refused the requests to 192.0.2.1:9999: it is not the target, so a \
                      firewall there rejects them";
    assert_eq!(report(Some([10, 80, 2, 2])), by_another);
    for reporter in [Some([192, 0, 2, 1]), None] {
        assert!(report(reporter).starts_with("192.0.2.1:9999 refused the requests: "));
    }
}

#[test]
fn wait_that_a_signal_ended_tells_nothing_of_the_greeting() {
    let wait = Duration::from_secs(1);
    let greet = || Greeted::Cancelled;
    let found = NoContact::explain(&unanswered(), (None, false), wait, greet);
    assert_eq!((found.reason, found.greeting_answered), (Reason::Silent, None));
}

#[test]
fn unrelated_datagrams_suggest_the_peer_that_was_not_expected() {
    let mut summary = unanswered();
    summary.common.corrupt = 1;
    let wait = Duration::from_secs(1);
    for (peer, hint) in [
        (PeerArg::Hello, "is that an echo server? Then add --peer echo"),
        (PeerArg::Echo, "is that a Hello server? Then omit --peer echo"),
    ] {
        summary.plan.peer = peer;
        let greet = || unreachable!("other datagrams explain it");
        let found = NoContact::explain(&summary, (None, false), wait, greet).to_string();
        let expected = format!("no reply from 192.0.2.1:9999, but other datagrams: {hint}");
        assert_eq!(found, expected);
    }
}

#[test]
fn greeting_with_a_short_name_distinguishes_a_refused_size_from_silence() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("bound");
    let greet = |server: UdpSocket| {
        thread::spawn(move || {
            let mut name = [0; 99];
            let (len, client) = server.recv_from(&mut name).expect("a greeting");
            let reply = [b"Hello, ", &name[..len], b"!"].concat();
            server.send_to(&reply, client).expect("sent");
            server
        })
    };
    let greeted = greet(server);
    let mut summary = unanswered();
    (summary.address, summary.plan.name_bytes) = (address.into(), [8, 1400]);
    let explain = |summary: &Summary, wait| {
        let wait = Duration::from_millis(wait);
        let client = greeter(summary.address.0, wait).expect("a port");
        NoContact::explain(summary, (None, false), wait, || super::greet(client))
    };
    let found = explain(&summary, 20_000);
    assert_eq!((found.reason, found.greeting_answered), (Reason::Size, Some(true)));
    let greeted = greet(greeted.join().expect("no panic"));
    summary.plan.timeout_s = 1e-9;
    let found = explain(&summary, 20_000);
    assert_eq!((found.reason, found.greeting_answered), (Reason::Late, Some(true)));
    let server = greeted.join().expect("no panic");
    let found = explain(&summary, 20);
    assert_eq!((found.reason, found.greeting_answered), (Reason::Silent, Some(false)));
    summary.plan.peer = PeerArg::Echo;
    let found = explain(&summary, 20_000);
    assert_eq!((found.reason, found.greeting_answered), (Reason::Silent, None));
    drop(server);
    summary.plan.peer = PeerArg::Hello;
    assert_eq!(explain(&summary, 20).reason, Reason::Refused);
}

#[test]
fn what_was_received_and_reported_explains_a_run_before_any_greeting() {
    let explain = |summary: &Summary, error: Option<ErrorClass>, has_unrelated| {
        let (error, wait) = (error.map(Into::into), Duration::from_secs(1));
        let greet = || unreachable!("it is explained");
        let found = NoContact::explain(summary, (error, has_unrelated), wait, greet);
        assert_eq!(found.greeting_answered, None);
        let is_refused = found.reason == Reason::Refused;
        assert_eq!(found.waited_s, (!is_refused).then_some(1.0), "a refusal is not waited for");
        found.reason
    };
    let mut summary = unanswered();
    let refused = Some(ErrorClass::ConnectionRefused);
    assert_eq!(explain(&summary, refused, true), Reason::Refused, "in the warm-up");
    let denied = Some(ErrorClass::Denied);
    assert_eq!(explain(&summary, denied, false), Reason::Errors);
    assert_eq!(explain(&summary, denied, true), Reason::Unrelated, "in the warm-up");
    assert_eq!(explain(&summary, None, true), Reason::Unrelated, "in the warm-up");
    summary.common.late = 1;
    assert_eq!(explain(&summary, None, false), Reason::Late);
    (summary.common.late, summary.common.corrupt) = (0, 1);
    assert_eq!(explain(&summary, None, false), Reason::Unrelated);
}
