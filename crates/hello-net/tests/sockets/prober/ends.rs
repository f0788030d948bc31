//! How a run of probes ends.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use hello_net::{ProbeEvent, ProbeEventKind};

use super::{connect, endless, greeting, plan};
use crate::network::{peer, receive};

#[test]
fn stopped_prober_waits_until_each_probe_is_answered_or_lost() {
    let server = peer();
    let timeout = Duration::from_millis(300);
    let prober = connect(&server, endless().timeout(timeout));
    let (stopper, stopped) = (prober.stopper(), OnceLock::new());
    let (counts, elapsed) = thread::scope(|scope| {
        let running = scope.spawn(|| {
            let counts = prober.run(|_| ()).expect("no broken socket");
            (counts, stopped.get().map(Instant::elapsed))
        });
        // It has seen no reply, so it knows no round-trip time to wait for.
        receive(&server);
        stopped.set(Instant::now()).expect("once");
        stopper.stop();
        running.join().expect("no panic")
    });
    assert!(counts.sent > 0);
    assert_eq!((counts.in_flight(), counts.lost), (0, counts.sent));
    assert!(elapsed > Some(timeout / 2), "{elapsed:?}");
}

#[test]
fn stopped_prober_takes_replies_that_are_slower_than_all_before() {
    let server = peer();
    let prober = connect(&server, endless());
    let stopper = prober.stopper();
    let counts = thread::scope(|scope| {
        scope.spawn(|| {
            let (name, source) = receive(&server);
            server.send_to(&greeting(&name), source).expect("sent");
            let held = receive(&server);
            stopper.stop();
            // A few times the only round-trip time so far, and the probes sent meanwhile.
            server.set_read_timeout(Some(Duration::from_millis(200))).expect("not zero");
            let mut all = vec![held];
            let mut name = [0; 64];
            while let Ok((len, source)) = server.recv_from(&mut name) {
                all.push((name[..len].to_vec(), source));
            }
            for (name, source) in all {
                server.send_to(&greeting(&name), source).expect("sent");
            }
        });
        prober.run(|_| ()).expect("no broken socket")
    });
    assert_eq!((counts.answered, counts.in_flight()), (counts.sent, 0));
}

#[test]
fn abort_does_not_wait_for_replies() {
    let server = peer();
    let plan = endless().timeout(Duration::from_secs(3600));
    let prober = connect(&server, plan);
    let stopper = prober.stopper();
    let counts = thread::scope(|scope| {
        let running = scope.spawn(|| prober.run(|_| ()).expect("no broken socket"));
        let (name, source) = receive(&server);
        server.send_to(&greeting(&name), source).expect("sent");
        receive(&server);
        stopper.abort();
        running.join().expect("no panic")
    });
    assert!(counts.in_flight() > 0);
}

#[test]
fn constant_traffic_does_not_keep_a_prober_from_ending() {
    let server = peer();
    let plan = endless();
    let prober = connect(&server, plan);
    let port = prober.local_addrs().next().expect("a port");
    let (stopper, received) = (prober.stopper(), AtomicUsize::new(0));
    // Each datagram that is received causes two more, for up to some seconds.
    prober
        .run(|event| {
            if let ProbeEventKind::Sent { .. } = event.kind {
                server.send_to(b"Hello, again!", port).expect("sent");
            }
            if let ProbeEventKind::Received { .. } = event.kind {
                assert!(received.fetch_add(1, Relaxed) < MANY, "it goes on");
                for _ in 0..2 {
                    server.send_to(b"Hello, again!", port).expect("sent");
                }
                stopper.abort();
            }
        })
        .expect("no broken socket");

    const MANY: usize = 100_000;
}

#[test]
fn prober_that_is_stopped_before_it_runs_sends_nothing() {
    let server = peer();
    for abort in [false, true] {
        let prober = connect(&server, endless());
        let stopper = prober.stopper();
        match abort {
            true => stopper.abort(),
            false => stopper.stop(),
        }
        assert_eq!(prober.run(|_| ()).expect("nothing to do").sent, 0);
    }
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
        let plan = plan(1).interval(interval).timeout(timeout);
        let prober = connect(&server, plan);
        let stopper = prober.stopper();
        let sent = |event: &ProbeEvent<'_>| {
            if let ProbeEventKind::Sent { .. } = event.kind {
                stopper.abort();
            }
        };
        assert_eq!(prober.run(sent).expect("no broken socket").sent, 1);
    }
}
