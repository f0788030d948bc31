#[cfg(target_os = "linux")]
mod clocks;
mod ends;
mod observers;
mod schedule;
#[cfg(target_os = "linux")]
mod traces;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use hello_measure::{Cause, CauseKind, Counts, ReplyKind};
use hello_net::{
    Backend, BorrowedSocket, ErrorClass, ProbeError, ProbeEvent, ProbeEventKind, Prober,
    ProberBuilder,
};
use hello_proto::{Peer, Token};
use socket2::SockRef;

use crate::codes;
use crate::network::{any_port, have_ipv6, peer, peer_at, receive};
use crate::server::BACK_ENDS;

/// Returns a plan for a test: quick, and with a timeout that no reply comes near.
fn plan(count: u64) -> ProberBuilder {
    let timeout = Duration::from_secs(20);
    Prober::builder().interval(Duration::from_millis(1)).count(count).timeout(timeout)
}

/// Returns the same without an end.
fn endless() -> ProberBuilder {
    plan(0).count(None)
}

fn connect(server: &UdpSocket, plan: ProberBuilder) -> Prober {
    plan.connect(server.local_addr().expect("bound")).expect("a port")
}

/// What an observer saw, on both threads.
struct Seen(Mutex<Vec<(usize, Told)>>);

impl Seen {
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn add(&self, event: &ProbeEvent<'_>) {
        self.0.lock().expect("no panic").push((event.flow, event.into()));
    }

    fn into_inner(self) -> Vec<(usize, Told)> {
        self.0.into_inner().expect("no panic")
    }
}

/// Answers `count` requests as `answer` says, which gets their number and their name.
fn serve(socket: &UdpSocket, count: u64, mut answer: impl FnMut(u64, &[u8]) -> Vec<Vec<u8>>) {
    for number in 0..count {
        let (name, source) = receive(socket);
        for reply in answer(number, &name) {
            socket.send_to(&reply, source).expect("sent");
        }
    }
}

fn greeting(name: &[u8]) -> Vec<u8> {
    [b"Hello, ", name, b"!"].concat()
}

/// Runs a prober against a server that answers so, and returns its counts and its events.
fn probe(
    plan: ProberBuilder,
    answer: impl FnMut(u64, &[u8]) -> Vec<Vec<u8>> + Send,
) -> (Counts, Vec<(usize, Told)>) {
    let server = peer();
    let prober = connect(&server, plan);
    let (count, seen) = (prober.plan().count.expect("an end"), Seen::new());
    let counts = thread::scope(|scope| {
        scope.spawn(|| serve(&server, count, answer));
        prober.run(|event| seen.add(event)).expect("no broken socket")
    });
    (counts, seen.into_inner())
}

/// An event without its times.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Sent(u32),
    NotSent,
    Answered(u32),
    Else(ReplyKind),
    Lost(u32),
    Reported(ErrorClass),
    Dropped(u32),
}

impl From<&ProbeEvent<'_>> for Told {
    fn from(event: &ProbeEvent<'_>) -> Self {
        match event.kind {
            ProbeEventKind::Sent { seq, .. } => Self::Sent(seq),
            ProbeEventKind::NotSent(_) => Self::NotSent,
            ProbeEventKind::Received { reply: ReplyKind::Answered { seq, .. }, .. } => {
                Self::Answered(seq)
            }
            ProbeEventKind::Received { reply, .. } => Self::Else(reply),
            ProbeEventKind::Lost { seq, .. } => Self::Lost(seq),
            ProbeEventKind::SocketError(error) => Self::Reported(error.class),
            ProbeEventKind::Dropped { count } => Self::Dropped(count),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "only Linux reports the TTL")]
fn reply_has_the_ttl_or_the_hop_limit_that_was_left() {
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        if address.is_ipv6() && !have_ipv6("reply_has_the_ttl_or_the_hop_limit_that_was_left") {
            continue;
        }
        let server = peer_at((address, 0).into());
        let set = match address {
            IpAddr::V4(_) => server.set_ttl(42),
            IpAddr::V6(_) => SockRef::from(&server).set_unicast_hops_v6(42),
        };
        set.expect("a number below 256");
        for (backend, expected) in [(Backend::Native, Some(42)), (Backend::Portable, None)] {
            let prober = connect(&server, plan(1).backend(backend));
            let ttls = Mutex::new(Vec::new());
            thread::scope(|scope| {
                scope.spawn(|| serve(&server, 1, |_, name| vec![greeting(name)]));
                let observe = |event: &ProbeEvent<'_>| {
                    if let ProbeEventKind::Received { ttl, .. } = event.kind {
                        ttls.lock().expect("no panic").push(ttl);
                    }
                };
                prober.run(observe).expect("no broken socket");
            });
            assert_eq!(ttls.into_inner().expect("no panic"), [expected], "{address} {backend:?}");
        }
    }
}

