//! A generator that is held up.

use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use hello_measure::ReplyKind;
use hello_net::{ArrivalProcess, Backend, LoadEvent, LoadEventKind, LoadGenerator, NotSent};

use super::{Heard, Told, closed, greet, greeting, number, open, run, serve};
use crate::network::{peer, receive};
use crate::server::BACK_ENDS;

/// Holds its thread up once, when something was first sent.
#[derive(Default)]
struct Slow {
    heard: Heard,
    /// When that was.
    held: Option<Duration>,
}

/// How long it holds its thread up.
const HELD: Duration = Duration::from_millis(50);

impl Slow {
    fn observe(&mut self, event: &LoadEvent<'_>) {
        self.heard.add(event);
        if matches!(event.kind, LoadEventKind::Sent { .. }) && self.held.is_none() {
            thread::sleep(HELD);
            self.held = Some(event.at);
        }
    }
}

/// Runs a generator of one thread.
fn run_slowly(generator: LoadGenerator) -> Slow {
    let (usage, slow) = run(generator, Slow::observe);
    usage.expect("no broken socket");
    let [slow] = slow.try_into().ok().expect("one thread");
    slow
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "each call sends one message there")]
fn stalled_generator_sends_no_burst_and_reports_missing_requests() {
    // Fewer than are enqueued at once, and more.
    for rate in [1000, 10_000] {
        is_held_up(rate);
    }
}

fn is_held_up(rate: u64) {
    let server = peer();
    let count = rate / 10;
    let plan = open(rate, ArrivalProcess::Constant, count).timeout(HELD);
    let generator = plan.connect(server.local_addr().expect("bound")).expect("a port");
    let slow = run_slowly(generator);
    let held = slow.held.expect("something was sent");
    let missed = held + HELD - LoadGenerator::MAX_LATENESS;
    let mut held_up = 0;
    for (at, told) in &slow.heard.0 {
        match told {
            // What left by the same call is reported after that.
            Told::Sent { due, .. } => assert!(*at == held || *due >= missed, "{at:?} {due:?}"),
            Told::NotSent { due, reason, .. } => {
                assert_eq!(*reason, NotSent::Late);
                assert!(*at - *due > LoadGenerator::MAX_LATENESS, "{at:?} {due:?}");
                held_up += u32::from(*due > held && *due < missed);
            }
            _ => {}
        }
    }
    let dues = (missed - held).as_nanos() * u128::from(rate) / 1_000_000_000;
    assert!(held_up + 1 >= u32::try_from(dues).expect("small"), "{held_up} of {dues}");
    assert_eq!(slow.heard.dues().len() as u64, count, "each is reported");
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn replies_in_time_during_a_stall_are_neither_lost_nor_late() {
    let server = peer();
    let timeout = HELD * 4 / 5;
    // More than are received at once, and then others, so that late replies are seen.
    let plan = closed(256, 512).timeout(timeout).train(number(64));
    let address = server.local_addr().expect("bound");
    let generator = plan.connect(address).expect("a port");
    let slow = thread::scope(|scope| {
        scope.spawn(|| serve(&server, greet));
        let slow = run_slowly(generator);
        peer().send_to(&[], address).expect("sent");
        slow
    });
    for told in slow.heard.told() {
        match told {
            Told::Other(ReplyKind::Late { rtt, .. }) => assert!(rtt >= timeout, "{rtt:?}"),
            Told::Answered { rtt, .. } => assert!(rtt < timeout, "{rtt:?}"),
            _ => {}
        }
    }
    assert!(slow.heard.answered() > 64, "the test needs a quieter machine: {:?}", slow.heard);
    assert_eq!(slow.heard.answered() + slow.heard.lost(), 512);
}

#[test]
fn stall_before_a_reply_is_received_lengthens_no_round_trip_time_that_is_the_kernels() {
    const HELD: Duration = Duration::from_millis(300);
    for &backend in BACK_ENDS {
        let server = peer();
        let plan = closed(1, 1).backend(backend);
        let generator = plan.connect(server.local_addr().expect("bound")).expect("a port");
        let (answered, one) = mpsc::channel();
        let one = Mutex::new(one);
        let heard = thread::scope(|scope| {
            scope.spawn(|| {
                let (name, source) = receive(&server);
                server.send_to(&greeting(&name), source).expect("sent");
                answered.send(()).expect("the observer waits");
            });
            let observe = |heard: &mut Heard, event: &LoadEvent<'_>| {
                heard.add(event);
                if let LoadEventKind::Sent { .. } = event.kind {
                    one.lock().expect("no panic").recv().expect("answered");
                    thread::sleep(HELD);
                }
            };
            run(generator, observe).1
        });
        let told = heard.iter().flat_map(Heard::told);
        let rtts = Vec::from_iter(told.filter_map(|told| match told {
            Told::Answered { rtt, .. } => Some(rtt),
            _ => None,
        }));
        let is_kernels = cfg!(target_os = "linux") && backend == Backend::Native;
        assert_eq!(rtts[0] < HELD, is_kernels, "{backend:?}: {rtts:?}");
    }
}
