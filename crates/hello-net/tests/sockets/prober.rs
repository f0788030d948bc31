use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::thread;
use std::time::{Duration, Instant};

use hello_measure::{Counts, ReplyKind};
use hello_net::{ErrorClass, NotSent, ProbeError, ProbeEvent, ProbeEventKind, ProbePlan, Prober};
use hello_proto::Token;

use crate::network::{any_port, peer, receive};

/// A plan for a test: short, and with a timeout far above any reply time.
fn plan(count: u64) -> ProbePlan {
    ProbePlan {
        interval: Duration::from_millis(1),
        count: Some(count),
        timeout: Duration::from_secs(20),
        ..ProbePlan::default()
    }
}

/// Answers this many requests with a function of their number and name.
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

/// Runs a prober against a scripted server, and returns its counts and events.
fn probe(
    plan: ProbePlan,
    answer: impl FnMut(u64, &[u8]) -> Vec<Vec<u8>> + Send,
) -> (Counts, Vec<(usize, Event)>) {
    let server = peer();
    let count = plan.count.expect("an end");
    let prober = Prober::new(server.local_addr().expect("bound"), plan).expect("a port");
    let mut events = Vec::new();
    let counts = thread::scope(|scope| {
        scope.spawn(|| serve(&server, count, answer));
        prober.run(|event| events.push((event.flow, event.into()))).expect("no broken socket")
    });
    (counts, events)
}

/// An event without its times.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Sent(u32),
    NotSent,
    Answered(u32),
    Else(ReplyKind),
    Lost(u32),
    Reported(ErrorClass),
    Dropped(u32),
}

impl From<&ProbeEvent<'_>> for Event {
    fn from(event: &ProbeEvent<'_>) -> Self {
        match event.kind {
            ProbeEventKind::Sent { seq, .. } => Self::Sent(seq),
            ProbeEventKind::NotSent(_) => Self::NotSent,
            ProbeEventKind::Received { arrival: ReplyKind::Answered { seq, .. }, .. } => {
                Self::Answered(seq)
            }
            ProbeEventKind::Received { arrival, .. } => Self::Else(arrival),
            ProbeEventKind::Lost { seq } => Self::Lost(seq),
            ProbeEventKind::SocketError(class) => Self::Reported(class),
            ProbeEventKind::Dropped { count } => Self::Dropped(count),
        }
    }
}

#[test]
fn each_probe_is_sent_answered_and_reported_once() {
    let (counts, events) = probe(plan(50), |_, name| {
        assert_eq!(name.len(), 16);
        vec![greeting(name)]
    });
    assert_eq!((counts.sent, counts.answered, counts.in_flight()), (50, 50, 0));
    for seq in 0..50 {
        let [sent, answered] = [Event::Sent(seq), Event::Answered(seq)]
            .map(|event| events.iter().position(|seen| *seen == (0, event)).expect("reported"));
        assert!(sent < answered, "{seq}");
    }
    assert_eq!(events.len(), 100);
}

#[test]
fn every_kind_of_reply_is_distinguished() {
    let (counts, events) = probe(plan(6), |number, name| match number {
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
    let all = (counts.sent, counts.answered, counts.duplicate, counts.corrupt, counts.unsolicited);
    assert_eq!(all, (6, 6, 1, 2, 1));
    assert!(events.contains(&(0, Event::Else(ReplyKind::Duplicate { seq: 0 }))), "{events:?}");
}

#[test]
fn probes_to_a_silent_server_are_lost_once_at_their_timeout() {
    let timeout = Duration::from_millis(50);
    let plan = ProbePlan { timeout, ..plan(20) };
    let start = Instant::now();
    let (counts, events) = probe(plan, |_, _| vec![]);
    assert!(start.elapsed() >= timeout, "the timeout has passed");
    assert_eq!((counts.sent, counts.answered, counts.lost), (20, 0, 20));
    let lost = events.iter().filter_map(|(_, event)| match event {
        Event::Lost(seq) => Some(*seq),
        _ => None,
    });
    assert!(lost.eq(0..20), "{events:?}");
}

#[test]
fn last_probes_get_their_full_timeout_after_quick_replies() {
    let plan = ProbePlan { timeout: Duration::from_millis(200), ..plan(5) };
    let (counts, events) = probe(plan, |number, name| match number {
        0 => vec![greeting(name)],
        _ => vec![],
    });
    // On a busy machine, the first probe may be lost too.
    assert_eq!((counts.sent, counts.in_flight()), (5, 0));
    assert!((1..5).all(|seq| events.contains(&(0, Event::Lost(seq)))), "{events:?}");
}

#[test]
fn flows_alternate_and_have_their_own_ports() {
    const FLOWS: NonZeroU16 = NonZeroU16::new(4).expect("not zero");
    let mut sources = Vec::new();
    let server = peer();
    let plan = ProbePlan { flows: FLOWS, ..plan(40) };
    let prober = Prober::new(server.local_addr().expect("bound"), plan).expect("ports");
    let ports = Vec::from_iter(prober.local_addrs());
    let mut events = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..40 {
                let (name, source) = receive(&server);
                let seq = Token::decode(&name).expect("a token").seq;
                sources.push((seq, source));
                server.send_to(&greeting(&name), source).expect("sent");
            }
        });
        prober.run(|event| events.push((event.flow, Event::from(event)))).expect("no broken socket")
    });
    for (seq, source) in sources {
        let flow = seq as usize % 4;
        assert_eq!(source, ports[flow]);
        assert!(events.contains(&(flow, Event::Sent(seq))), "{events:?}");
        assert!(events.contains(&(flow, Event::Answered(seq))), "{events:?}");
    }
}

