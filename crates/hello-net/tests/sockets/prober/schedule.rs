//! When probes leave, and when those are due that do not.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use hello_net::{NotSent, ProbeEvent, ProbeEventKind};
use hello_proto::Token;

use super::{connect, greeting, plan, serve};
use crate::network::peer;

#[test]
fn stalled_prober_sends_no_burst() {
    let server = peer();
    let interval = Duration::from_millis(1);
    let plan = plan(250).interval(interval).timeout(interval);
    let prober = connect(&server, plan);
    let held_up = AtomicUsize::new(0);
    prober
        .run(|event| match event.kind {
            ProbeEventKind::Sent { seq: Token::FIRST_SEQ, .. } => thread::sleep(200 * interval),
            ProbeEventKind::NotSent(NotSent::Late) => {
                let into_interval = event.at.as_nanos() % interval.as_nanos();
                assert_eq!(into_interval, 0, "when it was due, and not when it was given up");
                held_up.fetch_add(1, Relaxed);
            }
            _ => {}
        })
        .expect("no broken socket");
    // Of the 198 that are late by more than an interval, few are sent.
    let held_up = held_up.into_inner();
    assert!(held_up >= 198 - 64, "{held_up}");
}

#[test]
fn no_probe_is_early_and_the_timer_error_is_reported() {
    let server = peer();
    let interval = Duration::from_millis(2);
    let plan = plan(30).interval(interval);
    let prober = connect(&server, plan);
    thread::scope(|scope| {
        scope.spawn(|| serve(&server, 30, |_, name| vec![greeting(name)]));
        let check = |event: &ProbeEvent<'_>| {
            if let ProbeEventKind::Sent { seq, late } = event.kind {
                assert_eq!(event.at - late, interval * (seq - 1), "due in step with the start");
            }
        };
        prober.run(check).expect("no broken socket")
    });
}