#[test]
fn each_probe_is_sent_answered_and_reported_once() {
    for &backend in BACK_ENDS {
        let (counts, told) = probe(plan(50).backend(backend), |_, name| {
            assert_eq!(name.len(), 16);
            vec![greeting(name)]
        });
        assert_eq!((counts.sent, counts.answered, counts.in_flight()), (50, 50, 0));
        for seq in 1..=50 {
            let [sent, answered] = [Told::Sent(seq), Told::Answered(seq)]
                .map(|event| told.iter().position(|told| *told == (0, event)).expect("told"));
            assert!(sent < answered, "{seq}");
        }
        assert_eq!(told.len(), 100);
    }
}

#[test]
fn every_kind_of_reply_is_distinguished() {
    for &backend in BACK_ENDS {
        let (counts, told) = probe(plan(6).backend(backend), |number, name| match number {
            0 => vec![greeting(name), greeting(name)],
            1 => vec![name.to_vec(), greeting(name)],
            2 => vec![greeting(b"Mallory"), greeting(name)],
            3 => {
                let mut changed = greeting(name);
                changed[12] ^= 1;
                vec![changed, greeting(name)]
            }
            _ => vec![greeting(name)],
        });
        let all =
            (counts.sent, counts.answered, counts.duplicate, counts.corrupt, counts.unsolicited);
        assert_eq!(all, (6, 6, 1, 2, 1));
        assert!(told.contains(&(0, Told::Else(ReplyKind::Duplicate { seq: 1 }))), "{told:?}");
    }
}

#[test]
fn echoes_are_the_replies_of_an_echo_server() {
    for &backend in BACK_ENDS {
        let plan = plan(6).backend(backend).peer(Peer::Echo);
        let (counts, told) = probe(plan, |number, name| match number {
            0 => vec![name.to_vec(), name.to_vec()],
            1 => vec![greeting(name), name.to_vec()],
            2 => {
                let mut changed = name.to_vec();
                changed[12] ^= 1;
                vec![changed, name.to_vec()]
            }
            _ => vec![name.to_vec()],
        });
        let all =
            (counts.sent, counts.answered, counts.duplicate, counts.corrupt, counts.unsolicited);
        assert_eq!(all, (6, 6, 1, 1, 1), "{told:?}");
    }
}

#[test]
fn probes_to_a_silent_server_are_lost_once_at_their_timeout() {
    let timeout = Duration::from_millis(50);
    let plan = plan(20).timeout(timeout);
    let start = Instant::now();
    let (counts, told) = probe(plan, |_, _| vec![]);
    assert!(start.elapsed() >= timeout, "they were waited for");
    assert_eq!((counts.sent, counts.answered, counts.lost), (20, 0, 20));
    let lost = told.iter().filter_map(|(_, told)| match told {
        Told::Lost(seq) => Some(*seq),
        _ => None,
    });
    assert!(lost.eq(1..=20), "{told:?}");
}

#[test]
fn loss_has_the_time_at_which_its_probe_was_sent() {
    let (server, plan) = (peer(), plan(5).timeout(Duration::from_millis(50)));
    let prober = connect(&server, plan);
    let (sent, lost) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    prober
        .run(|event| match event.kind {
            ProbeEventKind::Sent { seq, .. } => sent.lock().expect("sent").push((seq, event.at)),
            ProbeEventKind::Lost { seq, sent, .. } => lost.lock().expect("lost").push((seq, sent)),
            _ => {}
        })
        .expect("no broken socket");
    let (sent, lost) = (sent.into_inner().expect("sent"), lost.into_inner().expect("lost"));
    assert_eq!((lost.len(), &lost), (5, &sent));
}

#[test]
fn last_probes_get_their_full_timeout_after_quick_replies() {
    let plan = plan(5).timeout(Duration::from_millis(200));
    let (counts, told) = probe(plan, |number, name| match number {
        0 => vec![greeting(name)],
        _ => vec![],
    });
    // On a busy machine, the first may be lost, too.
    assert_eq!((counts.sent, counts.in_flight()), (5, 0));
    assert!((2..=5).all(|seq| told.contains(&(0, Told::Lost(seq)))), "{told:?}");
}

#[test]
fn flows_alternate_and_have_their_own_ports() {
    const FLOWS: NonZeroU16 = NonZeroU16::new(4).expect("not zero");
    for &backend in BACK_ENDS {
        let mut sources = Vec::new();
        let server = peer();
        let plan = plan(40).backend(backend).flows(FLOWS);
        let prober = connect(&server, plan);
        let ports = Vec::from_iter(prober.local_addrs());
        let seen = Seen::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..40 {
                    let (name, source) = receive(&server);
                    let seq = Token::decode(&name).expect("a token").seq;
                    sources.push((seq, source));
                    server.send_to(&greeting(&name), source).expect("sent");
                }
            });
            prober.run(|event| seen.add(event)).expect("no broken socket")
        });
        let told = seen.into_inner();
        for (seq, source) in sources {
            let flow = (seq as usize - 1) % 4;
            assert_eq!(source, ports[flow]);
            assert!(told.contains(&(flow, Told::Sent(seq))), "{told:?}");
            assert!(told.contains(&(flow, Told::Answered(seq))), "{told:?}");
        }
    }
}

