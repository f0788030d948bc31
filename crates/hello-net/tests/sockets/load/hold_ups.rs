//! Stalls of the generator.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use hello_measure::ReplyKind;
use hello_net::{
    ArrivalProcess, LoadEvent, LoadEventKind, LoadGenerator, LoadPlan, NotSent, Observer,
};

use super::{Heard, Told, closed, greet, number, open, serve};
use crate::network::peer;

/// Stalls its thread once, after the first send.
#[derive(Default)]
struct Slow {
    heard: Heard,
    /// When the stall began.
    held: Option<Duration>,
}

/// How long it lasts.
const HELD: Duration = Duration::from_millis(50);

impl Observer for Slow {
    fn observe(&mut self, event: &LoadEvent<'_>) {
        self.heard.observe(event);
        if matches!(event.kind, LoadEventKind::Sent { .. }) && self.held.is_none() {
            thread::sleep(HELD);
            self.held = Some(event.at);
        }
    }
}

#[test]
fn stalled_generator_sends_no_burst_and_reports_missing_requests() {
    // Fewer than are recorded at once, and more.
    for rate in [1000, 10_000] {
        is_held_up(rate);
    }
}

fn is_held_up(rate: u64) {
    let server = peer();
    let count = rate / 10;
    let plan = LoadPlan { timeout: HELD, ..open(rate, ArrivalProcess::Constant, count) };
    let loader = LoadGenerator::new(server.local_addr().expect("bound"), plan).expect("a port");
    let slow = [Mutex::<Slow>::default()];
    loader.run(&slow).expect("no broken socket");
    let [slow] = slow.map(|slow| slow.into_inner().expect("no panic"));
    let held = slow.held.expect("something was sent");
    let missed = held + HELD - LoadGenerator::MAX_LATENESS;
    let mut held_up = 0;
    for (at, told) in &slow.heard.0 {
        match told {
            // Requests sent by the same call are reported after that.
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
    assert_eq!(slow.heard.dues().len() as u64, count, "each is told of");
}

#[test]
fn replies_in_time_during_a_stall_are_neither_lost_nor_late() {
    let server = peer();
    let timeout = HELD * 4 / 5;
    // More than one call receives, and then others, so that late replies show.
    let plan = LoadPlan { timeout, train: number(64), ..closed(256, 512) };
    let loader = LoadGenerator::new(server.local_addr().expect("bound"), plan).expect("a port");
    let slow = [Mutex::<Slow>::default()];
    thread::scope(|scope| {
        scope.spawn(|| serve(&server, greet));
        loader.run(&slow).expect("no broken socket");
        peer().send_to(&[], loader.server()).expect("sent");
    });
    let [slow] = slow.map(|slow| slow.into_inner().expect("no panic"));
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
