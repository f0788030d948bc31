//! Searches for the longest packet over the loopback, whose path takes every packet, to servers with
//! limits of their own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use hello_measure::{Cause, CauseKind, MtuLimit, MtuOutcome};
use hello_net::{MtuEvent, MtuEventKind, MtuProber, Prober, ProberBuilder};
use hello_proto::Peer;

use crate::network::have_ipv6;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Long enough for a slow machine to answer, and short for what is never answered.
const TIMEOUT: Duration = Duration::from_millis(100);

/// Searches the path to a server that answers what `answer` returns for a name.
fn search(
    host: IpAddr,
    options: &ProberBuilder,
    mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send,
) -> (MtuOutcome, Vec<MtuEvent>) {
    let server = UdpSocket::bind((host, 0)).expect("a port");
    server.set_read_timeout(Some(Duration::from_millis(10))).expect("not zero");
    let prober = MtuProber::connect(options, server.local_addr().expect("bound"));
    let (ended, mut events) = (AtomicBool::new(false), Vec::new());
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            let mut name = vec![0; 65_536];
            while !ended.load(SeqCst) {
                let Ok((len, client)) = server.recv_from(&mut name) else { continue };
                if let Some(reply) = answer(&name[..len]) {
                    server.send_to(&reply, client).expect("sent");
                }
            }
        });
        let outcome = prober.expect("a port").run(|event| events.push(*event));
        ended.store(true, SeqCst);
        outcome.expect("no broken socket")
    });
    (outcome, events)
}

fn greet(name: &[u8]) -> Vec<u8> {
    [b"Hello, ", name, b"!"].concat()
}

fn options() -> ProberBuilder {
    Prober::builder().timeout(TIMEOUT)
}

#[test]
fn limit_of_a_server_is_found_to_the_byte_over_both_families() {
    let test = "limit_of_a_server_is_found_to_the_byte_over_both_families";
    for (host, headers) in [(V4, 28), (V6, 48)] {
        if host == V6 && !have_ipv6(test) {
            return;
        }
        let (outcome, events) =
            search(host, &options(), |name| (name.len() <= 1024).then(|| greet(name)));
        assert_eq!((outcome.passed, outcome.answered), (Some(1024 + headers), outcome.passed));
        assert_eq!(outcome.limit, MtuLimit::NoReply { cause: Cause::SILENT });
        let tries = |size| {
            let sent = |event: &&MtuEvent| event.kind == MtuEventKind::Sent && event.size == size;
            events.iter().filter(sent).count()
        };
        // Once more as often, because it is the limit.
        assert_eq!((tries(1025 + headers), tries(1024 + headers)), (6, 1), "{events:?}");
    }
}

#[test]
fn echo_and_cut_names_are_replies_but_other_datagrams_are_none() {
    let (outcome, _) = search(V4, &options().peer(Peer::Echo), |name| Some(name.to_vec()));
    assert_eq!((outcome.passed, outcome.limit), (Some(65_527), MtuLimit::Max));
    let (outcome, _) = search(V4, &options(), |name| Some(greet(&name[..name.len().min(1024)])));
    assert_eq!((outcome.passed, outcome.limit), (Some(65_527), MtuLimit::Max));
    assert_eq!((outcome.answered <= Some(1052), outcome.cut_to), (true, Some(1024)));
    // Neither greetings of others nor a longer name.
    for reply in [&b"Hello, Tracy!"[..], b"", &[b'x'; 65_000]] {
        let (outcome, _) = search(V4, &options(), |_| Some(reply.to_vec()));
        assert_eq!(outcome.passed, None);
    }
    let (outcome, _) = search(V4, &options(), |name| Some(greet(&name.repeat(2))));
    assert_eq!(outcome.passed, None);
}

#[test]
fn reply_of_the_other_kind_of_server_is_shown_and_no_evidence() {
    let is_other = |event: &MtuEvent| event.kind == MtuEventKind::OtherPeer;
    let (outcome, events) = search(V4, &options(), |name| Some(name.to_vec()));
    assert_eq!((outcome.passed, events.iter().filter(|event| is_other(event)).count()), (None, 3));
    let (outcome, events) = search(V4, &options().peer(Peer::Echo), |name| Some(greet(name)));
    assert_eq!((outcome.passed, events.iter().filter(|event| is_other(event)).count()), (None, 3));
    let (_, events) = search(V4, &options(), |_| Some(b"garbage".to_vec()));
    assert!(!events.iter().any(is_other), "{events:?}");
}

