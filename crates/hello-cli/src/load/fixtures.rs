//! A run for tests.

use std::num::NonZeroU64;
use std::time::{Duration, UNIX_EPOCH};

use hello_measure::Cause;
use hello_net::{
    ArrivalProcess, GeneratorUsage, LoadEvent, LoadEventKind, LoadGenerator, LoadPlan, Pacing,
};

use super::recorder::Recorder;
use super::summary::Summary;
use crate::output::wall_clock::WallClock;

pub(super) fn plan() -> LoadPlan {
    let rate = NonZeroU64::new(1000).expect("not zero");
    let pacing = Pacing::Open { rate, arrivals: ArrivalProcess::Constant };
    let builder = LoadGenerator::builder().pacing(pacing).duration(Duration::from_secs(1));
    builder.check(([192, 0, 2, 1], 9999).into()).expect("a plan")
}

pub(super) const USAGE: GeneratorUsage = GeneratorUsage {
    measured: Duration::from_secs(1),
    processor_time: Duration::from_millis(2),
    busy: Duration::from_millis(250),
    stalled: Duration::ZERO,
    dropped: Some(0),
};

pub(super) const START: WallClock = WallClock(UNIX_EPOCH);

/// Three requests, due at 1, 2 and 3 ms, and each sent 0.1 ms late. Two are answered after 1 and 3
/// ms, and the last one is lost.
pub(super) fn recorder() -> Recorder {
    let mut recorder = Recorder::default();
    let millis = Duration::from_millis;
    for number in 1..=3 {
        let due = millis(number);
        let sent = LoadEventKind::Sent { due, count: 1 };
        let late = Duration::from_micros(100);
        recorder.observe(&LoadEvent::new(0, due + late, sent));
        let rtt = millis(2 * number - 1);
        let (at, kind) = match number {
            3 => (millis(1003), LoadEventKind::Lost { due, cause: Cause::SILENT }),
            _ => (due + late + rtt, LoadEventKind::Answered { due, rtt, reordered: false }),
        };
        recorder.observe(&LoadEvent::new(0, at, kind));
    }
    recorder
}

pub(super) fn summary() -> Summary {
    let address = ([192, 0, 2, 1], 9999).into();
    recorder().summary("192.0.2.1:9999", address, &plan(), USAGE, START)
}
