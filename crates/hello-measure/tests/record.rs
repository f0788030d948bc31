//! Properties of the parts of a record and of its flows.

use std::time::Duration;

use hello_measure::{Attribution, Cause, CauseKind, Fate, Flows, Record, ReplyKind};
use proptest::collection::vec;
use proptest::prelude::*;

/// An event of a run. A flow may have an answer before its request, as from another thread.
#[derive(Clone, Copy, Debug)]
enum Event {
    Sent { flow: usize, late: Duration },
    NotSent,
    Answered { flow: usize, rtt: Duration, reordered: bool },
    Lost { flow: usize },
    Other(ReplyKind),
    Error(&'static str),
    NetworkError(Attribution),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let flow = || 0..FLOWS;
    // Few different times, so that some are equal to the ones before.
    let time = || (0..20_u64).prop_map(Duration::from_millis);
    let other = prop_oneof![
        (any::<u32>(), time()).prop_map(|(seq, rtt)| ReplyKind::Late { seq, rtt }),
        any::<u32>().prop_map(|seq| ReplyKind::Duplicate { seq }),
        any::<u32>().prop_map(|seq| ReplyKind::OutOfWindow { seq }),
        Just(ReplyKind::Corrupt),
        Just(ReplyKind::Unsolicited),
    ];
    let event = prop_oneof![
        6 => (flow(), time()).prop_map(|(flow, late)| Event::Sent { flow, late }),
        1 => Just(Event::NotSent),
        4 => (flow(), time(), any::<bool>())
            .prop_map(|(flow, rtt, reordered)| Event::Answered { flow, rtt, reordered }),
        1 => flow().prop_map(|flow| Event::Lost { flow }),
        1 => other.prop_map(Event::Other),
        1 => prop_oneof![Just("denied"), Just("too-big")].prop_map(Event::Error),
        1 => prop_oneof![
            Just(Attribution::Unattributed),
            Just(Attribution::Probe { seq: 0, fate: Fate::InFlight { is_first: true } }),
            Just(Attribution::Probe { seq: 0, fate: Fate::Lost { before: Cause::SILENT, after: REFUSED } }),
        ]
        .prop_map(Event::NetworkError),
    ];
    vec(event, 0..100)
}

const REFUSED: Cause = Cause { kind: CauseKind::Refused, reporter: None };

/// The record and the flows of a run or a part of it.
#[derive(Clone, Debug)]
struct Part {
    record: Record,
    flows: Flows,
}

impl Part {
    fn new() -> Self {
        Self { record: Record::new(), flows: Flows::new(FLOWS) }
    }

    fn next(&self, now: Duration) -> Self {
        Self { record: self.record.next_part(now), flows: self.flows.next_part() }
    }

    fn append(&mut self, later: &Self) {
        self.record.append(&later.record);
        self.flows.append(&later.flows);
    }

    fn observe(&mut self, event: Event) {
        match event {
            Event::Sent { flow, late } => {
                self.record.sent(1, late);
                self.flows.sent(flow);
            }
            Event::NotSent => self.record.not_sent("late", 1),
            Event::Answered { flow, rtt, reordered } => {
                self.record.received(ReplyKind::Answered { seq: 0, rtt, reordered });
                self.flows.answered(flow, rtt);
            }
            Event::Lost { flow } => {
                self.record.lost(Cause::SILENT);
                self.flows.lost(flow);
            }
            Event::Other(reply) => self.record.received(reply),
            Event::Error(class) => self.record.error(class, 1),
            Event::NetworkError(attribution) => {
                self.record.network_error(REFUSED, attribution);
            }
        }
    }
}

const FLOWS: usize = 3;

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "several histograms for each part, read repeatedly")]
    fn appended_parts_equal_the_whole(
        events in events(),
        cuts in vec(0..100_usize, 0..5),
    ) {
        let second = Duration::from_secs(1);
        let (mut whole, mut parts) = (Part::new(), vec![Part::new()]);
        let (mut now, mut balance) = (Duration::ZERO, 0_i64);
        for (index, event) in events.into_iter().enumerate() {
            // A place may be cut twice, which leaves a part without events.
            for _ in cuts.iter().filter(|cut| **cut == index) {
                let next = parts.last().expect("one part").next(now);
                parts.push(next);
            }
            let part = parts.last_mut().expect("one part");
            whole.observe(event);
            part.observe(event);
            now += second;
            balance += match event {
                Event::Sent { .. } => 1,
                Event::Answered { .. } | Event::Lost { .. } => -1,
                _ => 0,
            };
            let in_flight = u64::try_from(balance).unwrap_or(0);
            prop_assert_eq!(part.record.in_flight(), in_flight);
            prop_assert_eq!(whole.record.in_flight(), in_flight);
        }

        let mut sum = parts.remove(0);
        parts.iter().for_each(|part| sum.append(part));
        prop_assert_eq!(sum.record.counts(), whole.record.counts());
        prop_assert_eq!(sum.record.in_flight(), whole.record.in_flight());
        prop_assert_eq!(sum.record.summary(now), whole.record.summary(now));
        prop_assert_eq!(sum.flows.jitter(), whole.flows.jitter());
        prop_assert!(sum.flows.summaries().eq(whole.flows.summaries()));
        // What follows has the same requests in flight, and the same replies before it.
        let [sum, whole] = [sum, whole].map(|part| {
            let mut next = part.next(now);
            let rtt = Duration::from_millis(50);
            (0..FLOWS).for_each(|flow| {
                next.observe(Event::Answered { flow, rtt, reordered: false });
            });
            next
        });
        prop_assert_eq!(sum.record.summary(now), whole.record.summary(now));
        prop_assert_eq!(sum.flows.jitter(), whole.flows.jitter());
    }
}
