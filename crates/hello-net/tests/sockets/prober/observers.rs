//! The order of events, and observers that are slow or panic.

use std::collections::HashSet;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hello_measure::ReplyKind;
use hello_net::{Backend, ProbeEvent, ProbeEventKind};
use hello_proto::Token;

use super::{Seen, Told, connect, endless, greeting, plan, serve};
use crate::network::peer;
use crate::server::BACK_ENDS;

#[test]
fn observer_that_is_slow_at_replies_delays_no_probe() {
    const COUNT: u64 = 20;
    let interval = Duration::from_millis(10);
    let (server, sent) = (peer(), Mutex::new(Vec::new()));
    let prober = connect(&server, plan(COUNT).interval(interval));
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| serve(&server, COUNT, |_, name| vec![greeting(name)]));
        let observe = |event: &ProbeEvent<'_>| match event.kind {
            ProbeEventKind::Sent { .. } => sent.lock().expect("no panic").push(start.elapsed()),
            ProbeEventKind::Received { .. } => thread::sleep(5 * interval),
            _ => {}
        };
        prober.run(observe).expect("no broken socket");
    });
    let sent = sent.into_inner().expect("no panic");
    // If each reply delayed the sender, the last probe would leave after 95 intervals.
    let last = sent.last().expect("some were sent");
    assert!(*last < 50 * interval, "{sent:?}");
}

#[test]
fn receiver_that_is_held_up_lengthens_no_round_trip_time_that_is_the_kernels() {
    const HELD: Duration = Duration::from_millis(300);
    for &backend in BACK_ENDS {
        let (server, (received, first), (answered, second)) =
            (peer(), mpsc::channel(), mpsc::channel());
        let (second, rtts) = (Mutex::new(second), Mutex::new(Vec::new()));
        let prober = connect(&server, plan(2).backend(backend));
        thread::scope(|scope| {
            scope.spawn(|| {
                let first = first;
                serve(&server, 1, |_, name| vec![greeting(name)]);
                // Nothing is received between this and the end of the hold-up.
                first.recv().expect("the observer saw it");
                serve(&server, 1, |_, name| vec![greeting(name)]);
                answered.send(()).expect("the observer waits");
            });
            let observe = |event: &ProbeEvent<'_>| {
                if let ProbeEventKind::Received { reply, .. } = event.kind {
                    let ReplyKind::Answered { seq, rtt, .. } = reply else {
                        panic!("{event:?}");
                    };
                    rtts.lock().expect("no panic").push(rtt);
                    if seq == Token::FIRST_SEQ {
                        received.send(()).expect("the server waits");
                        second.lock().expect("no panic").recv().expect("answered");
                        thread::sleep(HELD);
                    }
                }
            };
            prober.run(observe).expect("no broken socket");
        });
        let rtts = rtts.into_inner().expect("no panic");
        let is_kernels = cfg!(target_os = "linux") && backend == Backend::Native;
        assert_eq!(rtts[1] < HELD, is_kernels, "{backend:?}: {rtts:?}");
    }
}

#[test]
fn probe_is_observed_as_sent_before_anything_else_about_it() {
    let (server, seen) = (peer(), Seen::new());
    let timeout = Duration::from_millis(5);
    let prober = connect(&server, plan(50).timeout(timeout));
    thread::scope(|scope| {
        // Every third is lost.
        scope.spawn(|| {
            serve(&server, 50, |number, name| match number % 3 {
                0 => vec![],
                _ => vec![greeting(name), greeting(name)],
            });
        });
        let observe = |event: &ProbeEvent<'_>| {
            if let ProbeEventKind::Sent { .. } = event.kind {
                // Long enough for the reply to arrive, and for some probes to be lost.
                thread::sleep(Duration::from_millis(6));
            }
            seen.add(event);
        };
        prober.run(observe).expect("no broken socket");
    });
    let told = seen.into_inner();
    let mut sent = HashSet::new();
    for (_, told) in &told {
        match told {
            Told::Sent(seq) => assert!(sent.insert(*seq)),
            Told::Answered(seq) | Told::Lost(seq) => assert!(sent.contains(seq), "{told:?}"),
            Told::Else(ReplyKind::Late { seq, .. } | ReplyKind::Duplicate { seq }) => {
                assert!(sent.contains(seq), "{told:?}");
            }
            _ => {}
        }
    }
    assert!(told.iter().any(|(_, told)| matches!(told, Told::Lost(_))), "{told:?}");
}

#[test]
fn observer_panic_at_a_reply_also_ends_the_sender() {
    let server = peer();
    let endless = endless();
    let prober = connect(&server, endless);
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
    assert_eq!(panic.expect_err("it goes on").downcast_ref(), Some(&"the observer's own"));
}

#[test]
fn panicking_observer_ends_both_threads() {
    let server = peer();
    let prober = connect(&server, plan(3));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        prober.run(|_| panic!("the observer's own"))
    }));
    assert_eq!(panic.expect_err("it goes on").downcast_ref(), Some(&"the observer's own"));
}