#[test]
fn two_lost_probes_of_each_size_do_not_shorten_the_result() {
    let mut tries = HashMap::new();
    let (outcome, events) = search(V4, &options(), |name| {
        let count = tries.entry(name.len()).or_insert(0);
        *count += 1;
        (name.len() <= 5000 && *count % 3 == 0).then(|| greet(name))
    });
    assert_eq!(outcome.passed, Some(5028), "{events:?}");
}

#[test]
fn late_reply_is_evidence_for_the_size_of_its_probe() {
    let mut first = None;
    let (outcome, events) = search(V4, &options(), |name| {
        // The first name is answered when the second one of its length is received.
        match &mut first {
            None => {
                first = Some(greet(name));
                None
            }
            Some(reply) if reply.len() == name.len() + 8 => Some(reply.clone()),
            Some(_) => Some(greet(name)),
        }
    });
    assert_eq!((outcome.passed, outcome.limit), (Some(65_527), MtuLimit::Max));
    let rtt = events.iter().find_map(|event| match event.kind {
        MtuEventKind::Answered { rtt } => Some(rtt),
        _ => None,
    });
    assert!(rtt >= Some(TIMEOUT / 3), "{events:?}");
}

#[test]
fn refusal_is_the_cause_of_a_target_that_never_answers() {
    let closed = UdpSocket::bind((V4, 0)).expect("a port").local_addr().expect("bound");
    let prober = MtuProber::connect(&options(), closed).expect("loopback has a route");
    let mut kinds = Vec::new();
    let outcome = prober.run(|event| kinds.push(event.kind)).expect("no broken socket");
    let cause = Cause { kind: CauseKind::Refused, reporter: Some(V4) };
    assert_eq!((outcome.passed, outcome.limit), (None, MtuLimit::NoReply { cause }));
    // Each probe that was sent has one outcome.
    let is_sent = |kind: &MtuEventKind| *kind == MtuEventKind::Sent;
    let (sent, ends): (Vec<_>, Vec<_>) = kinds.iter().partition(|kind| is_sent(kind));
    assert_eq!((sent.len(), ends), (3, vec![&MtuEventKind::Lost { cause }; 3]));
}

#[test]
fn probe_whose_size_another_one_decides_has_its_outcome_too() {
    let mut is_first = true;
    let (outcome, events) =
        search(V4, &options(), |name| (!std::mem::take(&mut is_first)).then(|| greet(name)));
    assert_eq!((outcome.passed, outcome.limit), (Some(65_527), MtuLimit::Max));
    assert_eq!((outcome.passing_lost, outcome.passing_probes), (1, 3), "{events:?}");
    let count =
        |is: fn(&MtuEventKind) -> bool| events.iter().filter(|event| is(&event.kind)).count();
    let answered = count(|kind| matches!(kind, MtuEventKind::Answered { .. }));
    let lost = count(|kind| matches!(kind, MtuEventKind::Lost { cause: Cause::SILENT }));
    assert_eq!(
        (count(|kind| *kind == MtuEventKind::Sent), answered, lost),
        (3, 2, 1),
        "{events:?}"
    );
}

#[test]
fn stop_ends_the_search_at_once() {
    let silent = UdpSocket::bind((V4, 0)).expect("a port");
    let address: SocketAddr = silent.local_addr().expect("bound");
    let patient = Prober::builder().timeout(Duration::from_secs(3600));
    let prober = MtuProber::connect(&patient, address).expect("loopback has a route");
    let stopper = prober.stopper();
    let outcome = prober.run(|event| {
        if event.kind == MtuEventKind::Sent {
            stopper.stop();
        }
    });
    let outcome = outcome.expect("no broken socket");
    assert_eq!((outcome.passed, outcome.limit), (None, MtuLimit::Open));
}