#[test]
fn absent_server_is_distinguished_from_a_silent_one() {
    let closed_port = peer().local_addr().expect("bound");
    let plan = ProbePlan { timeout: Duration::from_millis(100), ..plan(5) };
    let prober = Prober::new(closed_port, plan).expect("a port");
    let mut refused = 0;
    let counts = prober.run(|event| match event.kind {
        ProbeEventKind::SocketError(class) => {
            assert_eq!(class, ErrorClass::ConnectionRefused);
            refused += 1;
        }
        ProbeEventKind::Received { .. } => panic!("{event:?}"),
        _ => {}
    });
    let counts = counts.expect("no broken socket");
    assert_eq!((counts.sent, counts.lost), (5, 5));
    assert!(refused > 0);
}

#[test]
fn stopped_prober_does_not_wait_for_a_silent_server() {
    let server = peer();
    let plan = ProbePlan { count: None, timeout: Duration::from_secs(3600), ..plan(0) };
    let prober = Prober::new(server.local_addr().expect("bound"), plan).expect("a port");
    let counts = thread::scope(|scope| {
        let running = scope.spawn(|| prober.run(|_| ()).expect("no broken socket"));
        receive(&server);
        prober.stop();
        running.join().expect("no panic")
    });
    assert!(counts.sent > 0);
    assert_eq!(
        (counts.in_flight(), counts.lost),
        (counts.sent, 0),
        "probes in flight are not lost"
    );
}

#[test]
fn abort_does_not_wait_for_replies() {
    let server = peer();
    let plan = ProbePlan { count: None, timeout: Duration::from_secs(3600), ..plan(0) };
    let prober = Prober::new(server.local_addr().expect("bound"), plan).expect("a port");
    let counts = thread::scope(|scope| {
        let running = scope.spawn(|| prober.run(|_| ()).expect("no broken socket"));
        let (name, source) = receive(&server);
        server.send_to(&greeting(&name), source).expect("sent");
        receive(&server);
        prober.abort();
        running.join().expect("no panic")
    });
    assert!(counts.in_flight() > 0);
}

#[test]
fn constant_traffic_does_not_keep_a_prober_from_ending() {
    let server = peer();
    let plan = ProbePlan { count: None, ..plan(0) };
    let prober = Prober::new(server.local_addr().expect("bound"), plan).expect("a port");
    let port = prober.local_addrs().next().expect("a port");
    let mut received = 0;
    // Each received datagram causes two more, up to a few seconds' worth.
    prober
        .run(|event| {
            if let ProbeEventKind::Sent { .. } = event.kind {
                server.send_to(b"Hello, again!", port).expect("sent");
            }
            if let ProbeEventKind::Received { .. } = event.kind {
                received += 1;
                assert!(received < MANY, "it continues");
                for _ in 0..2 {
                    server.send_to(b"Hello, again!", port).expect("sent");
                }
                prober.abort();
            }
        })
        .expect("no broken socket");

    const MANY: u32 = 100_000;
}

#[cfg(target_os = "linux")]
#[test]
fn receive_buffer_drops_are_reported_and_not_attributed_to_the_network() {
    const MANY: usize = 20_000;
    let server = peer();
    let plan = ProbePlan { timeout: Duration::from_millis(50), ..plan(1) };
    let prober = Prober::new(server.local_addr().expect("bound"), plan).expect("a port");
    let port = prober.local_addrs().next().expect("a port");
    let (mut received, mut dropped) = (0, 0);
    let counts = prober.run(|event| match event.kind {
        // Nothing is received before this returns, except what is already in flight.
        ProbeEventKind::Sent { .. } => {
            for _ in 0..MANY {
                server.send_to(b"Hello, again!", port).expect("sent");
            }
        }
        ProbeEventKind::Received { .. } => received += 1,
        ProbeEventKind::Dropped { count } => dropped += count as usize,
        _ => {}
    });
    assert_eq!(counts.expect("no broken socket").lost, 1);
    assert!(dropped > 0, "the test needs a smaller buffer");
    assert_eq!(received + dropped, MANY);
}

#[test]
fn stalled_prober_sends_no_burst() {
    let server = peer();
    let interval = Duration::from_millis(1);
    let plan = ProbePlan { interval, timeout: interval, ..plan(250) };
    let prober = Prober::new(server.local_addr().expect("bound"), plan).expect("a port");
    let mut skipped = 0;
    prober
        .run(|event| match event.kind {
            ProbeEventKind::Sent { seq: 0, .. } => thread::sleep(200 * interval),
            ProbeEventKind::NotSent(NotSent::Late) => skipped += 1,
            _ => {}
        })
        .expect("no broken socket");
    // Of the 198 probes that are late by more than an interval, few are sent.
    assert!(skipped >= 198 - 64, "{skipped}");
}

