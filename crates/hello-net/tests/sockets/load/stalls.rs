//! Stalls of the generator.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use hello_measure::ReplyKind;
use hello_net::{
    ArrivalProcess, LoadEvent, LoadEventKind, LoadGenerator, LoadPlan, NotSent, Observer,
};

use super::{Event, Recorded, closed, greet, number, open, serve};
use crate::network::peer;

/// Stalls its thread once, after the first send.
#[derive(Default)]
struct Stalling {
    recorded: Recorded,
    /// When the stall began.
    stalled: Option<Duration>,
}

/// How long it lasts.
const STALL: Duration = Duration::from_millis(50);

impl Observer for Stalling {
    fn observe(&mut self, event: &LoadEvent<'_>) {
        self.recorded.observe(event);
        if matches!(event.kind, LoadEventKind::Sent { .. }) && self.stalled.is_none() {
            thread::sleep(STALL);
            self.stalled = Some(event.at);
        }
    }
}

#[test]
fn stalled_generator_sends_no_burst_and_reports_missing_requests() {
    // Fewer than are recorded at once, and more.
    for rate in [1000, 10_000] {
        assert_skips_late_requests(rate);
    }
}

fn assert_skips_late_requests(rate: u64) {
    let server = peer();
    let count = rate / 10;
    let plan = LoadPlan { timeout: STALL, ..open(rate, ArrivalProcess::Constant, count) };
    let generator = LoadGenerator::new(server.local_addr().expect("bound"), plan).expect("a port");
    let slow = [Mutex::<Stalling>::default()];
    generator.run(&slow).expect("no broken socket");
    let [slow] = slow.map(|slow| slow.into_inner().expect("no panic"));
    let stalled = slow.stalled.expect("at least one send");
    let missed = stalled + STALL - LoadGenerator::MAX_LATENESS;
    let mut skipped = 0;
    for (at, event) in &slow.recorded.0 {
        match event {
            // Requests sent by the same call are reported after that.
            Event::Sent { due, .. } => assert!(*at == stalled || *due >= missed, "{at:?} {due:?}"),
            Event::NotSent { due, reason, .. } => {
                assert_eq!(*reason, NotSent::Late);
                assert!(*at - *due > LoadGenerator::MAX_LATENESS, "{at:?} {due:?}");
                skipped += u32::from(*due > stalled && *due < missed);
            }
            _ => {}
        }
    }
    let dues = (missed - stalled).as_nanos() * u128::from(rate) / 1_000_000_000;
    assert!(skipped + 1 >= u32::try_from(dues).expect("small"), "{skipped} of {dues}");
    assert_eq!(slow.recorded.dues().len() as u64, count, "each request is reported");
}

#[test]
fn replies_in_time_during_a_stall_are_neither_lost_nor_late() {
    let server = peer();
    let timeout = STALL * 4 / 5;
    // More than one call receives, and then others, so that late replies show.
    let plan = LoadPlan { timeout, train: number(64), ..closed(256, 512) };
    let generator = LoadGenerator::new(server.local_addr().expect("bound"), plan).expect("a port");
    let slow = [Mutex::<Stalling>::default()];
    thread::scope(|scope| {
        scope.spawn(|| serve(&server, greet));
        generator.run(&slow).expect("no broken socket");
        peer().send_to(&[], generator.server()).expect("sent");
    });
    let [slow] = slow.map(|slow| slow.into_inner().expect("no panic"));
    for event in slow.recorded.events() {
        match event {
            Event::Other(ReplyKind::Late { rtt, .. }) => assert!(rtt >= timeout, "{rtt:?}"),
            Event::Answered { rtt, .. } => assert!(rtt < timeout, "{rtt:?}"),
            _ => {}
        }
    }
    assert!(slow.recorded.answered() > 64, "the test needs a quieter machine: {:?}", slow.recorded);
    assert_eq!(slow.recorded.answered() + slow.recorded.lost(), 512);
}