#[test]
fn absent_server_is_distinguished_from_a_silent_one() {
    for &backend in BACK_ENDS {
        let nobody = peer().local_addr().expect("bound");
        let plan = plan(5).backend(backend).timeout(Duration::from_millis(100));
        let prober = plan.connect(nobody).expect("a port");
        let refused = AtomicUsize::new(0);
        let expected = Cause { kind: CauseKind::Refused, reporter: Some(nobody.ip()) };
        let counts = prober.run(|event| match event.kind {
            ProbeEventKind::SocketError(error) if cfg!(not(target_os = "linux")) => {
                assert_eq!(error.class, ErrorClass::ConnectionRefused);
                // Wine has the code of a stream.
                assert!(error.os_error == Some(codes::ECONNREFUSED) || cfg!(windows));
                refused.fetch_add(1, Relaxed);
            }
            ProbeEventKind::NetworkError { cause, attribution } => {
                let nth = u32::try_from(refused.fetch_add(1, Relaxed)).expect("five");
                let seq = Token::FIRST_SEQ + nth;
                assert_eq!((cause, attribution.seq()), (expected, Some(seq)));
            }
            ProbeEventKind::Lost { cause, .. } => {
                assert!(cfg!(not(target_os = "linux")) || cause == expected, "{cause:?}");
            }
            ProbeEventKind::Received { .. } | ProbeEventKind::SocketError(_) => panic!("{event:?}"),
            _ => {}
        });
        let counts = counts.expect("no broken socket");
        assert_eq!((counts.sent, counts.lost), (5, 5));
        let refused = refused.into_inner();
        assert!(refused == 5 || cfg!(not(target_os = "linux")) && refused > 0, "{refused}");
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "only Linux reports drops")]
fn receive_buffer_drops_are_reported_and_not_attributed_to_the_network() {
    const MANY: usize = 20_000;
    let server = peer();
    let plan = plan(1).timeout(Duration::from_millis(50));
    let prober = connect(&server, plan);
    let port = prober.local_addrs().next().expect("a port");
    let [received, dropped] = [0, 0].map(AtomicUsize::new);
    let flood = |count| {
        for _ in 0..count {
            server.send_to(b"Hello, again!", port).expect("sent");
        }
    };
    let counts = prober.run(|event| match event.kind {
        ProbeEventKind::Sent { .. } => flood(1),
        // Nothing is received before this returns.
        ProbeEventKind::Received { .. } if received.fetch_add(1, Relaxed) == 0 => flood(MANY - 1),
        ProbeEventKind::Dropped { count } => drop(dropped.fetch_add(count as usize, Relaxed)),
        _ => {}
    });
    assert_eq!(counts.expect("no broken socket").lost, 1);
    let [received, dropped] = [received, dropped].map(AtomicUsize::into_inner);
    assert!(dropped > 0, "the test needs a smaller buffer");
    assert_eq!(received + dropped, MANY);
}

#[test]
fn invalid_plan_is_an_error() {
    let server: SocketAddr = (Ipv4Addr::LOCALHOST, 9).into();
    for len in [0, 7, 65_500] {
        let error = plan(1).name_len(len).connect(server);
        assert!(matches!(error, Err(ProbeError::NameLength { min: 8, max: 65_499, .. })));
    }
    let zero = Duration::ZERO;
    for plan in [plan(1).interval(zero), plan(1).timeout(zero)] {
        assert!(matches!(plan.connect(server), Err(ProbeError::Interval)));
    }
    let elsewhere = IpAddr::from([192, 0, 2, 1]);
    let error = plan(1).source(elsewhere).connect(server);
    // Wine binds a socket to any address.
    assert!(matches!(error, Err(ProbeError::Connect { .. })) || cfg!(windows), "{error:?}");
    assert!(plan(1).connect(any_port()).is_ok(), "nobody has to be there");
}

#[test]
fn each_flow_has_a_socket_for_further_options() {
    let flows = NonZeroU16::new(3).expect("not zero");
    let prober = connect(&peer(), plan(1).flows(flows));
    let local = |socket: BorrowedSocket<'_>| SockRef::from(&socket).local_addr().ok()?.as_socket();
    assert!(prober.sockets().map(local).eq(prober.local_addrs().map(Some)));
}

#[test]
#[cfg(target_os = "linux")]
fn calling_threads_timer_slack_is_restored() {
    let slack = || rustix::thread::current_timer_slack().expect("Linux has it");
    let before = slack();
    assert!(before > 1, "it is not punctual by itself");
    probe(plan(1), |_, name| vec![greeting(name)]);
    assert_eq!(slack(), before);
}