#[test]
fn no_probe_is_early_and_the_timer_error_is_reported() {
    let server = peer();
    let interval = Duration::from_millis(2);
    let plan = ProbePlan { interval, ..plan(30) };
    let prober = Prober::new(server.local_addr().expect("bound"), plan).expect("a port");
    thread::scope(|scope| {
        scope.spawn(|| serve(&server, 30, |_, name| vec![greeting(name)]));
        let check = |event: &ProbeEvent<'_>| {
            if let ProbeEventKind::Sent { seq, late } = event.kind {
                assert_eq!(
                    event.at - late,
                    interval * seq,
                    "due times are multiples of the interval"
                );
            }
        };
        prober.run(check).expect("no broken socket")
    });
}

#[test]
fn invalid_plan_is_an_error() {
    let server: SocketAddr = (Ipv4Addr::LOCALHOST, 9).into();
    for len in [0, 7, 65_500] {
        let error = Prober::new(server, ProbePlan { name_len: len, ..plan(1) });
        assert!(matches!(error, Err(ProbeError::NameLength { min: 8, max: 65_499, .. })));
    }
    let zero = Duration::ZERO;
    for plan in [ProbePlan { interval: zero, ..plan(1) }, ProbePlan { timeout: zero, ..plan(1) }] {
        assert!(matches!(Prober::new(server, plan), Err(ProbeError::Interval)));
    }
    let elsewhere = Some(Ipv4Addr::new(192, 0, 2, 1).into());
    let error = Prober::new(server, ProbePlan { source: elsewhere, ..plan(1) });
    assert!(matches!(error, Err(ProbeError::Connect { .. })), "{error:?}");
    assert!(Prober::new(any_port(), plan(1)).is_ok(), "no server is needed");
}

#[test]
fn longest_durations_are_accepted_in_a_plan() {
    let server = peer();
    let times = [
        (Duration::MAX, Duration::from_millis(1)),
        (Duration::from_millis(1), Duration::MAX),
        (Duration::MAX, Duration::MAX),
    ];
    for (interval, timeout) in times {
        let plan = ProbePlan { interval, timeout, ..plan(1) };
        let prober = Prober::new(server.local_addr().expect("bound"), plan).expect("a port");
        let sent = |event: &ProbeEvent<'_>| {
            if let ProbeEventKind::Sent { .. } = event.kind {
                prober.stop();
            }
        };
        assert_eq!(prober.run(sent).expect("no broken socket").sent, 1);
    }
}

#[test]
fn prober_runs_once() {
    let server = peer();
    let plan = ProbePlan { timeout: Duration::from_millis(1), ..plan(3) };
    let prober = Prober::new(server.local_addr().expect("bound"), plan).expect("a port");
    assert_eq!(prober.run(|_| ()).expect("no broken socket").sent, 3);
    assert_eq!(prober.run(|_| ()).expect("nothing to do").sent, 0);
}

#[test]
fn only_one_of_two_concurrent_runs_proceeds() {
    let server = peer();
    let plan = ProbePlan { timeout: Duration::from_millis(1), ..plan(50) };
    let prober = Prober::new(server.local_addr().expect("bound"), plan).expect("a port");
    let sent = thread::scope(|scope| {
        let runs = [(); 2].map(|()| scope.spawn(|| prober.run(|_| ())));
        runs.map(|run| run.join().expect("no panic").expect("no broken socket").sent)
    });
    assert_eq!(sent.iter().sum::<u64>(), 50, "{sent:?}");
}

#[test]
fn observer_panic_at_a_reply_also_ends_the_sender() {
    let server = peer();
    let endless = ProbePlan { count: None, ..plan(1) };
    let prober = Prober::new(server.local_addr().expect("bound"), endless).expect("a port");
    let panic = thread::scope(|scope| {
        scope.spawn(|| serve(&server, 1, |_, name| vec![greeting(name)]));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            prober.run(|event| {
                if let ProbeEventKind::Received { .. } = event.kind {
                    panic!("the observer's own");
                }
            })
        }))
    });
    assert_eq!(panic.expect_err("it continues").downcast_ref(), Some(&"the observer's own"));
}

#[test]
#[cfg(target_os = "linux")]
fn calling_threads_timer_slack_is_restored() {
    let slack = || rustix::thread::current_timer_slack().expect("Linux provides it");
    let before = slack();
    assert!(before > 1, "a timer slack to restore");
    probe(plan(1), |_, name| vec![greeting(name)]);
    assert_eq!(slack(), before);
}

#[test]
fn panicking_observer_ends_both_threads() {
    let server = peer();
    let prober = Prober::new(server.local_addr().expect("bound"), plan(3)).expect("a port");
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        prober.run(|_| panic!("the observer's own"))
    }));
    assert_eq!(panic.expect_err("it continues").downcast_ref(), Some(&"the observer's own"));
}
